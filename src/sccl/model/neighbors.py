"""The space in which a model's cells are compared before it has learned one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sccl import graph
from sccl.inputs.blocks import as_dense

if TYPE_CHECKING:
    from sccl.model.embedding import EmbeddingModel


def neighbor_space(model: EmbeddingModel, use_rep: str | None) -> np.ndarray:
    """Return where augmentation and sampling look for neighbours.

    Parameters
    ----------
    model
        A model with its cells.
    use_rep
        Key of ``obsm``; None: 50 principal components of expression. Where proteins of all cells were measured, theirs are beside
        them, scaled to the same variance.

    Returns
    -------
    float32, cells × dimensions.
    """
    if use_rep is not None:
        return graph.representation(model.adata, use_rep=use_rep)
    space_nd = _components(model._expression())
    proteins = model.adata_manager.proteins
    if proteins is None or not np.diff(proteins.indptr).all():
        return space_nd
    parts = [part_nd / np.sqrt(max(part_nd.var(axis=0).sum(), 1e-12)) for part_nd in (space_nd, _components(proteins))]
    return np.hstack(parts).astype(np.float32)


def _components(x: Any) -> np.ndarray:
    # one cell, or one gene, has no components
    return graph.principal_components(x) if min(x.shape) > 1 else as_dense(x[:])

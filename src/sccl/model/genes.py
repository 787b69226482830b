"""Alignment of genes by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from anndata import AnnData


def align_genes(adata: AnnData, var_names: np.ndarray) -> AnnData:
    """Return the cells with exactly the given genes in the given order.

    Parameters
    ----------
    adata
        Cells; left as they are.
    var_names
        Gene names, shape ``(n_genes,)``.

    Returns
    -------
    ``adata`` itself if its genes match, otherwise a view of it.

    Raises
    ------
    ValueError
        If genes are missing, or if a gene that is asked for stands more than once in ``adata``.
    """
    if np.array_equal(adata.var_names, var_names):
        return adata
    found = pd.Index(adata.var_names)
    missing = pd.Index(var_names).difference(found, sort=False)
    if len(missing):
        raise ValueError(
            f"`adata` lacks {len(missing)} of the {len(var_names)} genes that the model was trained on, for example "
            f"{', '.join(map(str, missing[:3]))}. Genes are matched by `adata.var_names`: check that they use the same "
            "naming, and that `adata` was not restricted to other genes."
        )
    repeated = found[found.duplicated()].intersection(var_names)
    if len(repeated):
        raise ValueError(
            f"`adata.var_names` holds {repeated[0]!r} more than once: call `adata.var_names_make_unique()` first."
        )
    return adata[:, found.get_indexer(var_names)]

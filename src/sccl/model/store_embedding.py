"""Cells of a store, embedded block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sccl.dataloaders import RowReader
from sccl.dataloaders.store.runs import draw_runs, rows_of, runs_of
from sccl.model.likeness import check_likeness, describe

if TYPE_CHECKING:
    from sccl.inputs.store import CellStore

# As many show what the expression of all is like.
N_DESCRIBED = 16_384


def describe_store(store: CellStore, genes: np.ndarray | None = None) -> dict[str, Any]:
    """Describe the expression of a store by some of its cells, see :func:`sccl.model.likeness.describe`."""
    rows = rows_of(draw_runs(runs_of(store), N_DESCRIBED, np.random.default_rng(0)))
    (csr,) = store.stream([rows])
    return {**describe(csr if genes is None else csr[:, genes], store.record), "n_empty": 0}


def embed_store(
    store: CellStore,
    cells: np.ndarray,
    embed: Callable[[RowReader, np.ndarray], np.ndarray],
    *,
    var_names: Any,
    known: dict[str, Any] | None,
) -> np.ndarray:
    """Embed cells of a store.

    Parameters
    ----------
    store
        Where they are.
    cells
        Row numbers, in any order.
    embed
        Returns the embedding of rows that a reader reads.
    var_names
        The genes that it takes.
    known
        What :func:`~sccl.model.likeness.describe` said of the cells that the model was trained on; None: it is not known.

    Raises
    ------
    ValueError
        If genes are missing, or if the expression is not of the kind that the model was trained on.
    """
    genes = _columns(store, var_names)
    measured = np.ones(store.n_vars if genes is None else genes.size, dtype=bool)
    check_likeness(describe_store(store, genes), known, measured=measured, name=str(store.path))
    rows, place = np.unique(cells, return_inverse=True)
    embedding, done = np.empty((0, 0), dtype=np.float32), 0
    for _, csr in store.blocks(rows):
        part = embed(RowReader(csr if genes is None else csr[:, genes]), np.arange(csr.shape[0]))
        if not done:
            embedding = np.empty((rows.size, part.shape[1]), dtype=part.dtype)
        embedding[done : done + len(part)] = part
        done += len(part)
    return embedding if np.array_equal(rows, cells) else embedding[place]


def check_genes(store: CellStore, var_names: Any) -> None:
    """Raise a ValueError unless a store has exactly these genes, in this order."""
    if not np.array_equal(store.var_names, var_names):
        raise ValueError(
            f"`datamodule`: {store.path} has other genes than the model, or in another order: make the model of it, "
            "`CLModel(registry=store.registry)`."
        )


def _columns(store: CellStore, var_names: Any) -> np.ndarray | None:
    """Where the genes stand in a store; None: they are all it has, in this order."""
    if np.array_equal(store.var_names, var_names):
        return None
    columns = store.var_names.get_indexer(pd.Index(var_names))
    if (columns < 0).any():
        missing = pd.Index(var_names)[columns < 0]
        raise ValueError(
            f"{store.path} lacks {missing.size} of the {columns.size} genes that the model was trained on, for example "
            f"{', '.join(map(str, missing[:3]))}: write a store that has them, `preprocess_to(..., n_top_genes=None)`."
        )
    return columns

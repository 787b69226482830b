"""Alignment of genes by name."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sccl.inputs.blocks import blocks
from sccl.inputs.expression import matrix_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def find_genes(adata: AnnData, var_names: ArrayLike) -> np.ndarray:
    """Return the column of each of the given genes in ``adata``, int64 ``(n_genes,)``; -1 where there is none.

    Raises
    ------
    ValueError
        If a gene that is asked for stands more than once in ``adata``, or if a matrix cannot be read.
    """
    for layer in (None, *(name for name in adata.layers.keys() if name is not None)):
        if layer is not None or adata.X is not None:
            matrix_of(adata, layer)  # before a damaged one is cut
    found, wanted = pd.Index(adata.var_names), pd.Index(var_names)
    repeated = found[found.duplicated()].intersection(wanted)
    if len(repeated):
        raise ValueError(
            f"`adata.var_names` holds {repeated[0]!r} more than once: call `adata.var_names_make_unique()` first."
        )
    columns = np.full(len(wanted), -1)
    place = wanted.get_indexer(found)  # foreign genes may repeat, so it is they that are looked up
    columns[place[place >= 0]] = np.flatnonzero(place >= 0)
    return columns


def align_genes(adata: AnnData, var_names: ArrayLike) -> AnnData:
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
    columns, names = find_genes(adata, var_names), np.asarray(var_names)
    missing = names[columns < 0]
    if missing.size:
        raise ValueError(
            f"`adata` lacks {missing.size} of the {names.size} genes that the model was trained on, for example "
            f"{', '.join(map(str, missing[:3]))}. Genes are matched by `adata.var_names`: check that they use the same "
            "naming, and that `adata` was not restricted to other genes. If they were not measured, `map_query` embeds "
            "the cells without them, and `prepare_query_anndata` adds them as zeros."
        )
    return adata[:, columns]


def fill_genes(adata: AnnData, var_names: ArrayLike, *, min_overlap: float) -> AnnData:
    """Return the cells with exactly the given genes in the given order, those that are missing as zeros.

    Zeros are what the encoder knows best: a masked gene is one. The reference's mean expression in their place embeds
    cells as well on some data and worse on others (accuracy of transferred labels, half of the genes missing, mean of six
    held-out batches of real cells: .871 with zeros, .869 with means).

    Parameters
    ----------
    adata
        Cells; left as they are.
    var_names
        Gene names, shape ``(n_genes,)``.
    min_overlap
        Fraction of the genes that must be there, in ``[0, 1]``; at least one must be in any case.

    Returns
    -------
    ``adata`` itself if its genes match, a view of it if it holds them all, otherwise a new object in memory: ``X``, layers,
    ``var`` and ``varm`` with the given genes (NaN where they are missing), all else as it was; but not ``varp``, relations
    among genes.

    Raises
    ------
    ValueError
        If too many genes are missing, if one stands more than once in ``adata``, or if ``min_overlap`` is out of range.

    Warns
    -----
    UserWarning
        If genes are missing: how many.
    """
    if not 0 <= min_overlap <= 1:
        raise ValueError(f"`min_overlap` must be in [0, 1], found {min_overlap!r}.")
    columns, names = find_genes(adata, var_names), np.asarray(var_names)
    missing = names[columns < 0]
    if not missing.size:
        return align_genes(adata, var_names)
    n_found = names.size - missing.size
    examples = ", ".join(map(str, missing[:3]))
    if n_found < max(min_overlap * names.size, 1):
        raise ValueError(
            f"`adata` has {n_found} of the {names.size} genes that the model was trained on, {n_found / names.size:.0%}, "
            f"and `min_overlap` asks for {min_overlap:.0%}. It lacks {examples} and others; its own genes are called "
            f"{', '.join(map(str, adata.var_names[:3]))} and so on. Genes are matched by `adata.var_names`: check that "
            "they use the same naming, and that `adata` was not restricted to other genes."
        )
    warnings.warn(
        f"`adata` lacks {missing.size} of the {names.size} genes that the model was trained on "
        f"({missing.size / names.size:.0%}), for example {examples}: they count as not expressed.",
        stacklevel=3,
    )
    layers = {name: _take(adata.layers[name], columns) for name in adata.layers.keys() if name is not None}
    var = adata.var.iloc[columns[columns >= 0]].reindex(names)
    x = None if adata.X is None else _take(adata.X, columns)
    filled = AnnData(
        x,
        obs=adata.obs.copy(),
        var=var,
        layers=layers,
        obsm=dict(adata.obsm),
        varm={key: _take_rows(values, columns, names) for key, values in adata.varm.items()},
        obsp=dict(adata.obsp),
        uns=dict(adata.uns),
    )
    if adata.raw is not None:
        filled.raw = adata.raw.to_adata()
    return filled


def _take_rows(values: Any, columns: np.ndarray, names: np.ndarray) -> Any:
    """Return the rows of ``varm`` for the given columns; NaN where the column is -1."""
    if isinstance(values, pd.DataFrame):
        return values.iloc[columns[columns >= 0]].reindex(names)
    taken = np.full((columns.size, *values.shape[1:]), np.nan)
    taken[columns >= 0] = (
        values.toarray()[columns[columns >= 0]] if sparse.issparse(values) else values[columns[columns >= 0]]
    )
    return taken


def _take(x: Any, columns: np.ndarray) -> Any:
    """Return the given columns of a matrix, in memory; zeros where the column is -1."""
    found = np.flatnonzero(columns >= 0)
    if getattr(x, "format", None) not in (None, "csr"):
        x = (x if sparse.issparse(x) else x.to_memory()).tocsr()
    parts = []
    for _, _, block in blocks(x):
        if sparse.issparse(block):
            chosen = sparse.csr_matrix(block)[:, columns[found]]
            shape = (block.shape[0], columns.size)
            parts.append(sparse.csr_matrix((chosen.data, found[chosen.indices], chosen.indptr), shape=shape))
        else:
            part = np.zeros((block.shape[0], columns.size), dtype=block.dtype)
            part[:, found] = np.asarray(block)[:, columns[found]]
            parts.append(part)
    if not parts:
        return np.zeros((0, columns.size), dtype=x.dtype)
    return sparse.vstack(parts, format="csr") if sparse.issparse(parts[0]) else np.vstack(parts)

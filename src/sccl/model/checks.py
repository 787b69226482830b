"""What a model refuses, said before anything is changed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from anndata.abc import CSCDataset

from sccl.pp import check_expression
from sccl.pp.blocks import blocks

if TYPE_CHECKING:
    from anndata import AnnData


# Even a cell with a single gene stays below this after log1p of counts per million.
LARGEST_LOG_EXPRESSION = 15.0


def check_setup(adata: AnnData, *, layer: str | None) -> None:
    """Refuse data that a model cannot be trained on.

    Raises
    ------
    KeyError
        If the layer does not exist.
    ValueError
        If the data are a view, empty, stored by genes on disk, hold NaN, infinite or negative values, or names that are
        not unique.

    Warns
    -----
    UserWarning
        If the values are too large to be log-expression.
    """
    if adata.is_view:
        raise ValueError("`adata` is a view of another AnnData: pass a copy, `adata.copy()`.")
    if 0 in adata.shape:
        raise ValueError(f"`adata` is empty: {adata.n_obs} cells × {adata.n_vars} genes.")
    for what, names in (("obs_names", adata.obs_names), ("var_names", adata.var_names)):
        if not names.is_unique:
            raise ValueError(
                f"`adata.{what}` holds {names[names.duplicated()][0]!r} more than once: call "
                f"`adata.{what}_make_unique()` first."
            )
    if layer is not None and layer not in adata.layers:
        raise KeyError(f"`layer`: {layer!r} is not in adata.layers, which holds {list(adata.layers)}.")
    x = adata.X if layer is None else adata.layers[layer]
    name = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    if x is None:
        raise ValueError(f"{name} is empty: there is no expression to learn from.")
    if isinstance(x, CSCDataset):
        raise ValueError(
            f"{name} is stored by genes (CSC) in its file, where reading a cell means reading everything: write it as CSR, "
            "or load it with `adata.to_memory()`."
        )
    check_expression(x, name=name, obs_names=adata.obs_names, var_names=adata.var_names)
    largest = max(block.max() for _, _, block in blocks(x))
    if largest > LARGEST_LOG_EXPRESSION:
        warnings.warn(
            f"{name} holds values up to {largest:.4g}, which look like raw counts rather than log-expression: call "
            "`sccl.pp.preprocess(adata)` first.",
            stacklevel=3,
        )


def as_row_numbers(indices: Sequence[int] | Sequence[bool] | np.ndarray | None, n_cells: int) -> np.ndarray:
    """Return int64 row numbers for what a user may pass as ``indices``.

    Raises
    ------
    ValueError
        If a boolean mask has another length than there are cells, or if ``indices`` hold no whole numbers.
    IndexError
        If one lies outside of the data.
    """
    if indices is None:
        return np.arange(n_cells)
    array = np.asarray(indices)
    if array.ndim != 1:
        raise ValueError(f"`indices` must have one dimension, found {array.ndim}.")
    if array.dtype == bool:
        if array.size != n_cells:
            raise ValueError(f"`indices` is a mask of {array.size} cells, but there are {n_cells}.")
        return np.flatnonzero(array)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"`indices` must be row numbers or a boolean mask, found {array.dtype}.")
    array = array.astype(np.int64)
    outside = array[(array < -n_cells) | (array >= n_cells)]
    if outside.size:
        raise IndexError(f"`indices` holds {outside[0]}, but there are {n_cells} cells.")
    return array % max(n_cells, 1)

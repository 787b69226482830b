"""What a model refuses, said before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sccl.inputs.anndata import check_anndata, check_shape_and_names, record_of
from sccl.inputs.expression import matrix_of
from sccl.inputs.fingerprint import Registered, fingerprint
from sccl.model.likeness import check_cells, check_logarithms, describe

if TYPE_CHECKING:
    from anndata import AnnData


def check_setup(adata: AnnData, *, layer: str | None) -> Registered:
    """Refuse data that a model cannot be trained on.

    Returns
    -------
    What the expression is like, to be compared with what is read later.

    Raises
    ------
    TypeError
        If ``adata`` is no AnnData.
    KeyError
        If the layer does not exist.
    ValueError
        If the data are a view, empty, stored by genes on disk, hold NaN, infinite or negative values, no log-expression,
        or names that are not unique.
    """
    check_anndata(adata)
    if adata.is_view:
        raise ValueError("`adata` is a view of another AnnData: pass a copy, `adata.copy()`.")
    check_shape_and_names(adata)
    x, name = matrix_of(adata, layer)
    check_cells(x, adata, name=name)
    description = describe(x, record_of(adata) if layer is None else None)
    if not description["largest"]:
        raise ValueError(f"{name} holds no expression: all values are 0. Check which layer is read.")
    check_logarithms(description, name=name)
    if description["alike"]:
        raise ValueError(
            f"All {adata.n_obs} cells have the same expression in {name}: there is nothing to learn from them."
        )
    return Registered(fingerprint(x), description)


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

"""What every function of this room asks of its arguments, checked before any work is done."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse


def as_matrix(x: Any, name: str = "x") -> np.ndarray:
    """`x` as a finite, dense, C-contiguous float32 array of shape (n_cells, n_dims) with at least one cell and dim."""
    if sparse.issparse(x):
        raise ValueError(f"`{name}` is sparse; pass a dense representation, for example `representation(adata)`.")
    values = np.asarray(x)
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        raise ValueError(f"`{name}` must be a numeric (cells, dims) array; found {values.dtype} of {values.shape}.")
    if 0 in values.shape:
        raise ValueError(f"`{name}` is empty: shape {values.shape}; pass at least one cell and one dimension.")
    with np.errstate(over="ignore"):  # what does not fit float32 becomes infinite and is named below
        values = np.ascontiguousarray(values, dtype=np.float32)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"`{name}` holds NaN, infinite or too large values in {np.count_nonzero(~finite)} of {len(values)} rows "
            f"(first: row {np.argmin(finite)}); remove or impute them."
        )
    return values


def as_codes(batches: Any, n_cells: int, name: str = "batches") -> tuple[np.ndarray, int]:
    """Batch of each cell as a number 0..n_batches-1 in sorted order of the labels, and the number of batches."""
    labels = np.asarray(batches)
    if labels.shape != (n_cells,):
        raise ValueError(f"`{name}` has shape {labels.shape}; expected one label for each of the {n_cells} cells.")
    missing = pd.isna(labels)
    if missing.any():
        raise ValueError(
            f"`{name}` is missing (NaN or None) for {missing.sum()} of {n_cells} cells (first: row "
            f"{np.argmax(missing)}); give these cells a label or remove them."
        )
    codes, names = pd.factorize(labels, sort=True)
    return codes, len(names)


def as_rows(values: Any, n_cells: int, name: str, *, lowest: int) -> np.ndarray:
    """`values` as a 2-D integer array of row numbers in lowest..n_cells-1."""
    rows = np.asarray(values)
    if rows.ndim != 2 or rows.dtype.kind not in "iu":
        raise ValueError(f"`{name}` must be a 2-D integer array; found {rows.dtype} of shape {rows.shape}.")
    if rows.size and (rows.min() < lowest or rows.max() >= n_cells):
        raise ValueError(f"`{name}` holds row numbers {rows.min()}..{rows.max()}; expected {lowest}..{n_cells - 1}.")
    return rows


def as_pairs(pairs: Any, n_cells: int) -> np.ndarray:
    """`pairs` as an integer array of shape (n_pairs, 2) of row numbers."""
    rows = as_rows(pairs, n_cells, "pairs", lowest=0)
    if rows.shape[1] != 2:
        raise ValueError(f"`pairs` has shape {rows.shape}; expected (n_pairs, 2).")
    return rows

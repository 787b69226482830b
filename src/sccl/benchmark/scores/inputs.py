"""What may be scored? Embeddings, batches and labels in any container, as arrays of one row per cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sccl.inputs import as_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# squares of larger values, summed over the dimensions, leave the range of float32
_LARGEST = 1e15


def as_embedding(name: str, values: Any) -> np.ndarray:
    """Return an embedding as an array.

    Parameters
    ----------
    name
        Of the embedding, for messages.
    values
        An array, matrix, sparse matrix, DataFrame, tensor or nested list of numbers, `(n_cells, n_dims)`.

    Returns
    -------
    Float32, `(n_cells, n_dims)`. It may be the array that was given, so that it must not be changed.

    Raises
    ------
    ValueError
        If it holds anything but finite numbers, has another shape, or has collapsed to a single point.
    """
    array = _numbers(name, values)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"Embedding {name!r} has shape {array.shape}, expected (n_cells, n_dims).")
    if not np.isfinite(array).all():
        n_bad = int((~np.isfinite(array).all(axis=1)).sum())
        raise ValueError(f"Embedding {name!r} holds values that are not finite, in {n_bad} of {len(array)} cells.")
    if array.size and (largest := float(np.abs(array).max())) > _LARGEST:
        raise ValueError(f"Embedding {name!r} holds values up to {largest:.3g}: distances leave the range of float32.")
    if len(array) and not np.ptp(array, axis=0).any():
        raise ValueError(f"Embedding {name!r} has collapsed: all cells lie on one point, so there is nothing to score.")
    return array


def as_codes(name: str, values: ArrayLike, n_cells: int) -> np.ndarray:
    """Return batches or labels, compared as text, as whole numbers from 0.

    Parameters
    ----------
    name
        Of the argument, for messages.
    values
        One value per cell, of any type; see :func:`sccl.inputs.as_text`.
    n_cells
        How many cells there are.

    Raises
    ------
    ValueError
        If the shape is another one, if a value is missing, or if no two cells share one.
    """
    shape = (0,) if values is None else np.shape(values)
    if isinstance(values, str) or shape != (n_cells,):
        found = f"is {values!r}" if values is None or isinstance(values, str) else f"has shape {shape}"
        raise ValueError(
            f"`{name}` {found}, expected ({n_cells},): one value per cell, for example adata.obs[{name!r}]."
        )
    codes, _ = pd.factorize(as_text(values))
    if (codes < 0).any():
        raise ValueError(f"`{name}` is missing in {int((codes < 0).sum())} of {n_cells} cells: leave those cells out.")
    if n_cells > 1 and codes.max() == n_cells - 1:
        raise ValueError(f"`{name}` differs in all {n_cells} cells: it looks like names of cells.")
    return codes


def check_same_order(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that name their cells differently: arrays are matched by position.

    Parameters
    ----------
    arguments
        Name and value of each; those that are no Series or DataFrame name no cells.

    Raises
    ------
    ValueError
        If two of them hold the same cells in another order, or cells of other names.
    """
    named = {name: value.index for name, value in arguments.items() if isinstance(value, pd.Series | pd.DataFrame)}
    if not named:
        return
    (first, index), *others = named.items()
    for name, other in others:
        if len(index) != len(other) or index.equals(other):
            continue  # lengths are another check's
        both_names = not (pd.api.types.is_numeric_dtype(index) or pd.api.types.is_numeric_dtype(other))
        if both_names or index.sort_values().equals(other.sort_values()):
            raise ValueError(
                f"`{name}` and `{first}` have different indices, but cells are matched by their position: bring them "
                f"into one order first, for example with .loc[adata.obs_names]."
            )


def _numbers(name: str, values: Any) -> np.ndarray:
    """Return float32 values of whatever holds numbers."""
    from scipy import sparse

    if sparse.issparse(values):
        values = values.toarray()
    elif isinstance(values, pd.DataFrame):
        kinds = {dtype.kind for dtype in values.dtypes}
        if kinds <= set("biuf"):  # missing values of pandas' own types would make objects of all others
            values = values.to_numpy(dtype=np.float32, na_value=np.nan)
    elif np.ma.is_masked(values):
        values = values.filled(np.nan) if values.dtype.kind == "f" else values.astype(np.float32).filled(np.nan)
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"Embedding {name!r} is no array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"Embedding {name!r} holds values of dtype {array.dtype}, expected numbers.")
    with np.errstate(over="ignore"):  # what overflows is not finite, which is said
        return np.ascontiguousarray(array, dtype=np.float32)

"""The columns of ``obs`` that name a cell's batch or its label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sccl.inputs.names import absent


def as_text(column: Any) -> np.ndarray:
    """Return a column's values as text, by which batches and labels are compared.

    The same batches may be whole numbers in one file, text in another and a categorical in the third. A number reads as it
    is written; a whole one has no decimals, whatever its type, for missing values turn a column of whole numbers into
    floats: ``1``, ``1.0`` and ``"1"`` are one batch.

    Parameters
    ----------
    column
        Series, categorical or array of one dimension.

    Returns
    -------
    Object array of str, shape ``(n_cells,)``; None where the value is missing (None, NaN, NA, NaT).
    """
    series = pd.Series(column)
    if pd.api.types.infer_dtype(series, skipna=True).startswith("mixed"):  # 1 and True are equal
        missing = series.isna()
        return np.array(
            [None if gap else _name(value) for value, gap in zip(series, missing, strict=True)], dtype=object
        )
    codes, values = pd.factorize(series)
    return np.array([*map(_name, values), None], dtype=object)[codes]


def _name(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def find_column(obs: pd.DataFrame, key: Any, argument: str, *, owner: str = "adata") -> pd.Series:
    """Return a column of ``obs``.

    Parameters
    ----------
    obs
        One row per cell.
    key
        The column's name.
    argument
        What the argument is called that holds it, for the message.
    owner
        What has the column, for the message.

    Raises
    ------
    TypeError
        If ``key`` is no name.
    KeyError
        If there is no such column; the message has the nearest, and all others.
    ValueError
        If there are several.
    """
    if not isinstance(key, str):
        raise TypeError(
            f"`{argument}` must be the name of a column of {owner}.obs, found {type(key).__name__} {key!r}."
        )
    if key not in obs:
        raise KeyError(absent(argument, key, f"{owner}.obs", obs))
    column = obs[key]
    if isinstance(column, pd.DataFrame):
        raise ValueError(
            f"`{argument}`: {owner}.obs holds {column.shape[1]} columns that are called {key!r}: rename all but one."
        )
    return column


def find_complete(obs: pd.DataFrame, key: Any, argument: str, *, owner: str = "adata") -> np.ndarray:
    """Return a column of ``obs`` as text, see :func:`find_column` and :func:`as_text`, in which no cell lacks a value.

    Raises
    ------
    TypeError, KeyError, ValueError
        If there is no such column, or if values are missing: how many, and the first cell.
    """
    names = as_text(find_column(obs, key, argument, owner=owner))
    missing = pd.isna(names)
    if missing.any():
        raise ValueError(
            f"`{argument}`: {np.count_nonzero(missing)} of {len(names)} cells have no value in {owner}.obs[{key!r}], first "
            f"{str(obs.index[np.argmax(missing)])!r}: name it, or leave these cells out."
        )
    return names


def find_batches(obs: pd.DataFrame, key: Any, argument: str = "batch_key", *, owner: str = "adata") -> np.ndarray:
    """Return the batch of each cell as text.

    Parameters
    ----------
    obs
        One row per cell.
    key
        A column, or a list of several, the outer batches first (technology, donor): a batch is then what has one value in
        all of them.
    argument, owner
        See :func:`find_column`.

    Raises
    ------
    TypeError, KeyError, ValueError
        See :func:`find_complete`.
    """
    if not isinstance(key, list | tuple):
        return find_complete(obs, key, argument, owner=owner)
    if not key:
        raise ValueError(f"`{argument}` is an empty list: name at least one column, or None for one batch.")
    columns = [find_complete(obs, one, argument, owner=owner) for one in key]
    return np.array([" / ".join(names) for names in zip(*columns, strict=True)], dtype=object)

"""Columns of ``obs`` with batches or labels, which are compared as text."""

from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData


def column_of(adata: AnnData, key: str, argument: str, *, what: str = "adata") -> pd.Series:
    """Return a column of ``obs`` as text.

    Whole numbers, booleans and text that look alike are alike: files turn one into the other.

    Parameters
    ----------
    adata
        Cells; left as they are.
    key
        Name of the column.
    argument
        Name of the argument that ``key`` was, for messages.
    what
        What messages call ``adata``.

    Returns
    -------
    Text, and missing values as they were, indexed like ``obs``.

    Raises
    ------
    KeyError
        If there is no such column; the message has the nearest one.
    ValueError
        If the column stands more than once.
    """
    if key not in adata.obs:
        names = [str(name) for name in adata.obs]
        nearest = get_close_matches(str(key), names, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise KeyError(f"`{argument}`: {key!r} is not in {what}.obs, which holds {names}{hint}")
    column: Any = adata.obs[key]
    if isinstance(column, pd.DataFrame):
        raise ValueError(f"`{argument}`: {what}.obs has {column.shape[1]} columns {key!r}; rename or drop all but one.")
    return as_text(column)


def as_text(values: Any) -> pd.Series:
    """Return values as text; missing ones (None, NaN, NA) as None."""
    column = pd.Series(values)
    is_missing = column.isna().to_numpy()
    text = np.array([str(value) for value in column], dtype=object)
    text[is_missing] = None
    return pd.Series(text, index=column.index, dtype=object)


def check_complete(column: pd.Series, key: str, argument: str, *, what: str = "adata") -> None:
    """Refuse a column with missing values.

    Raises
    ------
    ValueError
        Saying how many there are, and the first one's cell.
    """
    is_missing = column.isna().to_numpy()
    if is_missing.any():
        raise ValueError(
            f"`{argument}`: {int(is_missing.sum())} of {len(column)} cells have no value in {what}.obs[{key!r}], first "
            f"{str(column.index[np.argmax(is_missing)])!r}: name it or remove these cells."
        )

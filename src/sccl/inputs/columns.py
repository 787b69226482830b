"""The columns of ``obs`` that name a cell's batch or its label."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd


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
    if isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer():
        return str(int(value))
    return str(value)

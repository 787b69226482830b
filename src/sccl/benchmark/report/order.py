"""The order in which settings are shown and sorted: that of their numbers, where they are numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd


def sort_keys(column: pd.Series) -> list[float] | None:
    """Return what the rows of a column of numbers are sorted by; None if it holds text.

    Settings are text: ``"10"`` comes after ``"5"`` all the same, and –, which means that there is none, first.
    """
    if not len(column):
        return None
    values = [value[0] if isinstance(value, tuple) else value for value in column]
    try:
        keys = [math.nan if value == "–" else float(value) for value in values]
    except (TypeError, ValueError):
        return None
    return None if all(value == "–" for value in values) else keys


def in_order(values: Iterable[str]) -> list[str]:
    """Return settings in the order of their numbers, if all are numbers, and of the alphabet otherwise."""
    found = list(values)
    keys = sort_keys(pd.Series(found, dtype=object))
    return sorted(found) if keys is None else [value for _, value in sorted(zip(keys, found, strict=True))]

"""The loss history as data frames."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd


def clean_history(history: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the logged values as one float column per metric, indexed by epoch from 0."""
    return {name: frame.astype(float).rename_axis(index="epoch") for name, frame in history.items() if name != "epoch"}

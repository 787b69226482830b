"""How well predicted values agree with measured ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd


class Agreement(NamedTuple):
    """Pearson correlation and root mean squared error.

    Attributes
    ----------
    cells
        Columns ``"pearson"`` and ``"rmse"``, one row per cell: over its proteins.
    proteins
        The same, one row per protein: over the cells.
    """

    cells: pd.DataFrame
    proteins: pd.DataFrame


def agreement(predicted: pd.DataFrame, measured: pd.DataFrame) -> Agreement:
    """Compare predicted proteins with measured ones.

    A correlation per cell is high for anything that knows which proteins are abundant: compare it with that of the mean profile.

    Parameters
    ----------
    predicted, measured
        Cells × proteins in one unit, with the same cells in one order; proteins are matched by name. Cells of which either has NaN
        are left out.

    Returns
    -------
    Correlations in ``[-1, 1]``, NaN where either side does not vary; errors ≥ 0, in the unit of the values.

    Raises
    ------
    ValueError
        If the cells differ, or if there is no protein that both have.
    """
    if not predicted.index.equals(measured.index):
        raise ValueError("`predicted` and `measured` must have the same cells in the same order.")
    names = [name for name in predicted.columns if name in measured.columns]
    if not names:
        raise ValueError("`predicted` and `measured` have no protein in common.")
    a, b = (frame[names].to_numpy(dtype=np.float64) for frame in (predicted, measured))
    known = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    a, b = a[known], b[known]
    return Agreement(
        pd.DataFrame(_scores(a, b, axis=1), index=predicted.index[known]),
        pd.DataFrame(_scores(a, b, axis=0), index=names),
    )


def _scores(a: np.ndarray, b: np.ndarray, *, axis: int) -> dict[str, np.ndarray]:
    da, db = (x - x.mean(axis=axis, keepdims=True) for x in (a, b))
    size = np.sqrt((da**2).sum(axis=axis) * (db**2).sum(axis=axis))
    pearson = np.divide((da * db).sum(axis=axis), size, out=np.full(size.shape, np.nan), where=size > 1e-12)
    return {"pearson": pearson, "rmse": np.sqrt(((a - b) ** 2).mean(axis=axis))}

"""A table of numbers in shades, with the numbers in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sccl.pl.palette import HEAT

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_shades(ax: Axes, values: pd.DataFrame, *, digits: int | None, zeros: bool = True) -> None:
    """Draw a table in shades from 0, light, to 1, dark, with the names of rows at the left and of columns on top.

    Parameters
    ----------
    ax
        What to draw on.
    values
        Numbers; NaN is shown as –.
    digits
        Decimals of the numbers; None leaves them out.
    zeros
        Whether zeros are written, too.
    """
    from matplotlib import colormaps

    shades = colormaps[HEAT].with_extremes(bad="white")
    array = np.ma.masked_invalid(values.to_numpy(dtype=float))
    ax.pcolormesh(
        np.arange(array.shape[1] + 1) - 0.5,
        np.arange(array.shape[0] + 1) - 0.5,
        array,
        cmap=shades,
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=1.5,
    )
    ax.invert_yaxis()
    ax.xaxis.tick_top()
    ax.set_xticks(range(array.shape[1]), map(str, values), rotation=90, fontsize=8, parse_math=False)
    ax.set_yticks(range(array.shape[0]), map(str, values.index), fontsize=8, parse_math=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if digits is None:
        return
    for (row, column), value in np.ndenumerate(values.to_numpy(dtype=float)):
        text = "–" if np.isnan(value) else f"{value:.{digits}f}".replace("0.", ".", 1 if abs(value) < 1 else 0)
        if not zeros and value == 0:
            continue
        dark = not np.isnan(value) and value > 0.55
        ax.text(column, row, text, ha="center", va="center", fontsize=7.5, color="white" if dark else "#222222")

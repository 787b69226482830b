"""A table of scores as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sccl.pl.layout import finish, fit, given_axes, grid, new_figure
from sccl.pl.palette import GREY
from sccl.pl.shades import draw_shades
from sccl.pl.text import title, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELL_INCHES = (0.5, 0.3)


def scores(
    table: pd.DataFrame,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
) -> Any:
    """Draw a table of scores, the best total on top; all colours are from 0 (light) to 1 (dark).

    Parameters
    ----------
    table
        Of :func:`sccl.benchmark.score`: one row per embedding, one column per metric. Undefined ones are shown as –.
    groups
        Columns to be drawn, under headings. None: those of the table, as :func:`sccl.benchmark.score` groups them.
    ax
        Axes to draw on; None makes a figure.
    show
        Whether to show the figure; if None, what ``scanpy.settings.autoshow`` says, unless ``ax`` is given.

    Returns
    -------
    If not shown: the axes.

    Raises
    ------
    ValueError
        If the table is empty or holds text.
    KeyError
        If ``groups`` names a column that is not there.

    Examples
    --------
    >>> table = sccl.benchmark.score({"PCA": pca, "sccl": z}, batch, labels)
    >>> sccl.pl.scores(table)
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"`table` must be a DataFrame of scores, found {type(table).__name__}.")
    if groups is None:
        groups = table.attrs.get("groups") or {"": list(table)}
    columns = [name for names in groups.values() for name in names]
    if missing := [name for name in columns if name not in table]:
        raise KeyError(f"`groups` names {missing[0]!r}, which is not in the table; it has {list(table)}.")
    if not len(table) or not columns:
        raise ValueError("`table` is empty: there is nothing to draw.")
    if text := [name for name in columns if not pd.api.types.is_numeric_dtype(table[name])]:
        raise ValueError(f"`table` must hold numbers, but column {text[0]!r} has {table[text[0]].dtype}.")
    shown = table.sort_values("Total", ascending=False, kind="stable") if "Total" in table else table
    axes = given_axes(ax, 1)
    if axes is None:
        width, height = _CELL_INCHES[0] * len(columns), _CELL_INCHES[1] * len(table)
        panels = grid(new_figure(), 1, 1, width=width, height=height)
    else:
        panels = np.array([axes], dtype=object)
    _draw(panels[0, 0], shown[columns], groups)
    if axes is None:
        fit(panels)
    return finish(panels, given=axes is not None, show=show)


def _draw(ax: Axes, values: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> None:
    draw_shades(ax, values, digits=2)
    start = 0
    for name, columns in groups.items():
        if start:
            ax.axvline(start - 0.5, color="white", linewidth=6)
        if name:
            # below the table, where no metric's name is in the way
            ax.annotate(
                wrap(name, max(10, int(len(columns) * 7))),
                (start + len(columns) / 2 - 0.5, -0.1),
                xycoords=("data", "axes fraction"),
                xytext=(0, -4),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=8,
            )
            ax.plot([start - 0.35, start + len(columns) - 0.65], [len(values) - 0.3] * 2, color=GREY, clip_on=False)
        start += len(columns)
    title(ax, "Scores: higher is better")

"""One panel of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sccl.pl.layout import fit, grid
from sccl.pl.palette import GREY, palette
from sccl.pl.text import legend, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL_INCHES = 3.4


def fill(
    figure: Figure,
    rows: Mapping[str, Sequence[tuple[str, np.ndarray, pd.Series]]],
    *,
    missing: str = "no value",
    seed: int = 0,
) -> np.ndarray:
    """Fill a figure with rows of panels.

    Parameters
    ----------
    figure
        Empty; gets the size that it needs.
    rows
        Name of each row and its panels, as many in each: what the colours are, coordinates of shape `(n_cells, 2)`, and the
        group of each cell. Equal categories get equal colours.
    missing
        What cells without a group are, for the legend.
    seed
        Seed of the order in which cells are drawn.

    Returns
    -------
    The axes, rows × columns.
    """
    n_columns = max(map(len, rows.values()))
    axes = grid(figure, len(rows), n_columns, width=_PANEL_INCHES, height=_PANEL_INCHES)
    for row, (name, panels) in zip(axes, rows.items(), strict=True):
        for ax, (what, xy_n2, group) in zip(row, panels, strict=True):
            scatter(ax, xy_n2, group, f"{name}, {what}", missing=missing, seed=seed)
    fit(axes)
    return axes


def scatter(
    ax: Axes, xy_n2: np.ndarray, group: pd.Series, text: str, *, missing: str = "no value", seed: int = 0
) -> None:
    """Draw cells, coloured by group, or by a number.

    Parameters
    ----------
    ax
        What to draw on.
    xy_n2
        Coordinates, shape `(n_cells, 2)`.
    group
        Shape `(n_cells,)`. Decimal numbers get a colour bar, all else a legend. Cells without a value are grey, below
        the others.
    text
        Title.
    missing
        What cells without a value are, for the legend.
    seed
        Seed of the order in which cells are drawn: a common order hides no group under another.
    """
    order = np.random.default_rng(seed).permutation(len(xy_n2))
    order = order[np.argsort(group.notna().to_numpy()[order], kind="stable")]
    x, y, group = xy_n2[order, 0], xy_n2[order, 1], group.iloc[order]
    size = float(np.clip(20_000 / max(len(x), 1), 1, 20))
    options: dict[str, Any] = {"s": size, "linewidths": 0, "rasterized": True}
    if pd.api.types.is_float_dtype(group.dtype):
        known = group.notna().to_numpy()
        ax.scatter(x[~known], y[~known], c=GREY, **options)
        points = ax.scatter(x[known], y[known], c=group[known].to_numpy(), cmap="viridis", **options)
        ax.figure.colorbar(points, cax=ax.inset_axes((1.03, 0.2, 0.04, 0.6)))
    else:
        group = group.astype("category")
        names, codes = group.cat.categories, group.cat.codes.to_numpy()
        colors = np.array([*(palette(len(names)) if len(names) else []), GREY])  # code -1, no value, is the last one
        ax.scatter(x, y, c=colors[codes], **options)
        shown = [code for code in [*range(len(names)), -1] if code in codes]
        texts = [missing if code < 0 else str(names[code]) for code in shown]
        legend(ax, [_dot(colors[code]) for code in shown], texts)
    ax.set(xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="datalim")
    ax.spines[:].set_visible(False)
    title(ax, text)


def _dot(color: str) -> object:
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none", marker="o", markersize=6, color=color)

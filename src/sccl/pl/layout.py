"""Axes in and out, and figures that are as large as what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARGIN, _GAP = 0.08, 0.3  # inches
# Letters are set on whole pixels: at another resolution a text may be wider, by a tenth.
_SLACK = 1.1


def grid(figure: Figure, n_rows: int, n_columns: int, *, width: float, height: float) -> np.ndarray:
    """Return axes of the given size in inches, rows × columns; :func:`fit` makes room for what is around them."""
    figure.set_size_inches(n_columns * width, n_rows * height)
    axes = np.empty((n_rows, n_columns), dtype=object)
    for row, column in np.ndindex(n_rows, n_columns):
        axes[row, column] = figure.add_axes(
            (column / n_columns, 1 - (row + 1) / n_rows, 1 / n_columns, 1 / n_rows),
            label=f"{row}, {column}",
        )
    return axes


def fit(axes: np.ndarray) -> None:
    """Move the axes of :func:`grid` apart, and make the figure so large that titles, ticks and legends are all inside."""
    figure = axes[0, 0].figure
    # how far what belongs to each reaches over its left, right, bottom and top edge, and its own size, in inches
    around, sizes = np.zeros((4, *axes.shape)), np.zeros((2, *axes.shape))
    renderer = renderer_of(figure)
    for place, ax in np.ndenumerate(axes):
        inner, outer = ax.get_window_extent(renderer), ax.get_tightbbox(renderer)
        sizes[:, *place] = np.array([inner.width, inner.height]) / figure.dpi
        reach = [inner.x0 - outer.x0, outer.x1 - inner.x1, inner.y0 - outer.y0, outer.y1 - inner.y1]
        around[:, *place] = _SLACK * np.maximum(reach, 0) / figure.dpi
    left, right = around[0].max(axis=0), around[1].max(axis=0)
    bottom, top = around[2].max(axis=1), around[3].max(axis=1)
    width, height = sizes[0].max(axis=0), sizes[1].max(axis=1)
    total = (
        (left + width + right).sum() + _GAP * (axes.shape[1] - 1) + 2 * _MARGIN,
        (bottom + height + top).sum() + _GAP * (axes.shape[0] - 1) + 2 * _MARGIN,
    )
    figure.set_size_inches(*total)
    y = total[1] - _MARGIN
    for row in range(axes.shape[0]):
        y -= top[row] + height[row]
        x = _MARGIN
        for column in range(axes.shape[1]):
            x += left[column]
            axes[row, column].set_position(
                (x / total[0], y / total[1], width[column] / total[0], height[row] / total[1])
            )
            x += width[column] + right[column] + _GAP
        y -= bottom[row] + _GAP


def renderer_of(figure: Any) -> Any:
    """Return what measures texts, at the figure's resolution."""
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(1, 1, figure.dpi)


def new_figure() -> Figure:
    """Return a figure that a notebook or a window shows."""
    from matplotlib import pyplot

    return pyplot.figure()


def given_axes(ax: Axes | Sequence[Axes] | np.ndarray | None, n: int) -> list[Axes] | None:
    """Return the axes that the user passed, as many as there are panels; None if there are none.

    Raises
    ------
    TypeError
        If they are no axes.
    ValueError
        If there are more or fewer than panels.
    """
    from matplotlib.axes import Axes

    if ax is None:
        return None
    axes = [ax] if isinstance(ax, Axes) else list(np.ravel(np.asarray(ax, dtype=object)))
    for one in axes:
        if not isinstance(one, Axes):
            raise TypeError(f"`ax` must hold matplotlib's axes, found {type(one).__name__}.")
    if len(axes) != n:
        raise ValueError(f"`ax` must hold {n} axes, one per panel, found {len(axes)}.")
    return axes


def finish(axes: np.ndarray, *, given: bool, show: bool | None) -> Any:
    """Show the figure, or return its axes: one alone if there is only one.

    Parameters
    ----------
    axes
        All panels.
    given
        Whether they are the user's, who then shows them.
    show
        As in scanpy: if None, what ``scanpy.settings.autoshow`` says, unless the axes are the user's.
    """
    if show is None and not given:
        from scanpy import settings

        show = settings.autoshow
    if show:
        from matplotlib import pyplot

        pyplot.show()
        return None
    return axes.item() if axes.size == 1 else axes

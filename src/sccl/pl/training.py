"""How a training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from sccl.pl.layout import finish, fit, given_axes, grid, new_figure
from sccl.pl.palette import palette
from sccl.pl.text import legend, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sccl.model import CLModel

#: What is drawn, in this order: the curves of a panel and what they are called, and what to look for.
PANELS: dict[str, tuple[dict[str, str], str]] = {
    "Loss": ({"train_loss": "training", "validation_loss": "validation"}, "falls, then flattens"),
    "Alignment": ({"alignment": "alignment"}, "distance of a cell's two views: lower is closer"),
    "Uniformity": ({"uniformity": "uniformity"}, "lower: cells fill the space; 0: all in one point"),
    "Effective rank": ({"effective_rank": "effective rank"}, "dimensions in use; near 1: collapsed"),
}


def training(
    model: CLModel | Mapping[str, pd.DataFrame],
    *,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
) -> Any:
    """Draw the loss of each epoch, and beside it alignment, uniformity and effective rank.

    Parameters
    ----------
    model
        A trained model, or its ``history``.
    ax
        Axes to draw on, one per panel: four, or fewer if the history has less; or one, for the loss alone. None makes a
        figure.
    show
        Whether to show the figure; if None, what ``scanpy.settings.autoshow`` says, unless ``ax`` is given.

    Returns
    -------
    If not shown: the axes.

    Raises
    ------
    ValueError
        If the model was not trained, or ``ax`` does not hold one per panel.

    References
    ----------
    Wang & Isola, *Understanding contrastive representation learning through alignment and uniformity on the
    hypersphere*, ICML 2020. Roy & Vetterli, *The effective rank*, EUSIPCO 2007.

    Examples
    --------
    >>> sccl.pl.training(model)
    """
    from matplotlib.axes import Axes

    history = model if isinstance(model, Mapping) else model.history
    panels = _panels(history)
    if isinstance(ax, Axes):
        panels = panels[:1]
    axes = given_axes(ax, len(panels))
    if axes is None:
        return finish(fill(new_figure(), history or {}), given=False, show=show)
    return finish(_draw(axes, panels, history or {}), given=True, show=show)


def fill(figure: Figure, history: Mapping[str, pd.DataFrame]) -> Any:
    """Fill an empty figure, see :func:`training`, and return its axes."""
    panels = _panels(history)
    axes = grid(figure, 1, len(panels), width=2.6, height=2.2)
    _draw(list(axes[0]), panels, history)
    fit(axes)
    return axes[0]


def _panels(history: Mapping[str, pd.DataFrame] | None) -> list[str]:
    found = [name for name, (curves, _) in PANELS.items() if history and set(curves) & set(history)]
    if not found:
        raise ValueError("`model` has no history: train it first, `model.train()`.")
    return found


def _draw(axes: list[Axes], panels: list[str], history: Mapping[str, pd.DataFrame]) -> Any:
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    for ax, panel in zip(axes, panels, strict=True):
        curves, meaning = PANELS[panel]
        drawn = {name: history[key].squeeze("columns") for key, name in curves.items() if key in history}
        for curve, color in zip(drawn.values(), palette(2), strict=False):
            ax.plot(curve.index, curve.to_numpy(), color=color, marker="o" if len(curve) == 1 else None)
        ax.set(xlabel="epoch")
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.spines[["top", "right"]].set_visible(False)
        if len(drawn) > 1:
            legend(ax, ax.get_lines(), list(drawn))
        title(ax, f"{panel} ({meaning})")
    return np.array(axes, dtype=object)

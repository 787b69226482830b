"""True labels against predicted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sccl.inputs import as_text
from sccl.pl.layout import finish, fit, given_axes, grid, new_figure
from sccl.pl.shades import draw_shades
from sccl.pl.text import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

# Numbers are written into so many columns at most, for more they would be too small.
_MOST_WITH_NUMBERS = 20


def confusion(true: ArrayLike, predicted: ArrayLike, *, ax: Axes | None = None, show: bool | None = None) -> Any:
    """Draw which labels cells of each label got.

    Parameters
    ----------
    true, predicted
        Labels, shape ``(n_cells,)``, of any type; compared as text. Cells without a true label are left out.
    ax
        Axes to draw on; None makes a figure.
    show
        Whether to show the figure; if None, what ``scanpy.settings.autoshow`` says, unless ``ax`` is given.

    Returns
    -------
    If not shown: the axes. Each row sums to 1; labels are in the same order in rows and columns, those that are on one side
    only, like "unknown", last.

    Raises
    ------
    ValueError
        If the two differ in length, a prediction is missing, or no cell has a label.

    Examples
    --------
    >>> sccl.pl.confusion(query.obs["cell_type"], query.obs["cell_type_predicted"])
    """
    share = _shares(as_text(true), as_text(predicted))
    axes = given_axes(ax, 1)
    size = 0.36
    panels = (
        grid(new_figure(), 1, 1, width=size * max(share.shape[1], 4), height=size * max(len(share), 2))
        if axes is None
        else np.array([axes], dtype=object)
    )
    one = panels[0, 0]
    draw_shades(one, share, digits=2 if share.shape[1] <= _MOST_WITH_NUMBERS else None, zeros=False)
    one.set_ylabel("true label")
    one.set_xlabel("predicted label")
    one.xaxis.set_label_position("bottom")
    title(one, "Share of each true label that got which predicted label")
    if axes is None:
        fit(panels)
    return finish(panels, given=axes is not None, show=show)


def _shares(true: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    if len(true) != len(predicted):
        raise ValueError(
            f"`true` has {len(true)} cells and `predicted` {len(predicted)}: they must be of the same cells."
        )
    known = ~pd.isna(true)
    if not known.any():
        raise ValueError("`true` has no cell with a label.")
    if pd.isna(predicted[known]).any():
        raise ValueError(f"`predicted` lacks {np.count_nonzero(pd.isna(predicted[known]))} labels.")
    counts = pd.crosstab(pd.Series(true[known]), pd.Series(predicted[known]))
    shared = [name for name in counts.index if name in counts.columns]
    rows, columns = (
        [*shared, *(name for name in names if name not in shared)] for names in (counts.index, counts.columns)
    )
    counts = counts.loc[rows, columns]
    return counts.div(counts.sum(axis=1), axis=0)

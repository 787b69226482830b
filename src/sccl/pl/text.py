"""Titles and legends in which no name is cut."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sccl.pl.layout import renderer_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FONT_SIZE = 8
# A name of more letters takes several lines of a legend.
_LETTERS = 36
_LINE_INCHES = 0.165


def legend(ax: Axes, handles: Sequence[Any], names: Sequence[str]) -> None:
    """Put a legend beside a panel, in as many columns as keep it beside the panel.

    Names are drawn as they are: a dollar makes no formula, and an underscore hides none. Long ones take several lines.

    Parameters
    ----------
    ax
        The panel.
    handles, names
        What is drawn, and what it is called.
    """
    wrapped = [wrap(name, _LETTERS) for name in names]
    height = ax.get_window_extent().height / ax.figure.dpi
    n_lines = sum(name.count("\n") + 1 for name in wrapped)
    n_columns = max(1, -(-n_lines // max(int(height / _LINE_INCHES), 1)))
    drawn = ax.legend(
        handles,
        ["x"] * len(names),
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        frameon=False,
        fontsize=_FONT_SIZE,
        ncols=n_columns,
        handletextpad=0.3,
        columnspacing=1,
        labelspacing=0.3,
    )
    for text, name in zip(drawn.get_texts(), wrapped, strict=True):
        text.set_parse_math(False)
        text.set_text(name)


def title(ax: Axes, text: str) -> None:
    """Write a title at the left, over panel and legend, in as many lines as it takes; after the legend."""
    width = ax.get_window_extent().width
    if (beside := ax.get_legend()) is not None:
        width += beside.get_window_extent(renderer_of(ax.figure)).width
    ax.set_title(wrap(text, max(int(width / ax.figure.dpi / 0.085), 12)), loc="left", fontsize=10, parse_math=False)


def wrap(text: str, n_letters: int) -> str:
    """Return a text in lines of at most so many letters, broken between words where that is possible."""
    return "\n".join(textwrap.wrap(text, n_letters, break_on_hyphens=False)) or text

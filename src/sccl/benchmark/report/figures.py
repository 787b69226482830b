"""The pictures of the report, as SVG to be put into the page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sccl.pl.layout import fit, grid
from sccl.pl.palette import GREY, palette
from sccl.pl.text import legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def quality_against_time(table: pd.DataFrame) -> Figure:
    """Draw the total score of each row against the seconds its embedding took, one colour per method or model."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure()
    axes = grid(figure, 1, 1, width=5, height=3.2)
    ax = axes[0, 0]
    # what was in memory already took no time at all, which a logarithm does not show
    seconds = table["Seconds"].clip(lower=0.01)
    names = np.where(table["model"] == "–", table["method"], table["model"])
    low, high = seconds.min() / 2, 2 * seconds.max()
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    shown = list(dict.fromkeys(names))
    points = []
    for name, color in zip(shown, palette(len(shown)), strict=True):
        rows = table[names == name]
        bars = ax.errorbar(
            seconds[rows.index],
            rows["Total"],
            yerr=rows["Total sd"].fillna(0),
            fmt="o",
            markersize=5,
            alpha=0.8,
            color=color,
        )
        points.append(bars)
    # plain numbers, so few that they do not overlap
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="seconds for the embedding", ylabel="total score, mean ± sd over seeds")
    ax.spines[["top", "right"]].set_visible(False)
    legend(ax, points, shown)
    fit(axes)
    return figure


def effects(table: pd.DataFrame) -> Figure:
    """Draw what each choice is worth, see :func:`sccl.benchmark.report.statistics.main_effects`."""
    from matplotlib.figure import Figure

    figure = Figure()
    axes = grid(figure, 1, 1, width=4, height=0.26 * max(len(table), 3))
    ax = axes[0, 0]
    y = np.arange(len(table))[::-1]
    bars = np.abs(table[["low", "high"]].sub(table["effect"], axis=0)).fillna(0).to_numpy().T
    ax.errorbar(table["effect"], y, xerr=bars, fmt="o", markersize=5, color="black", ecolor="grey")
    ax.axvline(0, color=GREY, zorder=0)
    ax.set_yticks(y, table["factor"] + " = " + table["value"].astype(str), fontsize=8, parse_math=False)
    ax.set_ylim(-0.5, len(table) - 0.5)
    ax.locator_params(axis="x", nbins=5)
    ax.set(xlabel="total score, difference from the mean of all values")
    ax.spines[["top", "right"]].set_visible(False)
    fit(axes)
    return figure


def as_svg(figure: Figure) -> str:
    """Return a figure as an SVG element that scrolls where it does not fit. Points of scatter plots are pixels in it."""
    import matplotlib

    with io.StringIO() as file, matplotlib.rc_context({"svg.hashsalt": "sccl", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", dpi=90, metadata={"Date": None})
        return f'<div class="wide">{file.getvalue().partition("<svg")[2].join(["<svg", ""])}</div>'

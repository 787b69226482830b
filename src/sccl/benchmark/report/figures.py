"""The pictures of the report, as SVG to be put into the page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sccl.benchmark.pictures import plain_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def quality_against_time(table: pd.DataFrame) -> Figure:
    """Draw the total score of each row against the seconds its embedding took, one colour per method or model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 4), layout="constrained")
    ax = figure.subplots()
    # what was in memory already took no time at all, which a logarithm does not show
    seconds = table["Seconds"].clip(lower=0.01)
    names = np.where(table["model"] == "–", table["method"], table["model"])
    ax.set_xscale("log")
    ax.set_xlim(seconds.min() / 2, 2 * seconds.max())
    shown = list(dict.fromkeys(names))
    points = []
    for name in shown:
        rows = table[names == name]
        bars = ax.errorbar(
            seconds[rows.index],
            rows["Total"],
            yerr=rows["Total sd"].fillna(0),
            fmt="o",
            markersize=5,
            alpha=0.8,
        )
        points.append(bars)
    ax.set(xlabel="seconds for the embedding", ylabel="total score, mean ± sd over seeds")
    ax.spines[["top", "right"]].set_visible(False)
    plain_legend(ax, points, shown)
    return figure


def effects(table: pd.DataFrame) -> Figure:
    """Draw what each choice is worth, see :func:`sccl.benchmark.report.statistics.main_effects`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 0.6 + 0.26 * len(table)), layout="constrained")
    ax = figure.subplots()
    y = np.arange(len(table))[::-1]
    bars = np.abs(table[["low", "high"]].sub(table["effect"], axis=0)).fillna(0).to_numpy().T
    ax.errorbar(table["effect"], y, xerr=bars, fmt="o", markersize=5, color="black", ecolor="grey")
    ax.axvline(0, color="lightgrey", zorder=0)
    ax.set_yticks(y, table["factor"] + " = " + table["value"].astype(str), fontsize=8, parse_math=False)
    ax.set(xlabel="total score, difference from the mean of all values")
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def as_svg(figure: Figure) -> str:
    """Return a figure as an SVG element. Points of scatter plots are pixels in it."""
    import matplotlib

    with io.StringIO() as file, matplotlib.rc_context({"svg.hashsalt": "sccl", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", dpi=90, metadata={"Date": None})
        return file.getvalue().partition("<svg")[2].join(["<svg", ""])

"""Panels of cells, and the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL_INCHES = 3.6


def draw_umaps(coordinates: Mapping[str, np.ndarray], groups: Mapping[str, pd.Series], *, seed: int = 0) -> Figure:
    """Draw one row of panels per embedding and one column per grouping of the cells.

    Parameters
    ----------
    coordinates
        Name of each embedding and its UMAP, shape `(n_cells, 2)`.
    groups
        Title of each column and the group of each cell, shape `(n_cells,)`. Missing values are drawn in grey.
    seed
        Seed of the order in which cells are drawn: a common order hides no group under another.
    """
    titles = {title: f"by {title}" for title in groups}
    return draw_panels(
        {
            name: [(titles[title], xy_n2, group) for title, group in groups.items()]
            for name, xy_n2 in coordinates.items()
        },
        seed=seed,
    )


def draw_panels(rows: Mapping[str, Sequence[tuple[str, np.ndarray, pd.Series]]], *, seed: int = 0) -> Figure:
    """Draw rows of panels.

    Parameters
    ----------
    rows
        Name of each row and its panels: title, coordinates of shape `(n_cells, 2)`, and the group of each cell. Cells
        without a group are drawn in grey, below the others. Equal categories get equal colours.
    seed
        Seed of the order in which cells are drawn.
    """
    from matplotlib.figure import Figure

    n_columns = max(map(len, rows.values()))
    size = (1.5 * _PANEL_INCHES * n_columns, _PANEL_INCHES * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), n_columns, squeeze=False)
    for row, (name, panels) in zip(axes, rows.items(), strict=True):
        for ax, (title, xy_n2, group) in zip(row, panels, strict=True):
            order = np.random.default_rng(seed).permutation(len(xy_n2))
            order = order[np.argsort(group.notna().to_numpy()[order], kind="stable")]
            _scatter(ax, xy_n2[order], group.iloc[order])
            ax.set_title(f"{name}, {title}", fontsize=11, parse_math=False)
    return figure


def draw_loss(loss: pd.Series) -> Figure:
    """Draw the training loss of each epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    ax = figure.subplots()
    ax.plot(loss.index, loss.to_numpy())
    ax.set(xlabel="epoch", ylabel="training loss")
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def _scatter(ax: Axes, xy_n2: np.ndarray, group: pd.Series) -> None:
    from matplotlib.lines import Line2D

    group = group.astype("category")
    names, codes = group.cat.categories, group.cat.codes.to_numpy()
    palette = _palette(len(names))
    colors = np.array([*palette, "lightgrey"])  # code -1, a missing value, is the last one
    ax.scatter(
        xy_n2[:, 0], xy_n2[:, 1], c=colors[codes], s=np.clip(20_000 / len(xy_n2), 1, 20), linewidths=0, rasterized=True
    )
    ax.set(xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="datalim")
    ax.spines[:].set_visible(False)
    # a column of the legend holds what fits beside the panel
    shown = [code for code in range(len(names)) if code in codes]
    dots = [Line2D([], [], linestyle="none", marker="o", markersize=6, color=palette[code]) for code in shown]
    plain_legend(ax, dots, [str(names[code]) for code in shown], ncols=-(-len(shown) // 16), handletextpad=0.1)


def plain_legend(ax: Axes, handles: Sequence[Any], names: Sequence[str], **options: Any) -> None:
    """Put a legend beside a panel, with names as they are: a dollar is no formula, and an underscore hides none."""
    legend = ax.legend(
        handles, ["x"] * len(names), loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8, **options
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)


def _palette(n: int) -> list[str]:
    """Colours that can be told apart, as scanpy picks them."""
    from scanpy.plotting import palettes

    for colors in (palettes.vega_10_scanpy, palettes.default_20, palettes.default_102):
        if n <= len(colors):
            return list(colors[:n])
    return [palettes.default_102[i % len(palettes.default_102)] for i in range(n)]

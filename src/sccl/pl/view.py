"""What a view does to a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sccl.inputs import as_count, check_anndata, find_batches
from sccl.inputs.csr import as_csr
from sccl.inputs.expression import matrix_of
from sccl.pl.layout import finish, fit, given_axes, grid, new_figure
from sccl.pl.palette import GREY, palette
from sccl.pl.text import legend, title

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

# Draws until one changes the cell, which an augmentation does with some probability only.
_N_DRAWS = 1000


def view(
    adata: AnnData,
    augmentation: Any,
    *,
    cell: str | int = 0,
    batch_key: str | list[str] | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    seed: int = 0,
) -> Any:
    """Draw the second view of a cell against the cell itself: each point is a gene.

    It is the second because some augmentations leave the first as it is.

    Parameters
    ----------
    adata
        Cells with log-expression in ``X``, as :func:`sccl.pp.preprocess` leaves it.
    augmentation
        As :meth:`sccl.CLModel.train` takes it: a preset's name, an object, or a mapping. The first of a thousand draws that
        changes the cell is shown.
    cell
        Name or row number.
    batch_key
        Column of ``adata.obs``, or several; needed by augmentations that borrow from neighbours.
    ax
        Axes to draw on; None makes a figure.
    show
        Whether to show the figure; if None, what ``scanpy.settings.autoshow`` says, unless ``ax`` is given.
    seed
        Of the draws.

    Returns
    -------
    If not shown: the axes.

    Raises
    ------
    KeyError
        If there is no such cell, preset or column.
    ValueError
        If batches are needed and not named, or an argument is out of range.

    Examples
    --------
    >>> sccl.pl.view(adata, {"mask": {"fraction": 0.4}})
    """
    check_anndata(adata)
    before_g, after_g, name = _draw_view(adata, augmentation, cell, batch_key, seed)
    axes = given_axes(ax, 1)
    panels = grid(new_figure(), 1, 1, width=3.4, height=3.4) if axes is None else np.array([axes], dtype=object)
    _scatter(panels[0, 0], before_g, after_g, name)
    if axes is None:
        fit(panels)
    return finish(panels, given=axes is not None, show=show)


def _draw_view(
    adata: AnnData, augmentation: Any, cell: str | int, batch_key: str | list[str] | None, seed: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the cell, a view of it, and the cell's name."""
    import torch

    from sccl import graph
    from sccl.augment import as_compose

    row = _row(adata, cell)
    views = as_compose(augmentation)
    if views.needs_neighbors:
        if batch_key is None:
            raise ValueError("`batch_key` is needed: this augmentation borrows from neighbours in other batches.")
        batch = find_batches(adata.obs, batch_key)
        views = views.bind(graph.CellSpace(graph.representation(adata), batch))
    csr = as_csr(matrix_of(adata, None)[0])
    rows, before_g = np.array([row]), csr[[row]].toarray()[0]
    after_1g = torch.empty(1, adata.n_vars)
    for draw in range(_N_DRAWS):
        steps = views.draw(rows, pool=np.arange(adata.n_obs), seed=seed + draw, epoch=0, view=1)
        views.fill(after_1g, csr, rows, steps)
        if not np.array_equal(after_1g.numpy()[0], before_g):
            break
    return before_g, after_1g.numpy()[0], str(adata.obs_names[row])


def _row(adata: AnnData, cell: str | int) -> int:
    if isinstance(cell, str):
        if cell not in adata.obs_names:
            raise KeyError(f"`cell`: {cell!r} is none of the {adata.n_obs} names of adata.obs_names.")
        return int(np.flatnonzero(adata.obs_names == cell)[0])
    if as_count(cell, "cell", least=0) >= adata.n_obs:
        raise ValueError(f"`cell` must be a name, or a row below {adata.n_obs}, found {cell}.")
    return int(cell)


def _scatter(ax: Axes, before_g: np.ndarray, after_g: np.ndarray, name: str) -> None:
    changed = before_g != after_g
    kinds = {
        "as it was": ~changed & (before_g > 0),
        "set to zero": changed & (after_g == 0),
        "lowered": changed & (after_g > 0) & (after_g < before_g),
        "raised": changed & (before_g > 0) & (after_g > before_g),
        "new in the view": changed & (before_g == 0),
    }
    top = 1.05 * max(before_g.max(), after_g.max(), 1e-3)
    ax.plot([0, top], [0, top], color=GREY, linewidth=1, zorder=0)
    shown, handles = [], []
    for (kind, genes), color in zip(kinds.items(), ["#888888", *palette(4)], strict=True):
        if genes.any():
            handles.append(ax.scatter(before_g[genes], after_g[genes], s=12, color=color, linewidths=0, clip_on=False))
            shown.append(f"{kind}: {np.count_nonzero(genes)}")
    ax.set(
        xlabel="log-expression in the cell",
        ylabel="log-expression in the view",
        xlim=(0, top),
        ylim=(min(0, after_g.min()), top),
    )
    ax.spines[["top", "right"]].set_visible(False)
    legend(ax, handles, shown)
    title(ax, f"A view of cell {name}: {np.count_nonzero(changed)} of {len(changed)} genes changed")

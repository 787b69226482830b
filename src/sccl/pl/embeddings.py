"""Embeddings side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sccl.inputs import as_text, check_anndata, find_column
from sccl.pl.cells import fill, scatter
from sccl.pl.coordinates import stored, umap
from sccl.pl.layout import finish, given_axes, new_figure

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes


def embeddings(
    adata: AnnData,
    basis: str | Sequence[str],
    color: str | Sequence[str],
    *,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    seed: int = 0,
) -> Any:
    """Draw embeddings below each other, by batch, by cell type or by any other column beside each other.

    Parameters
    ----------
    adata
        Cells. Nothing is written to them.
    basis
        One or several keys of ``adata.obsm``. Of what has more than two dimensions the UMAP is drawn, which is computed
        from exact neighbours each time: ten seconds for 3000 cells, minutes for 100 000.
    color
        One or several columns of ``adata.obs``. Decimal numbers get a colour bar, all else a legend, and cells without a
        value are grey.
    ax
        Axes to draw on, one per panel, row by row. None makes a figure that is as large as its legends need.
    show
        Whether to show the figure; if None, what ``scanpy.settings.autoshow`` says, unless ``ax`` is given.
    seed
        Of UMAP, and of the order in which cells are drawn.

    Returns
    -------
    If not shown: the axes, embeddings × colours, or the only one.

    Raises
    ------
    KeyError
        If a basis or column does not exist.
    ValueError
        If an embedding has one dimension only or is not finite, or ``ax`` does not hold one per panel.

    Examples
    --------
    >>> sccl.pl.embeddings(adata, ["X_pca", "X_cl"], color=["batch", "cell_type"])
    """
    check_anndata(adata)
    bases, colors = ([names] if isinstance(names, str) else list(names) for names in (basis, color))
    for argument, names in (("basis", bases), ("color", colors)):
        if not names:
            raise ValueError(f"`{argument}` is empty: name at least one.")
    groups = {name: as_group(find_column(adata.obs, name, "color")) for name in colors}
    arrays = {name: stored(adata, name) for name in bases}
    axes = given_axes(ax, len(bases) * len(colors))
    rows = {}
    for name, z_nd in arrays.items():
        is_flat = z_nd.shape[1] == 2
        xy_n2 = z_nd if is_flat else umap(z_nd, seed=seed)
        rows[name if is_flat else f"UMAP of {name}"] = [(f"by {key}", xy_n2, group) for key, group in groups.items()]
    if axes is None:
        return finish(fill(new_figure(), rows, seed=seed), given=False, show=show)
    panels = [(f"{row}, {what}", xy_n2, group) for row, row_panels in rows.items() for what, xy_n2, group in row_panels]
    for one, (text, xy_n2, group) in zip(axes, panels, strict=True):
        scatter(one, xy_n2, group, text, seed=seed)
    return finish(np.array(axes, dtype=object).reshape(len(bases), -1), given=True, show=show)


def as_group(column: pd.Series) -> pd.Series:
    """Return decimal numbers as they are, and all else as categories in their order, or that of their names."""
    if pd.api.types.is_float_dtype(column.dtype):
        return column
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    return pd.Series(pd.Categorical(as_text(column)), index=column.index)

"""New cells on top of those of a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sccl.inputs import as_text, check_anndata, find_column
from sccl.pl.cells import fill, scatter
from sccl.pl.coordinates import stored, umap_with_query
from sccl.pl.layout import finish, given_axes, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes


def query(
    reference: AnnData,
    query: AnnData,
    labels_key: str,
    *,
    basis: str = "X_cl",
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    seed: int = 0,
) -> Any:
    """Draw a reference by its labels, and beside it the query on top of it, by true and by predicted labels.

    Parameters
    ----------
    reference, query
        Cells with the same embedding; nothing is written to them.
    labels_key
        Column of ``reference.obs``; of the query ``labels_key`` and ``{labels_key}_predicted``, which
        :func:`sccl.mapping.transfer_labels` writes, are drawn if they are there.
    basis
        Key of ``obsm`` of both. Of what has more than two dimensions the UMAP of the reference is drawn, and the query is
        placed in it and moves nothing.
    ax
        Axes to draw on, one per panel. None makes a figure that is as large as its legends need.
    show
        Whether to show the figure; if None, what ``scanpy.settings.autoshow`` says, unless ``ax`` is given.
    seed
        Of UMAP, and of the order in which cells are drawn.

    Returns
    -------
    If not shown: the axes. A label has the same colour in all of them.

    Raises
    ------
    KeyError
        If a basis or column does not exist.
    ValueError
        If the embeddings differ in their dimensions, or ``ax`` does not hold one axes per panel.

    Examples
    --------
    >>> reference.obsm["X_cl"] = model.get_latent_representation(reference)
    >>> query.obsm["X_cl"] = model.map_query(query)
    >>> sccl.mapping.transfer_labels(model, reference, query, "cell_type")
    >>> sccl.pl.query(reference, query, "cell_type")
    """
    check_anndata(reference, "reference")
    check_anndata(query, "query")
    labels = as_text(find_column(reference.obs, labels_key, "labels_key", owner="reference"))
    of_query = {
        name: as_text(query.obs[key])
        for name, key in (("labels", labels_key), ("predicted labels", f"{labels_key}_predicted"))
        if key in query.obs
    }
    z_nd, query_nd = stored(reference, basis, owner="reference"), stored(query, basis, owner="query")
    if z_nd.shape[1] != query_nd.shape[1]:
        raise ValueError(
            f"`basis`: {basis!r} has {z_nd.shape[1]} dimensions in the reference and {query_nd.shape[1]} in the query."
        )
    axes = given_axes(ax, 1 + max(len(of_query), 1))
    is_flat = z_nd.shape[1] == 2
    xy_n2, query_n2 = (z_nd, query_nd) if is_flat else umap_with_query(z_nd, query_nd, seed=seed)
    name = basis if is_flat else f"UMAP of {basis}"
    panels = query_panels(xy_n2, query_n2, labels, of_query)
    if axes is None:
        return finish(fill(new_figure(), {name: panels}, missing="reference", seed=seed), given=False, show=show)
    for one, (what, coordinates, group) in zip(axes, panels, strict=True):
        scatter(one, coordinates, group, f"{name}, {what}", missing="reference", seed=seed)
    return finish(np.array(axes, dtype=object), given=True, show=show)


def query_panels(
    xy_n2: np.ndarray, query_n2: np.ndarray, labels: np.ndarray, of_query: Mapping[str, np.ndarray]
) -> list[tuple[str, np.ndarray, pd.Series]]:
    """Return the panels: the reference by its labels, and the query on top of it by each of its own.

    Parameters
    ----------
    xy_n2, query_n2
        Coordinates, shape `(n_cells, 2)`.
    labels
        Of the reference, shape `(n_cells,)`; None where there is none.
    of_query
        What they are called, and the labels of the query. Without any the query has one colour.
    """
    groups = dict(of_query) or {"": np.full(len(query_n2), "query", dtype=object)}
    names = sorted({name for column in (labels, *groups.values()) for name in column if not pd.isna(name)})
    both_n2 = np.vstack([xy_n2, query_n2])
    panels = [("labels of the reference", xy_n2, pd.Series(pd.Categorical(labels, names)))]
    for what, column in groups.items():
        group = pd.Categorical([*np.full(len(xy_n2), None), *column], names)
        panels.append((f"{what} of the query" if what else "query on the reference", both_n2, pd.Series(group)))
    return panels

"""How good is an embedding? scib-metrics' scores for any number of embeddings, as one table."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sccl.benchmark.scores.cilisi import cilisi
from sccl.benchmark.scores.clusters import cluster_agreement
from sccl.benchmark.scores.inputs import as_codes, as_embedding, check_same_order
from sccl.benchmark.scores.jax_cache import use_jax_cache
from sccl.benchmark.scores.kbet import kbet_per_label
from sccl.benchmark.scores.lisi import lisi
from sccl.benchmark.scores.neighbors import exact_neighbors
from sccl.benchmark.scores.pcr import pcr_comparison, pcr_within_types
from sccl.benchmark.scores.purity import K, one_batch_purity, one_batch_types
from sccl.benchmark.scores.scgraph import scgraph
from sccl.benchmark.scores.silhouette import bras, silhouettes
from sccl.benchmark.scores.transfer import transfer_across_batches
from sccl.inputs import as_count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Metrics that ask whether cell types stay apart.
BIO_CONSERVATION = ("Isolated labels", "KMeans NMI", "KMeans ARI", "Silhouette label", "cLISI")
#: Metrics that ask whether batches mix.
BATCH_CORRECTION = ("BRAS", "iLISI", "KBET", "Graph connectivity", "PCR comparison")
#: The aggregates, which follow the metrics in the table.
AGGREGATES = ("Bio conservation", "Batch correction", "Total")
#: The metrics of :data:`BIO_CONSERVATION` and :data:`BATCH_CORRECTION` that are silhouettes.
SILHOUETTES = ("Isolated labels", "Silhouette label", "BRAS")
#: Total of all others, and further measures that are harder to flatter: the last columns of the table.
MEASURES = (
    "Total without silhouettes",
    "CiLISI",
    "PCR within types",
    "One-batch purity",
    "Label accuracy",
    "Label macro-F1",
    "scGraph",
    "scGraph, ranks",
    "KMeans NMI, 10 starts",
    "KMeans ARI, 10 starts",
)

_MIN_CELLS, _N_STARTS = 15, 10


def score(
    embeddings: Mapping[str, ArrayLike],
    batch: ArrayLike,
    labels: ArrayLike,
    *,
    unintegrated: ArrayLike | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Score embeddings of the same cells with the default metrics of scib-metrics' ``Benchmarker``.

    All values are raw: nothing is rescaled across the embeddings, so that a row does not depend on its neighbours in
    the table. Neighbours are exact, metrics are computed one after the other and on one thread where the number of threads
    could change a sum: the same input gives the same number every time. Time and memory traffic grow with the square
    of the number of cells.

    Parameters
    ----------
    embeddings
        Name of each embedding and its array (also a sparse matrix, DataFrame or tensor) of shape `(n_cells, n_dims)`,
        finite; `n_dims` may differ. Left as they are.
    batch
        Batch of each cell, shape `(n_cells,)`, of any type, without missing values. Values are compared as text, see
        :func:`sccl.inputs.as_text`.
    labels
        Cell type of each cell, shape `(n_cells,)`, likewise, and with at least two different ones.
    unintegrated
        The embedding `(n_cells, n_dims)` before any correction, usually PCA: "PCR comparison" is the share of *its*
        batch variance that an embedding has lost. If None, the first of several `embeddings`, which thereby scores 0.
    seed
        Seed of the k-means clustering behind "KMeans NMI" and "KMeans ARI".

    Returns
    -------
    One row per embedding, in the order given; higher is better in every column. :data:`BIO_CONSERVATION`, then
    :data:`BATCH_CORRECTION`, then their means and `Total`, which is 0.6 of "Bio conservation" and 0.4 of "Batch
    correction", all between 0 and 1 up to ARI, which may fall below 0. Then :data:`MEASURES`, see
    :mod:`sccl.benchmark.scores`: none of them is part of `Total`.

    A metric that the batches and labels leave undefined is NaN in all rows and left out of the means: "BRAS" and "KBET"
    where no label spans two batches, "KBET" also where none that does has ten cells, "PCR comparison" where batches
    explain nothing of the unintegrated embedding. With a single batch, all of "Batch correction" is NaN and `Total` is
    "Bio conservation". Each of the measures says when it is undefined.

    Raises
    ------
    TypeError
        If `embeddings` is no mapping.
    ValueError
        If there is no embedding, if shapes or the names of the cells do not match, if values are missing or not finite,
        if there are fewer than 15 cells or two labels, if no two cells share a batch or a label, or if an embedding has
        collapsed to a single point.

    Notes
    -----
    The metrics are those of Luecken et al., *Nature Methods* 19 (2022), as defined by scib-metrics: k-means (with
    as many clusters as labels) stands for the Leiden clustering of the paper, and BRAS (Rautenstrauch and Ohler, 2025)
    for the batch silhouette. ``docs/benchmark.md`` says where values differ from those of ``Benchmarker``, and why.

    Examples
    --------
    >>> table = score({"PCA": adata.obsm["X_pca"], "sccl": adata.obsm["X_cl"]}, adata.obs["batch"], adata.obs["type"])
    >>> table["Total"]
    """
    if not isinstance(embeddings, Mapping):
        raise TypeError(
            f"`embeddings` must be a mapping of names to arrays, found {type(embeddings).__name__}: pass for example "
            '{"PCA": adata.obsm["X_pca"], "sccl": adata.obsm["X_cl"]}.'
        )
    as_count(seed, "seed", least=0)
    arrays = {name: as_embedding(name, values) for name, values in embeddings.items()}
    if not arrays:
        raise ValueError("`embeddings` is empty: give at least one array of shape (n_cells, n_dims).")
    if len(arrays) == 1 and unintegrated is None:
        raise ValueError(
            "`unintegrated`: a single embedding has nothing to be compared with; pass the PCA of the cells."
        )
    before = next(iter(arrays.values())) if unintegrated is None else as_embedding("unintegrated", unintegrated)
    n_cells = len(before)
    if n_cells < _MIN_CELLS:
        raise ValueError(f"Found {n_cells} cells: the scores need at least {_MIN_CELLS}.")
    for name, array in arrays.items():
        if len(array) != n_cells:
            raise ValueError(f"Embedding {name!r} has {len(array)} cells, but another one {n_cells}.")
    batch_codes, label_codes = as_codes("batch", batch, n_cells), as_codes("labels", labels, n_cells)
    check_same_order({"batch": batch, "labels": labels, "unintegrated": unintegrated, **embeddings})
    if label_codes.max() == 0:
        raise ValueError("All cells have the same label: the scores need at least two.")

    with _alone():
        # nothing else asks for the neighbours before integration
        near_before = exact_neighbors(before, K + 1).indices if one_batch_types(label_codes, batch_codes) else None
        rows = [_metrics(array, label_codes, batch_codes, before, near_before, seed) for array in arrays.values()]
    groups = {
        "cell types apart": BIO_CONSERVATION,
        "batches mixed": BATCH_CORRECTION,
        "means": AGGREGATES,
        "hard to flatter": MEASURES,
    }
    table = with_aggregates(pd.DataFrame(rows, index=list(arrays)))
    table = table.reindex(columns=[name for names in groups.values() for name in names])
    table.attrs["groups"] = {name: list(names) for name, names in groups.items()}  # for sccl.pl.scores
    return table


def _metrics(
    x_nd: np.ndarray,
    labels: np.ndarray,
    batch: np.ndarray,
    before_nd: np.ndarray,
    near_before: np.ndarray | None,
    seed: int,
) -> dict[str, float]:
    """Compute all metrics and measures of one embedding but the aggregates; NaN where undefined."""
    import scib_metrics

    neighbors = exact_neighbors(x_nd, 90)
    near, far = neighbors.indices, neighbors.distances
    neighbors_50, neighbors_15 = (neighbors.subset_neighbors(min(k, near.shape[1])) for k in (50, 15))
    widths = (silhouettes(x_nd, labels) + 1) / 2
    n_types, n_batches = int(labels.max()) + 1, int(batch.max()) + 1
    agreement = cluster_agreement(x_nd, labels, range(seed, seed + _N_STARTS))
    found: dict[str, float] = dict.fromkeys((*BIO_CONSERVATION, *BATCH_CORRECTION, *MEASURES[1:]), np.nan)
    found["Isolated labels"] = _of_isolated_labels(widths, labels, batch)
    found["Silhouette label"] = widths.mean()
    found["cLISI"] = (n_types - np.median(lisi(near, far, labels))) / (n_types - 1)
    found["KMeans NMI"], found["KMeans ARI"] = agreement[0]
    found["KMeans NMI, 10 starts"], found["KMeans ARI, 10 starts"] = agreement.mean(axis=0)
    if n_batches > 1:
        found["BRAS"] = bras(x_nd, labels, batch)
        found["iLISI"] = (np.median(lisi(near, far, batch)) - 1) / (n_batches - 1)
        found["KBET"] = kbet_per_label(neighbors_50, batch, labels)
        found["Graph connectivity"] = scib_metrics.graph_connectivity(neighbors_15, labels)
        found["PCR comparison"] = pcr_comparison(before_nd, x_nd, batch)
        found["CiLISI"] = cilisi(x_nd, labels, batch)
        found["PCR within types"] = pcr_within_types(before_nd, x_nd, labels, batch)
        if near_before is not None:
            found["One-batch purity"] = one_batch_purity(near, near_before, labels, batch)
        found["Label accuracy"], found["Label macro-F1"] = transfer_across_batches(x_nd, labels, batch, near)
        found["scGraph"], found["scGraph, ranks"] = scgraph(before_nd, x_nd, labels, batch)
    return found


def _of_isolated_labels(values: np.ndarray, labels: np.ndarray, batch: np.ndarray) -> float:
    """Return the mean of cells' values over the labels that fewest batches have, each counting the same."""
    of_label = (
        pd.DataFrame({"value": values, "batch": batch}).groupby(labels).agg({"value": "mean", "batch": "nunique"})
    )
    return float(of_label.loc[of_label["batch"] == of_label["batch"].min(), "value"].mean())


def with_aggregates(table: pd.DataFrame) -> pd.DataFrame:
    """Add :data:`AGGREGATES` and the total without silhouettes to a table of metrics, leaving undefined metrics out."""

    def total(*, without: tuple[str, ...] = ()) -> tuple[pd.Series, pd.Series, pd.Series]:
        bio, correction = (
            table[[name for name in metrics if name not in without]].mean(axis=1)
            for metrics in (BIO_CONSERVATION, BATCH_CORRECTION)
        )
        return bio, correction, (0.6 * bio + 0.4 * correction).fillna(bio)

    aggregates = dict(zip(AGGREGATES, total(), strict=True))
    return table.assign(**aggregates, **{MEASURES[0]: total(without=SILHOUETTES)[-1]})


@contextmanager
def _alone() -> Iterator[None]:
    """Compute on one thread, which fixes the order of sums, and silence what :func:`score` documents already."""
    import scib_metrics
    from threadpoolctl import threadpool_limits

    use_jax_cache()
    verbosity = scib_metrics.settings.verbosity
    scib_metrics.settings.verbosity = logging.WARNING
    try:
        with threadpool_limits(1):
            yield
    finally:
        scib_metrics.settings.verbosity = verbosity

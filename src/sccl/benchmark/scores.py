"""How good is an embedding? scib-metrics' scores for any number of embeddings, as one table."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sccl.benchmark.inputs import as_codes, as_embedding, check_same_order
from sccl.benchmark.kbet import kbet_per_label
from sccl.benchmark.measures.clusters import cluster_agreement
from sccl.benchmark.measures.pcr import pcr_comparison
from sccl.benchmark.neighbors import exact_neighbors
from sccl.inputs import as_count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Metrics that ask whether cell types stay apart.
BIO_CONSERVATION = ("Isolated labels", "KMeans NMI", "KMeans ARI", "Silhouette label", "cLISI")
#: Metrics that ask whether batches mix.
BATCH_CORRECTION = ("BRAS", "iLISI", "KBET", "Graph connectivity", "PCR comparison")
#: The aggregates, which follow the metrics in the table.
AGGREGATES = ("Bio conservation", "Batch correction", "Total")

_MIN_CELLS = 15


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
    One row per embedding, in the order given; higher is better in every column, and all lie in [0, 1] up to ARI, which
    may fall below 0. :data:`BIO_CONSERVATION`, then :data:`BATCH_CORRECTION`, then their means and `Total`, which is
    0.6 of "Bio conservation" and 0.4 of "Batch correction".

    A metric that the batches and labels leave undefined is NaN in all rows and left out of the means: "BRAS" and "KBET"
    where no label spans two batches, "KBET" also where none that does has ten cells, "PCR comparison" where batches
    explain nothing of the unintegrated embedding. With a single batch, all of "Batch correction" is NaN and `Total` is
    "Bio conservation".

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
        rows = [_metrics(array, label_codes, batch_codes, before, seed=seed) for array in arrays.values()]
    return with_aggregates(pd.DataFrame(rows, index=list(arrays), columns=[*BIO_CONSERVATION, *BATCH_CORRECTION]))


def _metrics(
    x_nd: np.ndarray, labels: np.ndarray, batch: np.ndarray, unintegrated: np.ndarray, *, seed: int
) -> dict[str, float]:
    """Compute every defined metric of one embedding."""
    import scib_metrics
    from scib_metrics.utils import silhouette_samples

    neighbors = exact_neighbors(x_nd, 90)
    neighbors_50, neighbors_15 = (neighbors.subset_neighbors(min(k, int(neighbors.n_neighbors))) for k in (50, 15))
    silhouettes = (silhouette_samples(x_nd, labels).astype(np.float64) + 1) / 2
    found: dict[str, Any] = {
        "Isolated labels": _of_isolated_labels(silhouettes, labels, batch),
        "Silhouette label": silhouettes.mean(),
        "cLISI": scib_metrics.clisi_knn(neighbors, labels),
    }
    found["KMeans NMI"], found["KMeans ARI"] = cluster_agreement(x_nd, labels, [seed])[0]
    if batch.max() > 0:
        if _some_label_spans_batches(labels, batch):
            found["BRAS"] = scib_metrics.bras(x_nd, labels, batch)
        found["iLISI"] = scib_metrics.ilisi_knn(neighbors, batch)
        found["KBET"] = kbet_per_label(neighbors_50, batch, labels)
        found["Graph connectivity"] = scib_metrics.graph_connectivity(neighbors_15, labels)
        found["PCR comparison"] = pcr_comparison(unintegrated, x_nd, batch)
    return {name: float(value) for name, value in found.items()}


def _of_isolated_labels(values: np.ndarray, labels: np.ndarray, batch: np.ndarray) -> float:
    """Return the mean of cells' values over the labels that fewest batches have, each counting the same."""
    of_label = (
        pd.DataFrame({"value": values, "batch": batch}).groupby(labels).agg({"value": "mean", "batch": "nunique"})
    )
    return float(of_label.loc[of_label["batch"] == of_label["batch"].min(), "value"].mean())


def _some_label_spans_batches(labels: np.ndarray, batch: np.ndarray) -> bool:
    """Tell whether BRAS is defined: some label has two batches, and more cells than batches."""
    of_label = pd.Series(batch).groupby(labels).agg(["size", "nunique"])
    return bool(of_label["nunique"].between(2, of_label["size"] - 1).any())


def with_aggregates(table: pd.DataFrame) -> pd.DataFrame:
    """Add :data:`AGGREGATES` to a table of metrics, leaving undefined metrics out."""
    bio = table[list(BIO_CONSERVATION)].mean(axis=1)
    correction = table[list(BATCH_CORRECTION)].mean(axis=1)
    total = (0.6 * bio + 0.4 * correction).fillna(bio)
    return table.assign(**dict(zip(AGGREGATES, (bio, correction, total), strict=True)))


@contextmanager
def _alone() -> Iterator[None]:
    """Compute on one thread, which fixes the order of sums, and silence what :func:`score` documents already."""
    import scib_metrics
    from threadpoolctl import threadpool_limits

    verbosity = scib_metrics.settings.verbosity
    scib_metrics.settings.verbosity = logging.WARNING
    try:
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
            yield
    finally:
        scib_metrics.settings.verbosity = verbosity

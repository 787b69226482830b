"""How good is an embedding? scib-metrics' scores for any number of embeddings, as one table."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scib_metrics.nearest_neighbors import NeighborsResults

#: Metrics that ask whether cell types stay apart.
BIO_CONSERVATION = ("Isolated labels", "KMeans NMI", "KMeans ARI", "Silhouette label", "cLISI")
#: Metrics that ask whether batches mix.
BATCH_CORRECTION = ("BRAS", "iLISI", "KBET", "Graph connectivity", "PCR comparison")
#: The aggregates, in the last columns of the table.
AGGREGATES = ("Bio conservation", "Batch correction", "Total")

_MIN_CELLS = 15


def score(
    embeddings: Mapping[str, ArrayLike],
    batch: ArrayLike,
    labels: ArrayLike,
    *,
    unintegrated: ArrayLike | None = None,
    seed: int = 0,
    n_jobs: int = 2,
) -> pd.DataFrame:
    """Score embeddings of the same cells with the default metrics of scib-metrics' ``Benchmarker``.

    All values are raw: nothing is rescaled across the embeddings, so that a row does not depend on its neighbours in
    the table. Neighbours are exact. Time and memory traffic grow with the square of the number of cells.

    Parameters
    ----------
    embeddings
        Name of each embedding and its array of shape `(n_cells, n_dims)`, finite; `n_dims` may differ.
    batch
        Batch of each cell, shape `(n_cells,)`, without missing values.
    labels
        Cell type of each cell, shape `(n_cells,)`, without missing values and with at least two different ones.
    unintegrated
        The embedding `(n_cells, n_dims)` before any correction, usually PCA: "PCR comparison" is the share of *its*
        batch variance that an embedding has lost. If None, the first of several `embeddings`, which thereby scores 0.
    seed
        Seed of the k-means clustering behind "KMeans NMI" and "KMeans ARI".
    n_jobs
        Number of metrics computed at a time, in threads; half the time of a small data set is compilation.

    Returns
    -------
    One row per embedding, in the order given; higher is better in every column, and all lie in [0, 1] up to ARI, which
    may fall below 0. :data:`BIO_CONSERVATION`, then :data:`BATCH_CORRECTION`, then their means and `Total`, which is
    0.6 of "Bio conservation" and 0.4 of "Batch correction".

    A metric that the batches and labels leave undefined is NaN in all rows and left out of the means: "BRAS" and "KBET"
    where no label spans two batches, "KBET" also where none that does has ten cells. With a single batch, all of "Batch
    correction" is NaN and `Total` is "Bio conservation".

    Raises
    ------
    ValueError
        If there is no embedding, if shapes do not match, if values are missing or not finite, if there are fewer than
        15 cells or two labels, or if an embedding has collapsed to a single point.

    Notes
    -----
    The metrics are those of Luecken et al., *Nature Methods* 19 (2022), as implemented by scib-metrics: k-means (with
    as many clusters as labels) stands for the Leiden clustering of the paper, and BRAS (Rautenstrauch and Ohler, 2025)
    for the batch silhouette.

    Examples
    --------
    >>> table = score({"PCA": adata.obsm["X_pca"], "sccl": adata.obsm["X_cl"]}, adata.obs["batch"], adata.obs["type"])
    >>> table["Total"]
    """
    arrays = {name: _checked_embedding(name, values) for name, values in embeddings.items()}
    if not arrays:
        raise ValueError("`embeddings` is empty: give at least one array of shape (n_cells, n_dims).")
    if len(arrays) == 1 and unintegrated is None:
        raise ValueError(
            "`unintegrated`: a single embedding has nothing to be compared with; pass the PCA of the cells."
        )
    before = next(iter(arrays.values())) if unintegrated is None else _checked_embedding("unintegrated", unintegrated)
    n_cells = len(before)
    if n_cells < _MIN_CELLS:
        raise ValueError(f"Found {n_cells} cells: the scores need at least {_MIN_CELLS}.")
    for name, array in arrays.items():
        if len(array) != n_cells:
            raise ValueError(f"Embedding {name!r} has {len(array)} cells, but another one {n_cells}.")
    batch_codes = _checked_codes("batch", batch, n_cells)
    label_codes = _checked_codes("labels", labels, n_cells)
    if label_codes.max() == 0:
        raise ValueError("All cells have the same label: the scores need at least two.")

    with _quiet(), _exact_search_in_kbet():
        rows = [
            _metrics(array, label_codes, batch_codes, before, seed=seed, n_jobs=n_jobs) for array in arrays.values()
        ]
    return with_aggregates(pd.DataFrame(rows, index=list(arrays), columns=[*BIO_CONSERVATION, *BATCH_CORRECTION]))


def _metrics(
    x_nd: np.ndarray, labels: np.ndarray, batch: np.ndarray, unintegrated: np.ndarray, *, seed: int, n_jobs: int
) -> dict[str, float]:
    """Compute every defined metric of one embedding."""
    import scib_metrics

    neighbors = exact_neighbors(x_nd, 90)
    neighbors_50, neighbors_15 = (neighbors.subset_neighbors(min(k, int(neighbors.n_neighbors))) for k in (50, 15))
    # the slowest ones first, so that the others fill the remaining threads
    tasks: dict[str, Callable[[], Any]] = {}
    if batch.max() > 0:
        tasks["KBET"] = lambda: scib_metrics.kbet_per_label(neighbors_50, batch, labels)
        if _some_label_spans_batches(labels, batch):
            tasks["BRAS"] = lambda: scib_metrics.bras(x_nd, labels, batch)
        tasks["iLISI"] = lambda: scib_metrics.ilisi_knn(neighbors, batch)
        tasks["Graph connectivity"] = lambda: scib_metrics.graph_connectivity(neighbors_15, labels)
        tasks["PCR comparison"] = lambda: scib_metrics.pcr_comparison(unintegrated, x_nd, batch, categorical=True)
    tasks["Isolated labels"] = lambda: scib_metrics.isolated_labels(x_nd, labels, batch)
    tasks["KMeans"] = lambda: _kmeans_agreement(x_nd, labels, seed)
    tasks["Silhouette label"] = lambda: scib_metrics.silhouette_label(x_nd, labels)
    tasks["cLISI"] = lambda: scib_metrics.clisi_knn(neighbors, labels)

    with ThreadPoolExecutor(n_jobs) as pool:
        results = dict(zip(tasks, pool.map(lambda task: task(), tasks.values()), strict=True))
    results["KMeans NMI"], results["KMeans ARI"] = results.pop("KMeans")
    return {name: float(value) for name, value in results.items()}


def _kmeans_agreement(x_nd: np.ndarray, labels: np.ndarray, seed: int) -> tuple[float, float]:
    """Do what scib_metrics.nmi_ari_cluster_labels_kmeans does with seed 0, with any seed."""
    from scib_metrics.utils import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    clusters = KMeans(int(labels.max()) + 1, seed=seed).fit(x_nd).labels_
    return normalized_mutual_info_score(labels, clusters), adjusted_rand_score(labels, clusters)


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


def exact_neighbors(x_nd: np.ndarray, k: int) -> NeighborsResults:
    """Find the `k` nearest cells of each cell (all cells where there are fewer), each cell being its own first."""
    from scib_metrics.nearest_neighbors import NeighborsResults
    from sklearn.neighbors import NearestNeighbors

    n_cells = len(x_nd)
    # called without cells, kneighbors leaves out each cell itself, whose distance would not be exactly 0
    distances, indices = NearestNeighbors(n_neighbors=min(k, n_cells) - 1, algorithm="brute").fit(x_nd).kneighbors()
    return NeighborsResults(
        indices=np.column_stack([np.arange(n_cells), indices]).astype(np.int32),
        distances=np.column_stack([np.zeros(n_cells), distances]).astype(np.float32),
    )


@contextmanager
def _exact_search_in_kbet() -> Iterator[None]:
    """Let kBET search exactly: its own approximate search compiles for half a minute in every process."""
    from scib_metrics import nearest_neighbors

    approximate = nearest_neighbors.pynndescent
    nearest_neighbors.pynndescent = lambda x_nd, n_neighbors: exact_neighbors(x_nd, n_neighbors)
    try:
        yield
    finally:
        nearest_neighbors.pynndescent = approximate


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the documentation of :func:`score` says already."""
    import scib_metrics

    verbosity = scib_metrics.settings.verbosity
    scib_metrics.settings.verbosity = logging.WARNING
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "PCR comparison score is negative", UserWarning)
            warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
            yield
    finally:
        scib_metrics.settings.verbosity = verbosity


def _checked_embedding(name: str, values: ArrayLike) -> np.ndarray:
    array = np.ascontiguousarray(values, dtype=np.float32)
    if array.ndim != 2:
        raise ValueError(f"Embedding {name!r} has shape {array.shape}, expected (n_cells, n_dims).")
    if not np.isfinite(array).all():
        n_bad = int((~np.isfinite(array).all(axis=1)).sum())
        raise ValueError(f"Embedding {name!r} holds values that are not finite, in {n_bad} of {len(array)} cells.")
    if len(array) and not np.ptp(array, axis=0).any():
        raise ValueError(f"Embedding {name!r} has collapsed: all cells lie on one point, so there is nothing to score.")
    return array


def _checked_codes(name: str, values: ArrayLike, n_cells: int) -> np.ndarray:
    codes, _ = pd.factorize(np.asarray(values))
    if codes.shape != (n_cells,):
        raise ValueError(f"`{name}` has shape {np.shape(values)}, expected ({n_cells},): one value per cell.")
    if (codes < 0).any():
        raise ValueError(f"`{name}` is missing in {int((codes < 0).sum())} of {n_cells} cells: leave those cells out.")
    return codes

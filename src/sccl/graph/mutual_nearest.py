"""Pairs of cells of two batches that are among each other's nearest: anchors between batches."""

from typing import Any, Literal

import numpy as np

from sccl.graph.compared import compared_batches, each_two
from sccl.graph.inputs import as_codes, as_matrix
from sccl.graph.landmarks import choose_landmarks
from sccl.graph.refine import refine_pairs
from sccl.graph.search import Method, Metric, Search
from sccl.graph.spaces import cca, centered
from sccl.inputs import as_count, as_real, check_choice

Space = Literal["centered", "cca", "given"]


def mutual_nearest_neighbors(
    x: Any,
    batches: Any,
    *,
    k: int = 5,
    max_share: float | None = None,
    n_landmarks: int | None = None,
    n_others: int | None = None,
    metric: Metric = "cosine",
    space: Space = "centered",
    n_comps: int = 20,
    k_filter: int | None = None,
    features: Any = None,
    refine: bool = False,
    method: Method = "auto",
    n_trees: int = 50,
    n_jobs: int = -1,
    seed: int = 0,
) -> np.ndarray:
    """Find the mutual nearest neighbours of every two batches.

    Cell i of one batch and cell j of another are a pair if j is among the `k` cells of its batch nearest to i and i is
    among the `k` cells of its batch nearest to j.

    Parameters
    ----------
    x
        Cells, dense, shape (n_cells, n_dims); usually 50 principal components.
    batches
        Label of each cell's batch, shape (n_cells,).
    k
        Neighbours looked at in each direction, at least 1.
    max_share
        Look at no more than this share of the other batch's cells, in (0, 1], but at one: among few cells many are near for
        want of nearer ones. None: `k`, whatever the size of the batch.
    n_landmarks
        Look for pairs among so many cells of each batch, drawn at random, at most; see `nearest_landmark` for the others.
        None: among all.
    n_others
        Compare each batch with so many others at most, see `compared_batches`. None: with all.
    metric
        As in `knn`.
    space
        Where two batches are compared. `"centered"`: each moved to its own mean (see `centered`). `"cca"`: their
        shared directions (see `cca`), which anchors more cells, less surely, above all where a type of cells is in one
        batch only. `"given"`: `x` as it is. A batch of one cell has no mean of its own: it is compared in `x`.
    n_comps
        Dimensions of the `"cca"` space.
    k_filter
        Keep a pair only if the two are also among each other's `k_filter` nearest in `features`. None: keep all.
    features
        Cells in the space of `k_filter`, dense, shape (n_cells, n_features). None: `x` as it is.
    refine
        Keep only the more similar kind of pairs, for every two batches (see `refine_pairs`).
    method, n_trees, n_jobs, seed
        As in `knn`.

    Returns
    -------
    int32, shape (n_pairs, 2): row numbers of `x` (not positions within a batch). Each pair once, the smaller number
    first, rows in ascending order; shape (0, 2) with a single batch.

    Raises
    ------
    ValueError
        If an array is empty or not finite, if a label is missing, lengths differ, a number is below one or a name
        unknown.

    References
    ----------
    Haghverdi et al. (2018), Batch effects in single-cell RNA-sequencing data are corrected by matching mutual nearest
    neighbors, Nature Biotechnology; Stuart et al. (2019), Comprehensive integration of single-cell data, Cell.
    """
    search = Search(metric=metric, method=method, n_trees=n_trees, n_jobs=n_jobs, seed=seed)
    check_choice(space, "space", ("centered", "cca", "given"))
    k, n_comps = as_count(k, "k"), as_count(n_comps, "n_comps")
    cells = as_matrix(x)
    original = cells if features is None else as_matrix(features, "features")
    if len(original) != len(cells):
        raise ValueError(f"`features` has {len(original)} rows and `x` has {len(cells)}; they must agree.")
    if k_filter is not None:
        k_filter = as_count(k_filter, "k_filter")
    if max_share is not None:
        as_real(max_share, "max_share", "(0, 1]")
    if n_landmarks is not None:
        as_count(n_landmarks, "n_landmarks")
    codes, n_batches = as_codes(batches, len(cells))
    members = choose_landmarks(codes, n_batches, len(cells) if n_landmarks is None else n_landmarks, seed=seed)
    others_bo = compared_batches(n_batches, n_others=max(n_batches, 2) if n_others is None else n_others, seed=seed)

    found = [np.empty((0, 2), dtype=np.int32)]
    for a, b in each_two(others_bo):
        first, second = members[a], members[b]
        z1, z2 = _compare(cells[first], cells[second], space, n_comps)
        pairs = _mutual(z1, z2, _at_most(k, max_share, len(first)), _at_most(k, max_share, len(second)), search)
        if k_filter is not None:
            pairs = pairs[_among_nearest(original[first], original[second], pairs, k_filter, search)]
        if refine:
            offset = np.array([0, len(first)])
            pairs = refine_pairs(np.vstack([z1, z2]), pairs + offset, metric=metric, seed=seed) - offset
        found.append(np.column_stack([first[pairs[:, 0]], second[pairs[:, 1]]]))
    rows = np.sort(np.concatenate(found), axis=1).astype(np.int32)
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def _compare(x1: np.ndarray, x2: np.ndarray, space: Space, n_comps: int) -> tuple[np.ndarray, np.ndarray]:
    if space == "given" or min(len(x1), len(x2)) < 2:
        return x1, x2
    return centered(x1, x2) if space == "centered" else cca(x1, x2, n_comps=n_comps)


def _at_most(k: int, max_share: float | None, n_cells: int) -> int:
    return k if max_share is None else max(min(k, round(max_share * n_cells)), 1)


def _mutual(x1: np.ndarray, x2: np.ndarray, k1: int, k2: int, search: Search) -> np.ndarray:
    """Positions (in `x1`, in `x2`) of the pairs that are among each other's `k1` (of `x1`) and `k2` nearest."""
    chosen_by_1, _ = search.nearest(x1, x2, k2)
    chosen_by_2, _ = search.nearest(x2, x1, k1)
    row1, column1 = np.nonzero(chosen_by_1 >= 0)
    row2, column2 = np.nonzero(chosen_by_2 >= 0)
    forth = row1 * len(x2) + chosen_by_1[row1, column1]
    back = chosen_by_2[row2, column2].astype(np.int64) * len(x2) + row2
    return np.column_stack(np.divmod(np.intersect1d(forth, back, assume_unique=True), len(x2)))


def _among_nearest(x1: np.ndarray, x2: np.ndarray, pairs: np.ndarray, k: int, search: Search) -> np.ndarray:
    """Whether the two cells of each pair of positions are among each other's `k` nearest."""
    keep = np.ones(len(pairs), dtype=bool)
    for query, reference, (ask, find) in ((x1, x2, pairs.T), (x2, x1, pairs[:, ::-1].T)):
        if k < len(reference) and len(pairs):  # otherwise all are among the nearest
            asked, place = np.unique(ask, return_inverse=True)
            nearest, _ = search.nearest(query[asked], reference, k)
            keep &= (nearest[place] == find[:, None]).any(axis=1)
    return keep

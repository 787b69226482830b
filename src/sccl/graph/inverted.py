"""Approximate nearest neighbours with inverted lists: the reference in small clusters, of which each query looks at the nearest."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sccl.graph.exact import N_SPARE, blas, factors, keep_best, rank

# Lists that are looked at. For 100 000 cells among 200 000 x 114 dims, in clusters, 16 find all of the 11 nearest.
N_PROBED = 16
# Cells of the reference per list that its clusters are found with, and rounds of k-means.
N_SAMPLED, N_ROUNDS = 40, 5
# Queries that a thread works on at a time.
N_QUERY = 8192


def inverted_search(
    query: np.ndarray, reference: np.ndarray, k: int, *, own: np.ndarray, metric: str, n_threads: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find most of the `k` rows of `reference` nearest to each row of `query`; the same with any number of threads.

    As many lists as the root of the number of references make queries and lists cost the same.

    References
    ----------
    Sivic & Zisserman (2003), Video Google: a text retrieval approach to object matching in videos, ICCV (inverted lists);
    Jégou, Douze & Schmid (2011), Product quantization for nearest neighbor search, IEEE TPAMI (looking at several).
    """
    near, far = factors(query, reference, metric)
    points = far if metric == "cosine" else far[:, :-1]
    centers = _centers(points, seed)
    of_list = _best_columns(_toward(points), _pulling(centers), 1)[:, 0]
    order = np.argsort(of_list, kind="stable")
    far = far[order]
    starts = np.searchsorted(of_list[order], np.arange(len(centers) + 1))
    n_candidates = min(k + 1 + N_SPARE, len(reference))
    indices = np.empty((len(query), k), dtype=np.int32)
    distances = np.empty((len(query), k), dtype=np.float32)

    def search_block(start: int) -> None:
        block = slice(start, start + N_QUERY)
        mine = near[block]
        probed = _best_columns(_toward(mine if metric == "cosine" else mine[:, :-1]), _pulling(centers), N_PROBED)
        best = np.full((len(mine), n_candidates), -np.inf, dtype=np.float32)
        rows = np.full((len(mine), n_candidates), -1, dtype=np.int32)
        asker = np.argsort(probed.ravel(), kind="stable")
        for one, askers in zip(*_grouped(probed.ravel()[asker], asker // probed.shape[1]), strict=True):
            first, last = starts[one], starts[one + 1]
            found, places = best[askers], rows[askers]
            keep_best(mine[askers] @ far[first:last].T, first, found, places)
            best[askers], rows[askers] = found, places
        candidates = np.where(rows >= 0, order[rows], -1).astype(np.int32)
        rank(query[block], reference, candidates, own[block], metric == "cosine", indices[block], distances[block])

    with blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(search_block, range(0, len(query), N_QUERY)))
    return indices, distances


def _centers(points: np.ndarray, seed: int) -> np.ndarray:
    """Find the centres of as many clusters as the root of the number of points, with k-means on some of them."""
    rng = np.random.default_rng(seed)
    n_lists = max(round(len(points) ** 0.5), 1)
    some = points[np.sort(rng.choice(len(points), min(N_SAMPLED * n_lists, len(points)), replace=False))]
    centers = some[rng.choice(len(some), n_lists, replace=False)]
    for _ in range(N_ROUNDS):
        nearest = _best_columns(_toward(some), _pulling(centers), 1)[:, 0]
        order = np.argsort(nearest, kind="stable")
        found, first = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(some[order], first, axis=0)
        centers[found] = sums / np.bincount(nearest)[found, None]
    return centers


def _toward(points: np.ndarray) -> np.ndarray:
    return np.hstack([points, np.ones((len(points), 1), np.float32)])


def _pulling(centers: np.ndarray) -> np.ndarray:
    """What products are larger with, the nearer a point is to a centre."""
    return np.hstack([centers, -0.5 * (centers**2).sum(axis=1, keepdims=True)])


def _best_columns(toward: np.ndarray, pulling: np.ndarray, k: int) -> np.ndarray:
    """Choose the `k` nearest centres of each point, in no order."""
    k = min(k, len(pulling))
    chosen = np.empty((len(toward), k), dtype=np.int64)
    for start in range(0, len(toward), 2048):
        scores = toward[start : start + 2048] @ pulling.T
        chosen[start : start + 2048] = (
            scores.argmax(axis=1)[:, None] if k == 1 else np.argpartition(-scores, k - 1, axis=1)[:, :k]
        )
    return chosen


def _grouped(names: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the different names, which are sorted, and the values of each."""
    found, first = np.unique(names, return_index=True)
    return found, np.split(values, first[1:])

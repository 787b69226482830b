"""Approximate nearest neighbours with annoy's forest of random projection trees."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sccl.graph.exact import coordinates, rank

# Candidates looked at, per tree. Annoy's own choice, as many as neighbours are asked for, finds 79 % of the 15 nearest of
# 200 000 cells x 50 dims with 50 trees; 80 find 98 %, and more trees would hardly help.
N_LOOK = 80


def annoy_search(
    query: np.ndarray,
    reference: np.ndarray,
    k: int,
    *,
    own: np.ndarray,
    metric: str,
    n_trees: int,
    n_threads: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Find most of the `k` rows of `reference` nearest to each row of `query`."""
    from annoy import AnnoyIndex

    near, far = coordinates(query, reference, metric)
    index = AnnoyIndex(far.shape[1], "angular" if metric == "cosine" else "euclidean")
    index.set_seed(seed)
    for row, point in enumerate(far):
        index.add_item(row, point)
    index.build(n_trees, n_jobs=1)  # with more threads the order of the nodes, and so the result, depends on timing
    search_k = n_trees * max(N_LOOK, k + 1)
    indices = np.empty((len(query), k), dtype=np.int32)
    distances = np.empty((len(query), k), dtype=np.float32)

    def search_block(block: slice) -> None:
        # annoy answers one cell at a time, but lets go of the interpreter lock meanwhile: two threads take half the time.
        candidates = np.full((block.stop - block.start, k + 1), -1, dtype=np.int32)
        for found, point in zip(candidates, near[block], strict=True):
            rows = index.get_nns_by_vector(point, k + 1, search_k)
            found[: len(rows)] = rows
        rank(query[block], reference, candidates, own[block], metric == "cosine", indices[block], distances[block])

    starts = range(0, len(query), 1024)
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(search_block, [slice(start, min(start + 1024, len(query))) for start in starts]))
    return indices, distances

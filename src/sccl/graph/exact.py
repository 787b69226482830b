"""Exact nearest neighbours: blocked matrix products, and a compiled pass that keeps the best of each row."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from sccl.storage.compiled import compiled

# One tile of 256 x 2048 float32 scores (2 MB) stays in the second-level cache between the product and the selection.
N_QUERY, N_REFERENCE = 256, 2048
# Products in float32 may swap near ties: so many candidates more than asked for are ranked again in float64.
N_SPARE = 8


def directions(x: np.ndarray) -> np.ndarray:
    """Scale the rows of `x` to unit length; a row of zeros has no direction and stays zero."""
    lengths = row_lengths(x)
    return (x / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def row_lengths(x: np.ndarray) -> np.ndarray:
    """Measure the euclidean length of each row, (n, 1), summed in float64 so that no finite float32 overflows."""
    return np.sqrt(np.einsum("nd,nd->n", x, x, dtype=np.float64))[:, None]


def coordinates(query: np.ndarray, reference: np.ndarray, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Move both arrays, without changing who is near whom, to where float32 products are accurate."""
    if metric == "cosine":
        return directions(query), directions(reference)
    # A shared shift and scale keep the order of euclidean distances; small numbers cancel less and never overflow.
    center = reference.mean(axis=0, dtype=np.float64)
    query, reference = query - center, reference - center
    scale = max(row_lengths(query).max(), row_lengths(reference).max()) or 1
    return (query / scale).astype(np.float32), (reference / scale).astype(np.float32)


@compiled()
def keep_best(scores: np.ndarray, first: int, best: np.ndarray, rows: np.ndarray) -> None:
    """Merge a tile of scores, whose first column is reference row `first`, into the best of each row (descending)."""
    last = best.shape[1] - 1
    for i in range(scores.shape[0]):
        for j in range(scores.shape[1]):
            score = scores[i, j]
            if score > best[i, last]:
                place = last
                while place > 0 and score > best[i, place - 1]:
                    best[i, place] = best[i, place - 1]
                    rows[i, place] = rows[i, place - 1]
                    place -= 1
                best[i, place] = score
                rows[i, place] = first + j


@compiled()
def rank(
    query: np.ndarray,
    reference: np.ndarray,
    candidates: np.ndarray,
    own: np.ndarray,
    cosine: bool,
    indices: np.ndarray,
    distances: np.ndarray,
) -> None:
    """Fill `indices`, `distances` with each query's nearest candidates, measured in float64, ties by row number.

    A candidate of -1 is none; `own[i]` is the reference row that is query i itself and never its neighbour (-1: none).
    """
    k = indices.shape[1]
    nearest = np.empty(k, dtype=np.float64)
    for i in range(candidates.shape[0]):
        found = 0
        for c in range(candidates.shape[1]):
            j = candidates[i, c]
            if j < 0 or j == own[i]:
                continue
            dot = gap = length_i = length_j = 0.0
            for d in range(query.shape[1]):
                a, b = np.float64(query[i, d]), np.float64(reference[j, d])
                dot += a * b
                gap += (a - b) * (a - b)
                length_i += a * a
                length_j += b * b
            if cosine:
                lengths = np.sqrt(length_i * length_j)  # in this form exactly `dot` for identical cells
                distance = 1.0 - dot / lengths if lengths > 0 else 1.0
                distance = min(max(distance, 0.0), 2.0)
            else:
                distance = np.sqrt(gap)
            place = min(found, k)
            while place > 0 and (
                distance < nearest[place - 1] or (distance == nearest[place - 1] and j < indices[i, place - 1])
            ):
                if place < k:
                    nearest[place] = nearest[place - 1]
                    indices[i, place] = indices[i, place - 1]
                place -= 1
            if place < k:
                nearest[place] = distance
                indices[i, place] = j
                found = min(found + 1, k)
        for place in range(k):
            distances[i, place] = nearest[place] if place < found else np.inf
            if place >= found:
                indices[i, place] = -1


@cache
def blas() -> ThreadpoolController:
    """Find the loaded BLAS, once: it takes longer than a small search."""
    return ThreadpoolController()


def exact_search(
    query: np.ndarray, reference: np.ndarray, k: int, *, own: np.ndarray, metric: str, n_threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the `k` rows of `reference` nearest to each row of `query`, in memory bounded by the tiles and the result.

    Every block of queries is worked by one thread alone, so the result does not depend on the number of threads.
    """
    near, far = factors(query, reference, metric)
    n_candidates = min(k + 1 + N_SPARE, len(reference))  # one more, for the cell itself
    indices = np.empty((len(query), k), dtype=np.int32)
    distances = np.empty((len(query), k), dtype=np.float32)

    def search_block(start: int) -> None:
        block = slice(start, start + N_QUERY)
        n = len(near[block])
        best = np.full((n, n_candidates), -np.inf, dtype=np.float32)
        rows = np.full((n, n_candidates), -1, dtype=np.int32)
        for first in range(0, len(far), N_REFERENCE):
            keep_best(near[block] @ far[first : first + N_REFERENCE].T, first, best, rows)
        rank(query[block], reference, rows, own[block], metric == "cosine", indices[block], distances[block])

    in_blocks(search_block, len(query), n_threads)
    return indices, distances


def exact_choice(query: np.ndarray, reference: np.ndarray, k: int, *, metric: str, n_threads: int) -> np.ndarray:
    """Find the `k` rows of `reference` nearest to each row of `query`, in no order, near ties as float32 has them.

    Faster than `exact_search` where `k` is more than a few dozens; `k` is at most the number of references.
    """
    near, far = factors(query, reference, metric)
    indices = np.empty((len(query), k), dtype=np.int32)

    def choose_block(start: int) -> None:
        block = slice(start, start + N_QUERY)
        indices[block] = np.argpartition(-(near[block] @ far.T), k - 1, axis=1)[:, :k]

    in_blocks(choose_block, len(query), n_threads)
    return indices


def factors(query: np.ndarray, reference: np.ndarray, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays whose products are larger the nearer a query is to a reference."""
    near, far = coordinates(query, reference, metric)
    if metric == "euclidean":  # then q.r - |r|^2 / 2 is largest for the nearest r; the last column holds the penalty
        near = np.hstack([near, np.ones((len(near), 1), np.float32)])
        far = np.hstack([far, (-0.5 * row_lengths(far) ** 2).astype(np.float32)])
    return near, far


def in_blocks(work: Callable[[int], None], n_rows: int, n_threads: int) -> None:
    """Let threads work on blocks of rows, one thread per block and product."""
    blocks = range(0, n_rows, N_QUERY)
    with blas().limit(limits=1, user_api="blas"):
        if min(len(blocks), n_threads) <= 1:  # threads take longer to start than a small search
            for start in blocks:
                work(start)
            return
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(work, blocks))

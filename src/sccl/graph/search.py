"""How neighbours are looked for."""

import os
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sccl.graph.approximate import annoy_search
from sccl.graph.exact import exact_choice, exact_search
from sccl.graph.inverted import inverted_search
from sccl.inputs import as_count, check_choice

Metric = Literal["cosine", "euclidean"]
Method = Literal["auto", "exact", "annoy", "lists"]

# Comparisons (queries times references) up to which comparing all is the faster way, too. On 200 000 cells x 50 dims one
# query costs 0.56 ms of one core (0.11 on 50 000) and annoy, to find 98 %, 0.54 ms after 10 s of building (0.40, 2 s).
LARGEST_EXACT = 200_000**2


@dataclass(frozen=True, kw_only=True)
class Search:
    """How neighbours are looked for: the options that the functions of this room share."""

    metric: Metric
    method: Method
    n_trees: int
    n_jobs: int
    seed: int

    def __post_init__(self) -> None:
        check_choice(self.metric, "metric", ("cosine", "euclidean"))
        check_choice(self.method, "method", ("auto", "exact", "annoy", "lists"))
        as_count(self.n_trees, "n_trees")
        if self.n_jobs != -1:
            as_count(self.n_jobs, "n_jobs")

    def nearest(
        self, query: np.ndarray, reference: np.ndarray, k: int, *, own: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` rows of `reference` nearest to each row of `query`.

        `own[i]` is the reference row that is query i itself, which is left out (-1: none). Indices are int32, distances
        float32, both (n_query, k), nearest first, padded with -1 and infinity.
        """
        if own is None:
            own = np.full(len(query), -1)
        is_small = len(query) * len(reference) <= LARGEST_EXACT
        if self.method == "exact" or (self.method == "auto" and is_small):
            return exact_search(query, reference, k, own=own, metric=self.metric, n_threads=self._n_threads)
        if self.method == "lists":
            return inverted_search(
                query, reference, k, own=own, metric=self.metric, n_threads=self._n_threads, seed=self.seed
            )
        return annoy_search(
            query,
            reference,
            k,
            own=own,
            metric=self.metric,
            n_trees=self.n_trees,
            n_threads=self._n_threads,
            seed=self.seed,
        )

    def choose(self, query: np.ndarray, reference: np.ndarray, k: int) -> np.ndarray:
        """Find the `k` rows of `reference` nearest to each row of `query` exactly, in no order: int32, (n_query, k)."""
        return exact_choice(query, reference, k, metric=self.metric, n_threads=self._n_threads)

    @property
    def _n_threads(self) -> int:
        if self.n_jobs != -1:
            return self.n_jobs
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

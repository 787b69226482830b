"""One of the sides that are compared: its cells, the landmarks that stand for all, and averages of these."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sccl.graph.averages import mean_over
from sccl.graph.exact import factors
from sccl.graph.inputs import as_matrix
from sccl.graph.search import Metric, Search
from sccl.inputs import as_count

# A cell is judged together with this share of the cells, those nearest to it, at least with so many.
SMOOTHED = 0.015
FEWEST_SMOOTHED = 15
# What this share of the averages have in common, those nearest to one, is the batch effect on it.
SURROUNDINGS = 0.3
# With fewer cells there are no others that could be chosen in a cell's place.
FEWEST_CELLS = 30


@dataclass(frozen=True, eq=False)
class Side:
    """Cells of one batch, with what is the same whatever they are compared with: each of it is computed once."""

    cells: np.ndarray
    n_landmarks: int
    search: Search

    @cached_property
    def drawn(self) -> np.ndarray:
        """Row numbers of the landmarks."""
        if len(self.cells) <= self.n_landmarks:
            return np.arange(len(self.cells))
        rng = np.random.default_rng(self.search.seed)
        return np.sort(rng.choice(len(self.cells), self.n_landmarks, replace=False))

    @cached_property
    def landmarks(self) -> np.ndarray:
        """Those who choose and are chosen."""
        return self.cells[self.drawn]

    @property
    def n_smoothed(self) -> int:
        """How many landmarks a cell is judged together with."""
        return share_of(self.drawn, SMOOTHED, FEWEST_SMOOTHED)

    @cached_property
    def near(self) -> np.ndarray:
        """The landmarks nearest to each cell."""
        nearest, _ = self.search.nearest(self.cells, self.landmarks, self.n_smoothed)
        return nearest

    @cached_property
    def averages(self) -> np.ndarray:
        """Of each landmark and those nearest to it."""
        return mean_over(self.landmarks, self.near[self.drawn])

    @cached_property
    def around(self) -> np.ndarray:
        """Which averages are the surroundings of each, bool: as many bytes as comparisons, which is why few landmarks do."""
        near, far = factors(self.averages, self.averages, "euclidean")
        nearness = near @ far.T
        k = share_of(nearness, SURROUNDINGS, 1)
        return nearness >= -np.partition(-nearness, k - 1, axis=1)[:, k - 1 : k]


def as_sides(cells: Iterable[np.ndarray], *, metric: Metric, n_landmarks: int, n_jobs: int, seed: int) -> list[Side]:
    """Return a side for each of the arrays, all compared alike."""
    search = Search(metric=metric, method="auto", n_trees=50, n_jobs=n_jobs, seed=seed)
    n_landmarks = as_count(n_landmarks, "n_landmarks")
    return [Side(part, n_landmarks, search) for part in cells]


def as_comparable(x_ref: Any, x_query: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of a reference and of a query, or say why they cannot be compared."""
    ref, query = as_matrix(x_ref, "x_ref"), as_matrix(x_query, "x_query")
    if ref.shape[1] != query.shape[1]:
        raise ValueError(f"`x_ref` has {ref.shape[1]} dims and `x_query` has {query.shape[1]}; they must agree.")
    return ref, query


def share_of(cells: np.ndarray, share: float, fewest: int) -> int:
    """Return a share of the number of `cells`, at least `fewest` of them if there are so many."""
    return min(max(fewest, round(share * len(cells))), len(cells))

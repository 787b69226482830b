"""Cells of a store that stay in memory: they show how cells differ, stand for the others, and are their partners."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sccl import graph
from sccl.dataloaders.store.runs import rows_of
from sccl.graph.exact import factors
from sccl.graph.landmarks import MOST_LANDMARKS, choose_landmarks
from sccl.graph.representation import MOST_FITTED, PrincipalAxes, principal_axes

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from sccl.inputs.store import CellStore

# As many of each batch as `graph.shared_populations` takes averages of; fewer where batches are many.
MOST_OF_BATCH, FEWEST_OF_BATCH, MOST_IN_ALL = 4000, 1000, 100_000


@dataclass(frozen=True, eq=False)
class Residents:
    """Cells in memory.

    Attributes
    ----------
    csr
        Their expression, float32, cells × genes.
    codes, outer
        Codes of their batches, and of the outer ones.
    """

    csr: csr_matrix
    codes: np.ndarray
    outer: np.ndarray

    @classmethod
    def draw(cls, store: CellStore, runs: np.ndarray, rng: np.random.Generator) -> Residents:
        """Read runs at random until there are enough cells of each batch."""
        wanted = np.full(len(store.batches), np.clip(MOST_IN_ALL // len(store.batches), FEWEST_OF_BATCH, MOST_OF_BATCH))
        chosen = []
        for i in rng.permutation(len(runs)):
            found = np.bincount(store.codes[slice(*runs[i])], minlength=wanted.size)
            if (wanted[found > 0] > 0).any():
                chosen.append(i)
                wanted -= found
        rows = rows_of(runs[np.sort(chosen)])
        parts = [part for _, part in store.blocks(rows)]
        return cls(_stacked(parts), store.codes[rows].astype(np.int64), store.outer_codes[rows].astype(np.int64))

    @cached_property
    def axes(self) -> PrincipalAxes | None:
        """The axes on which they vary most; None if there are too few cells or genes."""
        if min(self.csr.shape) < 3:
            return None
        some = np.arange(self.csr.shape[0])
        if some.size > MOST_FITTED:
            some = np.sort(np.random.default_rng(0).choice(some, MOST_FITTED, replace=False))
        return principal_axes(self.csr[some])

    def place(self, csr: csr_matrix) -> np.ndarray:
        """Return where cells are in their space, cells × dimensions."""
        return csr.toarray() if self.axes is None else self.axes.project(csr)

    @cached_property
    def space(self) -> graph.CellSpace:
        """They in their space, which augmentations and samplings are bound to."""
        return graph.CellSpace(self.place(self.csr), self.outer, self.codes)

    @cached_property
    def _landmarks(self) -> dict[int, np.ndarray]:
        """Those of each outer batch that stand for other cells, the same that have pairs of their own."""
        names, codes = np.unique(self.outer, return_inverse=True)
        return dict(zip(map(int, names), choose_landmarks(codes, names.size, MOST_LANDMARKS), strict=True))

    def standing_for(self, csr: csr_matrix, outer: np.ndarray) -> np.ndarray:
        """Find which of them stands for each of other cells: the nearest landmark of its batch."""
        placed = self.place(csr)
        standing = np.empty(len(placed), dtype=np.int64)
        for code in np.unique(outer):
            members = np.flatnonzero(outer == code)
            landmarks = self._landmarks.get(int(code), np.arange(self.csr.shape[0]))
            standing[members] = landmarks[_nearest(placed[members], self.space.embedding_nd[landmarks])]
        return standing


def _nearest(query: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Find the row of `reference` nearest to each of `query`; which of two that are as near does not matter."""
    near, far = factors(query, reference, "euclidean")
    return np.concatenate([(near[start : start + 1024] @ far.T).argmax(axis=1) for start in range(0, len(near), 1024)])


def _stacked(parts: list[csr_matrix]) -> csr_matrix:
    from scipy.sparse import csr_matrix, vstack

    return csr_matrix(vstack(parts, format="csr"))

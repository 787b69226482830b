"""Does another batch hold a cell's population? What mutual nearest neighbours of averages say, once batches are aligned."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sccl.graph.averages import mean_over
from sccl.graph.compared import MOST_OTHERS, compared_batches, each_two
from sccl.graph.exact import directions, keep_best
from sccl.graph.inputs import as_codes, as_matrix
from sccl.graph.landmarks import choose_landmarks
from sccl.graph.search import Search
from sccl.graph.spaces import center
from sccl.inputs import as_count
from sccl.storage.compiled import compiled

# A landmark stands for the mean of this share of its batch, the cells nearest to it, at least so many ...
SMOOTHED, FEWEST_SMOOTHED = 0.06, 10
# ... among so many times as many cells as there are landmarks.
AVERAGED = 4
# Of the other batch's averages this share, those nearest to one, are looked at, at least so many.
SHARE, FEWEST_NEIGHBORS = 0.02, 10
# How two batches differ at a place is the mean difference of the pairs among this share of the landmarks around.
SURROUNDINGS = 0.3
# Fewer rounds leave populations apart that differ strongly between batches; more match what only one batch holds.
N_ROUNDS = 8
# A cell is judged by so many landmarks around it.
N_JUDGES = 15
# So many comparisons have all landmarks; more share their cost, which grows with the square of the landmarks, down to so many.
N_COMPARISONS, FEWEST_LANDMARKS = 6, 250
# With fewer cells a batch has too few others that could be chosen in a cell's place: nothing is said.
FEWEST_CELLS = 30


@dataclass(frozen=True, eq=False)
class SharedPopulations:
    """How often each cell's surroundings are matched in the batches that its own was compared with.

    Attributes
    ----------
    codes
        Batch of each cell as a number, in sorted order of the labels, shape (n_cells,).
    others_bo
        Batches that each was compared with, int, shape (n_batches, n_compared).
    matched_no
        How often a cell's surroundings have mutual nearest neighbours in the batch that the row of its own batch in
        `others_bo` names, relative to the surroundings of those that they choose there, in [0, 1], float32, shape (n_cells,
        n_compared). About 1 where both batches hold the population, near 0 where only its own does.
    """

    codes: np.ndarray
    others_bo: np.ndarray
    matched_no: np.ndarray

    @property
    def mean_matched(self) -> np.ndarray:
        """Mean over the batches that were compared, float32, shape (n_cells,); 1 if there are none."""
        if not self.matched_no.shape[1]:
            return np.ones(len(self.matched_no), dtype=np.float32)
        return self.matched_no.mean(axis=1)

    def matched(self, cells: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return it for each of `cells` and the batch of which `other` is the number; 0 where it was not compared."""
        matched = np.zeros(len(cells), dtype=np.float32)
        row, column = np.nonzero(self.others_bo[self.codes[cells]] == np.asarray(other)[:, None])
        matched[row] = self.matched_no[np.asarray(cells)[row], column]
        return matched


def shared_populations(
    x: Any,
    batches: Any,
    *,
    n_landmarks: int = 1000,
    n_others: int = MOST_OTHERS,
    n_jobs: int = -1,
    seed: int = 0,
) -> SharedPopulations:
    """Find out which populations of cells each two batches share.

    Some cells of each batch, its landmarks, stand for it, each averaged with the cells nearest to it: noise, by which single
    cells differ more than related populations do, averages out. Two batches, each moved to its own mean, are compared by the
    mutual nearest neighbours of these averages. What the pairs around a place have in common is how the batches differ there;
    each is moved half of that way and paired anew, eight times.

    A population that is its batch's alone finds few partners, for those that it chooses have their own kind to choose. One that
    differs strongly between the batches finds few, too, but those that it chooses find as few: a cell is as matched as the
    surroundings are, relative to theirs.

    Parameters
    ----------
    x
        Cells, dense, shape (n_cells, n_dims); usually 50 principal components.
    batches
        Label of each cell's batch, shape (n_cells,).
    n_landmarks
        Landmarks of a batch at most, at least 1, and a quarter of the cells that they are averaged with: time and memory do not
        grow with the batch. With more than four batches fewer are enough, for several others have their say.
    n_others
        As in `compared_batches`.
    n_jobs
        As in `knn`.
    seed
        Of the choice of landmarks, and of batches where there are many.

    Returns
    -------
    SharedPopulations; 1 wherever one of two batches has less than 30 cells.

    Raises
    ------
    ValueError
        If `x` is empty or not finite, if a label is missing, lengths differ or a number is out of range.

    References
    ----------
    Haghverdi et al. (2018), Batch effects in single-cell RNA-sequencing data are corrected by matching mutual nearest
    neighbors, Nature Biotechnology: pairs, and differences averaged over the pairs around.
    """
    search = Search(metric="cosine", method="auto", n_trees=50, n_jobs=n_jobs, seed=seed)
    n_landmarks = as_count(n_landmarks, "n_landmarks")
    cells = as_matrix(x)
    codes, n_batches = as_codes(batches, len(cells))
    others_bo = compared_batches(n_batches, n_others=n_others, seed=seed)
    matched_no = np.ones((len(cells), others_bo.shape[1]), dtype=np.float32)
    n_compared = others_bo.size // 2
    n_averaged = AVERAGED * n_landmarks
    n_landmarks = min(
        n_landmarks, max(FEWEST_LANDMARKS, round(n_landmarks * (N_COMPARISONS / max(n_compared, 1)) ** 0.5))
    )
    chosen = [choose_landmarks(codes, n_batches, n, seed=seed) for n in (n_landmarks, n_averaged)]
    sides = {
        batch: _Side.of(cells, np.flatnonzero(codes == batch), landmarks, averaged, search)
        for batch, (landmarks, averaged) in enumerate(zip(*chosen, strict=True))
        if np.count_nonzero(codes == batch) >= FEWEST_CELLS
    }
    for a, b in each_two(others_bo):
        if a in sides and b in sides:
            for (one, other), matched in zip(((a, b), (b, a)), _matched(sides[a], sides[b]), strict=True):
                matched_no[sides[one].members, np.searchsorted(others_bo[one], other)] = matched
    return SharedPopulations(codes, others_bo, matched_no)


@dataclass(frozen=True, eq=False)
class _Side:
    """A batch, with what is the same whatever it is compared with.

    Attributes
    ----------
    members
        Row numbers of its cells.
    averages
        What its landmarks stand for, landmarks × dims.
    ranked
        The landmarks in the order of their nearness to each average, as positions, landmarks × landmarks.
    judges
        The landmarks nearest to each cell, as positions among the landmarks, cells × judges.
    """

    members: np.ndarray
    averages: np.ndarray
    ranked: np.ndarray
    judges: np.ndarray

    @classmethod
    def of(
        cls, cells: np.ndarray, members: np.ndarray, landmarks: np.ndarray, averaged: np.ndarray, search: Search
    ) -> "_Side":
        moved = center(cells[members]).astype(np.float32)
        marks, around = (moved[np.searchsorted(members, rows)] for rows in (landmarks, averaged))
        n = len(marks)
        n_smoothed = min(_smoothed(len(around)), max(len(around) // 4, 1))
        averages = mean_over(around, search.choose(marks, around, n_smoothed)).astype(np.float32)
        unit = directions(averages)
        ranked = np.argsort(-(unit @ unit.T), axis=1, kind="stable").astype(np.int32)
        judges, _ = search.nearest(moved, marks, min(N_JUDGES, n))
        return cls(members, averages, ranked, judges)

    def around(self, partners: np.ndarray) -> np.ndarray:
        """How many of the landmarks around each have a partner, as a share."""
        has_partner = (partners >= 0).any(axis=1)
        return has_partner[self.ranked[:, : _smoothed(len(self.averages))]].mean(axis=1)

    def relative(self, own: np.ndarray, chosen: np.ndarray, of_others: np.ndarray) -> np.ndarray:
        """What its judges say of each cell: their own share beside that of those that they choose, at most 1."""
        rivals = mean_over(of_others[chosen].mean(axis=1), self.judges)
        matched = mean_over(own, self.judges)
        return np.minimum(np.divide(matched, rivals, out=np.ones_like(matched), where=rivals > 0), 1)


def _smoothed(n_landmarks: int) -> int:
    return max(FEWEST_SMOOTHED, round(SMOOTHED * n_landmarks))


def _matched(first: _Side, second: _Side) -> tuple[np.ndarray, np.ndarray]:
    """Say for the cells of two batches how often they are matched in the other, relative to those that they choose."""
    of_x, of_y = _align(first.averages, second.averages, first.ranked, second.ranked)
    around_x, around_y = first.around(_partners(of_x, of_y)), second.around(_partners(of_y, of_x))
    return first.relative(around_x, of_x, around_y), second.relative(around_y, of_y, around_x)


@compiled()
def _align(x: np.ndarray, y: np.ndarray, ranked_x: np.ndarray, ranked_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move both, round after round, by what their pairs have in common; return what each row then chooses of the others."""
    of_x, of_y = _choices(x, y)
    for _ in range(N_ROUNDS):
        of_first, of_second = _partners(of_x, of_y), _partners(of_y, of_x)
        x, y = _moved(x, y, ranked_x, of_first), _moved(y, x, ranked_y, of_second)
        of_x, of_y = _choices(x, y)
    return of_x, of_y


@compiled()
def _choices(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Choose the others that each row of `x`, and each row of `y`, is nearest to by cosine: their positions."""
    scores = np.dot(_unit(x), _unit(y).T)
    return _best(scores), _best(np.ascontiguousarray(scores.T))


@compiled()
def _unit(x: np.ndarray) -> np.ndarray:
    unit = x.copy()
    for i in range(x.shape[0]):
        length = np.sqrt(np.sum(x[i] * x[i]))
        if length > 0:
            unit[i] /= length
    return unit


@compiled()
def _best(scores: np.ndarray) -> np.ndarray:
    """Choose the best columns of each row."""
    k = min(max(FEWEST_NEIGHBORS, round(SHARE * scores.shape[1])), scores.shape[1])
    best = np.full((scores.shape[0], k), -np.inf, dtype=np.float32)
    columns = np.zeros((scores.shape[0], k), dtype=np.int32)
    keep_best(scores, 0, best, columns)
    return columns


@compiled()
def _partners(chosen: np.ndarray, of_others: np.ndarray) -> np.ndarray:
    """Keep those that choose back; -1 takes the place of the others."""
    partners = np.full(chosen.shape, -1, dtype=np.int32)
    for i in range(chosen.shape[0]):
        for c in range(chosen.shape[1]):
            for back in of_others[chosen[i, c]]:
                if back == i:
                    partners[i, c] = chosen[i, c]
                    break
    return partners


@compiled()
def _moved(x: np.ndarray, y: np.ndarray, ranked: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """Move each row of `x` half of the way that the pairs around it differ by; not at all where there are none."""
    n, n_dims = x.shape
    gap = np.zeros((n, n_dims), dtype=np.float32)
    paired = np.zeros(n, dtype=np.bool_)
    for i in range(n):
        n_partners = 0
        for j in partners[i]:
            if j >= 0:
                n_partners += 1
                for d in range(n_dims):
                    gap[i, d] += y[j, d]
        if n_partners:
            paired[i] = True
            for d in range(n_dims):
                gap[i, d] = gap[i, d] / np.float32(n_partners) - x[i, d]
    k = max(round(SURROUNDINGS * n), 1)
    share = np.zeros((n, n), dtype=np.float32)
    for i in range(n):
        around = np.empty(k, dtype=np.int32)
        found = 0
        for j in ranked[i]:
            if paired[j]:
                around[found] = j
                found += 1
                if found == k:
                    break
        for j in around[:found]:
            share[i, j] = np.float32(0.5) / np.float32(found)
    return x + np.dot(share, gap)

"""What was drawn for one view of one batch, before any expression value is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from sccl.augment.keys import cell_keys, derive, uniform


class Borrower(Protocol):
    """What is asked of an augmentation here, see :class:`sccl.augment.Augmentation`."""

    p: float

    @property
    def n_partners(self) -> int:
        """How many other cells each cell borrows from."""

    def partners(self, cells: np.ndarray, keys: np.ndarray, *, view: int, pool: np.ndarray) -> np.ndarray:
        """Choose the rows that the cells borrow from."""


class Step(NamedTuple):
    """The draws of one augmentation.

    Attributes
    ----------
    applied
        Which cells it changes, bool, shape ``(n_cells,)``.
    keys
        What each cell's further randomness is drawn from, uint64, shape ``(n_cells,)``.
    partners
        The rows that each cell borrows, int64, shape ``(n_partners, n_cells)``; -1 where it borrows none.
    """

    applied: np.ndarray
    keys: np.ndarray
    partners: np.ndarray


def draw_steps(
    augmentations: Sequence[Borrower], cells: np.ndarray, *, pool: np.ndarray, seed: int, epoch: int, view: int
) -> list[Step]:
    """Draw, for each augmentation, which cells it changes and which rows they borrow."""
    view_keys = cell_keys(cells, seed=seed, epoch=epoch, view=view)
    steps = []
    for i, augmentation in enumerate(augmentations):
        keys = derive(view_keys, i)
        applied = uniform(derive(keys, 0)) < augmentation.p
        partners = np.empty((0, cells.size), np.int64)
        if augmentation.n_partners:
            partners = augmentation.partners(cells, derive(keys, 1), view=view, pool=pool)
            applied &= (partners >= 0).all(axis=0)
            partners = np.where(applied, partners, -1)
        steps.append(Step(applied, derive(keys, 2), partners))
    return steps

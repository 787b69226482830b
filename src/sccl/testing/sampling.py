"""What a way of sampling must satisfy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sccl.dataloaders import Sampling
from sccl.graph import CellSpace


class SamplingTests:
    """Contract of a :class:`sccl.dataloaders.Sampling`.

    Attributes
    ----------
    sampling
        The way of sampling.
    batch_size
        Size that minibatches must not exceed.
    """

    sampling: ClassVar[Sampling]
    batch_size: ClassVar[int] = 32

    def epoch(self, n_cells: int = 400, *, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
        """Return the minibatches of an epoch, and the cells that they were drawn from."""
        rng = np.random.default_rng(1)
        batch = rng.choice(3, 2 * n_cells, p=[0.6, 0.3, 0.1])
        sampling = self.sampling.bind(CellSpace(rng.normal(size=(2 * n_cells, 8)), batch))
        cells = np.sort(rng.choice(2 * n_cells, n_cells, replace=False))
        draws = np.random.default_rng(seed)
        return sampling.minibatches(cells, batch[cells], batch_size=self.batch_size, rng=draws), cells

    def test_minibatches_have_at_least_two_cells_and_not_too_many(self) -> None:
        """A cell alone cannot be contrasted; none comes twice in a minibatch."""
        minibatches, _ = self.epoch()
        assert all(2 <= len(one) <= self.batch_size + 1 for one in minibatches)
        assert all(len(np.unique(one)) == len(one) for one in minibatches)

    def test_only_the_given_cells_are_drawn(self) -> None:
        """Those that are validated on are not among them."""
        minibatches, cells = self.epoch()
        assert np.isin(np.concatenate(minibatches), cells).all()

    def test_every_epoch_has_as_many_minibatches_and_another_order(self) -> None:
        """So that the length of training is known beforehand."""
        (first, _), (second, _) = self.epoch(seed=0), self.epoch(seed=1)
        assert len(first) == len(second)
        assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))

    def test_a_seed_gives_one_epoch(self) -> None:
        """Cell by cell."""
        (first, _), (second, _) = self.epoch(seed=2), self.epoch(seed=2)
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))

    def test_few_cells_are_fine(self) -> None:
        """Fewer than a minibatch, and two."""
        for n_cells in (2, 3, 20):
            minibatches, cells = self.epoch(n_cells)
            assert np.isin(np.concatenate(minibatches), cells).all()

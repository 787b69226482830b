"""Which cells share a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


class Sampling(ABC):
    """A way to divide the cells of an epoch into minibatches; subclasses are frozen dataclasses."""

    @abstractmethod
    def minibatches(
        self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Divide one epoch.

        Parameters
        ----------
        cells
            Row numbers of the cells to train on, shape ``(n_cells,)``.
        batch
            Codes of their experimental batches, shape ``(n_cells,)``.
        batch_size
            Size that minibatches do not exceed.
        rng
            The epoch's source of randomness.

        Returns
        -------
        Row numbers, :func:`n_minibatches` arrays, each of at least two cells if there are two.
        """


@dataclass(frozen=True)
class UniformSampling(Sampling):
    """Every cell once per epoch, in random order."""

    def minibatches(
        self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Divide a random permutation evenly: sizes differ by at most one, so that none is left over."""
        return split_evenly(rng.permutation(cells), batch_size)


def split_evenly(cells: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Divide cells into the fewest minibatches of at most ``batch_size``, of sizes that differ by at most one.

    None holds a single cell unless there is only one: then they are a little larger than ``batch_size``.
    """
    return np.array_split(cells, n_minibatches(cells.size, batch_size))


def n_minibatches(n_cells: int, batch_size: int) -> int:
    """Return into how many minibatches an epoch of ``n_cells`` is divided."""
    return max(min(-(-n_cells // batch_size), n_cells // 2), 1)


BY_NAME: dict[str, Sampling] = {"uniform": UniformSampling()}


def as_sampling(sampling: Sampling | str | None) -> Sampling:
    """Turn what a user may pass as ``sampling`` into an object.

    Raises
    ------
    KeyError
        If the name is unknown.
    """
    if sampling is None:
        return UniformSampling()
    if isinstance(sampling, Sampling):
        return sampling
    if sampling not in BY_NAME:
        raise KeyError(f"Unknown `sampling` {sampling!r}; known: {', '.join(BY_NAME)}.")
    return BY_NAME[sampling]

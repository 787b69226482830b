"""What annbatch is asked to read: these rows, then those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from annbatch.abc import Sampler


class Requested(Sampler):
    """A sampler of annbatch that was told beforehand what to read.

    Parameters
    ----------
    requests
        Row numbers, each array read at once and returned whole, in its order.
    """

    batch_size = None
    shuffle = False

    def __init__(self, requests: Sequence[np.ndarray]) -> None:
        self._requests = requests

    def n_batches(self, n_obs: int) -> int:
        """Return how many requests there are."""
        return len(self._requests)

    def validate(self, n_obs: int) -> None:
        """Nothing to be refused: who asks knows the rows."""

    def _sample(self, n_obs: int) -> Iterator[Any]:
        for rows in self._requests:
            yield {"requests": rows, "splits": [np.arange(rows.size)]}

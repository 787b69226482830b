"""Any cells together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sccl.dataloaders.sampling.base import Sampling


@dataclass(frozen=True)
class UniformSampling(Sampling):
    """Any cells share a minibatch; every cell comes once per epoch."""

    def pools(
        self, cells: np.ndarray, batch: np.ndarray, *, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Return one pool."""
        return [cells]

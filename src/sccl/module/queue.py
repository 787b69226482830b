"""Projections of recent cells."""

from __future__ import annotations

import torch
from lightly.models.modules import NNMemoryBankModule
from torch import Tensor


class Queue(NNMemoryBankModule):
    """A memory bank: first in, first out.

    In contrast to lightly's, on which it builds, it knows how much of it is filled (the rest is not random vectors, but
    empty), and it is part of the saved state.

    Parameters
    ----------
    size
        Number of projections that it holds. Where a minibatch does not fit between the last one and the end, the
        rest of it is left out; the next one starts at the front.
    n_dims
        Their width.
    """

    n_filled: Tensor

    def __init__(self, size: int, n_dims: int) -> None:
        super().__init__((size, n_dims))
        # Registered anew, since lightly leaves its buffers out of the state.
        self.register_buffer("bank", torch.zeros(size, n_dims))
        self.register_buffer("bank_ptr", torch.zeros(1, dtype=torch.long))
        self.register_buffer("n_filled", torch.zeros(1, dtype=torch.long))

    @property
    def filled_kd(self) -> Tensor:
        """The projections it holds, at most ``size`` × dimensions."""
        # A copy: what a loss was computed from must not change before its gradient is.
        return self.bank[: int(self.n_filled)].clone()

    @property
    def is_full(self) -> bool:
        """Whether no place is empty."""
        return int(self.n_filled) == self.size[0]

    @torch.no_grad()
    def push(self, z_nd: Tensor) -> None:
        """Replace the oldest projections."""
        self._dequeue_and_enqueue(z_nd)
        end = int(self.bank_ptr) or self.size[0]  # back at 0: filled to the end
        self.n_filled.clamp_(min=end)

    @torch.no_grad()
    def nearest(self, z_nd: Tensor) -> Tensor:
        """Return the most similar projection (cosine) for each cell; until the queue is full, the cell's own."""
        return self(z_nd) if self.is_full else z_nd.detach()

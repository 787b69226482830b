"""A batch of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def at_least_two(z_nd: Tensor) -> Tensor:
    """Return the projections, a single cell's twice.

    Losses from statistics over cells are then defined where a validation set has one cell, which has variance 0 and
    nothing but itself to be contrasted with. Training batches have at least two.
    """
    return z_nd if len(z_nd) > 1 else z_nd.expand(2, -1)

"""A view of dense cells, on any device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sccl.augment.plan import Borrower, Step, draw_steps

if TYPE_CHECKING:
    import torch


class Changer(Borrower, Protocol):
    """What is asked of an augmentation here, see :class:`sccl.augment.Augmentation`."""

    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Change every cell."""


def make_view(
    augmentations: Sequence[Changer], x_ng: torch.Tensor, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Draw and make a view; see :meth:`sccl.augment.Compose.__call__`."""
    import torch

    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    cells = np.arange(x_ng.shape[0])
    steps = draw_steps(augmentations, cells, pool=cells, seed=seed, epoch=0, view=0)
    partners = [x_ng[torch.as_tensor(step.partners, device=x_ng.device)] for step in steps]
    return apply_steps(augmentations, x_ng, partners, steps)


def apply_steps(
    augmentations: Sequence[Changer], x_ng: torch.Tensor, partners: list[torch.Tensor], steps: list[Step]
) -> torch.Tensor:
    """Make a view of what was drawn; see :meth:`sccl.augment.Compose.apply`."""
    view_ng = x_ng.clone()
    for augmentation, partners_png, step in zip(augmentations, partners, steps, strict=True):
        view_ng = apply_step(augmentation, view_ng, partners_png, step)
    return view_ng


def apply_step(augmentation: Changer, x_ng: torch.Tensor, partners_png: torch.Tensor, step: Step) -> torch.Tensor:
    """Change the cells that one augmentation was drawn for."""
    import torch

    if not step.keys.size:
        return x_ng
    generator = torch.Generator(x_ng.device).manual_seed(int(np.bitwise_xor.reduce(step.keys) >> np.uint64(1)))
    changed_ng = augmentation.apply(x_ng, partners_png, generator)
    applied_n1 = torch.as_tensor(step.applied, device=x_ng.device)[:, None]
    return torch.where(applied_n1, changed_ng, x_ng)

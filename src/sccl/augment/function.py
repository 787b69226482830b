"""A user's own torch function as an augmentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sccl.augment.base import Augmentation, check_interval

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Function(Augmentation):
    """A plain torch function over whole batches.

    Parameters
    ----------
    function
        Takes log-expression, cells × genes, and returns a tensor of the same shape on the same device. It may draw
        from torch's default generator, which is seeded for it.
    p
        Chance that a cell is changed, in ``[0, 1]``.

    Raises
    ------
    ValueError
        When applied, if the function returns another shape.
    """

    function: Callable[[torch.Tensor], torch.Tensor]
    p: float = 1.0

    def __post_init__(self) -> None:
        check_interval(self, "[0, 1]", "p")

    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Call the function on a copy, so that it may work in place."""
        import torch

        devices = [x_ng.device] if x_ng.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(generator.initial_seed())
            changed_ng = self.function(x_ng.clone())
        if changed_ng.shape != x_ng.shape:
            raise ValueError(
                f"The augmentation {self.function!r} must return cells × genes {tuple(x_ng.shape)}, "
                f"found {tuple(changed_ng.shape)}."
            )
        return changed_ng

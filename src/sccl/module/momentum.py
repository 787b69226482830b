"""Targets that follow at a distance."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import nn

from sccl.inputs import as_real
from sccl.module.architecture import Architecture

if TYPE_CHECKING:
    from sccl.module.encoder import Encoder


class MomentumArchitecture(Architecture):
    """An architecture whose target is a moving average of its own encoder and projector.

    After each step ``target ← m · target + (1 - m) · online``, where m rises from ``momentum`` to 1, which it reaches at
    the last step, along a cosine. Averaged are weights; BatchNorm statistics are the target's own.

    Parameters
    ----------
    projector
        From representations to what is compared.
    momentum
        m at the first step, in ``[0, 1]``.

    References
    ----------
    He et al., *Momentum contrast for unsupervised visual representation learning*, CVPR 2020; the cosine is that of
    Grill et al., *Bootstrap your own latent*, NeurIPS 2020.
    """

    def __init__(self, projector: nn.Module, momentum: float) -> None:
        super().__init__()
        as_real(momentum, "momentum", "[0, 1]")
        self.momentum = momentum
        self.projector = projector
        self.target_projector = frozen_copy(projector)

    def make_target(self, encoder: Encoder) -> nn.Module:
        """Return a copy of the encoder that gets no gradient."""
        return frozen_copy(encoder)

    def update_target(self, encoder: nn.Module, target: nn.Module | None, *, step: int, n_steps: int) -> None:
        """Move the target encoder and projector towards their online partners."""
        assert target is not None
        momentum = cosine_schedule(step, n_steps, self.momentum, 1.0)
        update_momentum(encoder, target, momentum)
        update_momentum(self.projector, self.target_projector, momentum)


def frozen_copy[M: nn.Module](network: M) -> M:
    """Return a copy that gets no gradient."""
    copy = deepcopy(network)
    deactivate_requires_grad(copy)
    return copy

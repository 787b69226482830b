"""The contract of an architecture: representations in, a loss out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from sccl.module.encoder import Encoder


class Projections(NamedTuple):
    """What an architecture makes of the two views.

    Attributes
    ----------
    loss
        Scalar.
    z1_nd, z2_nd
        The projections that were compared, cells × dimensions.
    """

    loss: Tensor
    z1_nd: Tensor
    z2_nd: Tensor


class Architecture(nn.Module):
    """Heads and loss. It sees representations, never the data they come from.

    Its first argument is the width of the representations, ``n_latent``; the others are its hyper-parameters.
    A subclass sets ``projector`` and defines ``forward``:

    * ``forward(h1_nd, h2_nd)`` compares the representations of two views, cells × latent dimensions each;
    * ``forward(h1_nd, h2_nd, t1_nd, t2_nd)``, if :meth:`make_target` gives a second encoder, has its representations
      of the same two views, too.

    What changes from step to step (queues, averages) does so in training mode alone, and is kept in buffers, so that
    it is saved with the model.
    """

    #: From representations to what is compared.
    projector: nn.Module
    #: Arguments of training that suit it better than those of ``sccl.model.PublishedModel``.
    train_defaults: ClassVar[dict[str, Any]] = {}
    forward: Callable[..., Projections]

    def project(self, h_nd: Tensor) -> Tensor:
        """Return the projections of representations."""
        return self.projector(h_nd)

    def make_target(self, encoder: Encoder) -> nn.Module | None:
        """Return a second encoder, from the same cells × genes to as many dimensions; None: there is none."""
        return None

    def update_target(self, encoder: nn.Module, target: nn.Module | None, *, step: int, n_steps: int) -> None:
        """Adjust the target to the encoder after an optimiser step; by default nothing is done.

        Parameters
        ----------
        encoder, target
            One encoder and its target, or containers of several in the same order.
        step
            Number of the step, in ``[0, n_steps)``.
        n_steps
            Number of steps of the whole training.
        """


def apply_to_both(head: nn.Module, a_nd: Tensor, b_nd: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a head makes of two views, in one pass over both."""
    first_nd, second_nd = head(torch.cat([a_nd, b_nd])).chunk(2)
    return first_nd, second_nd

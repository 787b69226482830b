"""The contract of an architecture: representations in, a loss out."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


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
    """Heads and loss. It sees representations, never the encoder or the data they come from."""

    @abstractmethod
    def forward(self, h1_nd: Tensor, h2_nd: Tensor) -> Projections:
        """Compare the representations of two views, cells × latent dimensions each."""

    @abstractmethod
    def project(self, h_nd: Tensor) -> Tensor:
        """Return the projections of representations."""

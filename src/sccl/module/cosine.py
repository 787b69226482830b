"""The loss of architectures that predict one view from the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightly.loss import NegativeCosineSimilarity

if TYPE_CHECKING:
    from torch import Tensor

_negative_cosine = NegativeCosineSimilarity()


def symmetric_negative_cosine(p1_nd: Tensor, p2_nd: Tensor, z1_nd: Tensor, z2_nd: Tensor) -> Tensor:
    """Return how badly each view predicts the other.

    Parameters
    ----------
    p1_nd, p2_nd
        Predictions from the two views, cells × dimensions.
    z1_nd, z2_nd
        What is to be predicted, from ``p2_nd`` and ``p1_nd``; gets no gradient.

    Returns
    -------
    Scalar in ``[-1, 1]``: ``-½ (cos(p1, z2) + cos(p2, z1))``, averaged over cells.
    """
    return 0.5 * (_negative_cosine(p1_nd, z2_nd.detach()) + _negative_cosine(p2_nd, z1_nd.detach()))

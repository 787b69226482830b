"""SimSiam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from lightly.models.modules import SimSiamPredictionHead, SimSiamProjectionHead

from sccl.inputs import check_counts
from sccl.module.architecture import Architecture, Projections, apply_to_both
from sccl.module.cosine import symmetric_negative_cosine

if TYPE_CHECKING:
    from torch import Tensor


class SimSiam(Architecture):
    """Each view predicts the other, which gets no gradient; nothing repels and nothing is slow.

    Trained by default on minibatches of 128 cells and twice as wide as in the reference. On 1500 cells, in 60 epochs, the
    reference's 256 cells and heads left it with less of the cell types (neighbour purity .79 in place of .82 to .84).

    Parameters
    ----------
    n_latent
        Width of the representations.
    n_hidden_projector
        Width of the projector's two hidden layers, ≥ 1: three times Linear · BatchNorm with ReLU between, the last
        BatchNorm not affine. Reference: 64; paper: 2048.
    n_projection
        Width of its output, ≥ 1. Reference: 32, which keeps less of the cell types; paper: 2048.
    n_hidden_predictor
        Width of the predictor's hidden layer, Linear · BatchNorm · ReLU · Linear, ≥ 1. Reference: 16; paper: 512, a
        quarter of the projection.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Chen & He, *Exploring simple siamese representation learning*, CVPR 2021.
    """

    train_defaults: ClassVar[dict[str, Any]] = {"batch_size": 128}

    def __init__(
        self,
        n_latent: int,
        *,
        n_hidden_projector: int = 64,
        n_projection: int = 64,
        n_hidden_predictor: int = 32,
    ) -> None:
        super().__init__()
        check_counts(
            n_latent=n_latent,
            n_hidden_projector=n_hidden_projector,
            n_projection=n_projection,
            n_hidden_predictor=n_hidden_predictor,
        )
        self.projector = SimSiamProjectionHead(n_latent, n_hidden_projector, n_projection)
        self.predictor = SimSiamPredictionHead(n_projection, n_hidden_predictor, n_projection)

    def forward(self, h1_nd: Tensor, h2_nd: Tensor) -> Projections:
        """Compare the prediction from each view with the other."""
        z1_nd, z2_nd = apply_to_both(self.projector, h1_nd, h2_nd)
        p1_nd, p2_nd = apply_to_both(self.predictor, z1_nd, z2_nd)
        return Projections(symmetric_negative_cosine(p1_nd, p2_nd, z1_nd, z2_nd), z1_nd, z2_nd)

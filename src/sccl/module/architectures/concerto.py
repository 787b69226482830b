"""Concerto."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from sccl.inputs import as_real, check_counts
from sccl.module.architecture import Architecture, Projections, apply_to_both
from sccl.module.attention import AttentionEncoder
from sccl.module.ntxent import nt_xent

if TYPE_CHECKING:
    from torch import Tensor

    from sccl.module.encoder import Encoder


class Concerto(Architecture):
    """A student, the shared encoder, and a teacher that attends to genes agree on a cell and tell it from others.

    Both learn. As in the original, and unlike the reference, which makes whole numbers of log-expression, the teacher
    sees the values themselves: each scales its gene's embedding. The embedding of cells is the student's.

    Parameters
    ----------
    n_latent
        Width of the representations.
    n_projection
        Width of the two projectors, each one Linear layer, ≥ 1. Reference and paper: 128.
    n_embedding
        Width of the teacher's gene embedding, ≥ 1. Paper: 128.
    projection_dropout
        Dropout on both representations before they are projected, in ``[0, 1)``. Reference and paper: 0.2.
    temperature
        Of the NT-Xent loss, > 0. Reference: 0.2.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Yang et al., *Contrastive learning enables rapid mapping to multimodal single-cell atlas of multimillion scale*,
    Nature Machine Intelligence 2022.
    """

    def __init__(
        self,
        n_latent: int,
        *,
        n_projection: int = 128,
        n_embedding: int = 128,
        projection_dropout: float = 0.2,
        temperature: float = 0.2,
    ) -> None:
        super().__init__()
        check_counts(n_latent=n_latent, n_projection=n_projection, n_embedding=n_embedding)
        as_real(projection_dropout, "projection_dropout", "[0, 1)")
        as_real(temperature, "temperature", "(0, ∞)")
        self.temperature, self.n_embedding = temperature, n_embedding
        self.projector = nn.Linear(n_latent, n_projection)
        self.teacher_projector = nn.Linear(n_latent, n_projection)
        self.dropout = nn.Dropout(projection_dropout)

    def make_target(self, encoder: Encoder) -> AttentionEncoder:
        """Return the teacher, which learns by gradient."""
        return AttentionEncoder(encoder.n_genes, encoder.n_latent, n_embedding=self.n_embedding)

    def forward(self, h1_nd: Tensor, h2_nd: Tensor, t1_nd: Tensor, t2_nd: Tensor) -> Projections:
        """Compare what the student makes of each view with what the teacher makes of the other."""
        student1_nd, student2_nd = apply_to_both(self.projector, self.dropout(h1_nd), self.dropout(h2_nd))
        teacher1_nd, teacher2_nd = apply_to_both(self.teacher_projector, self.dropout(t1_nd), self.dropout(t2_nd))
        loss = 0.5 * (
            nt_xent(student1_nd, teacher2_nd, self.temperature) + nt_xent(student2_nd, teacher1_nd, self.temperature)
        )
        return Projections(loss, student1_nd, teacher2_nd)

"""The encoder that all architectures share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn

from sccl.inputs import as_real, check_counts
from sccl.module.joint import JointBatchNorm1d
from sccl.module.sparse import SparseLinear

if TYPE_CHECKING:
    from torch import Tensor

    from sccl.augment.sparse import SparseRows


class Encoder(nn.Sequential):
    """Linear · BatchNorm · ReLU, once per hidden layer, then Linear · BatchNorm · Dropout.

    Parameters
    ----------
    n_genes
        Width of the input.
    n_hidden
        Width of the hidden layer, ≥ 1; or several widths, one per hidden layer from the input on.
    n_latent
        Width of the representation.
    dropout_rate
        Dropout on the representation while training, in ``[0, 1)``.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(
        self,
        n_genes: int,
        *,
        n_hidden: int | Sequence[int] = 128,
        n_latent: int = 64,
        dropout_rate: float = 0.0,
    ) -> None:
        widths = [*n_hidden] if isinstance(n_hidden, Sequence) else [n_hidden]
        for width in widths:
            check_counts(n_hidden=width)
        check_counts(n_latent=n_latent)
        as_real(dropout_rate, "dropout_rate", "[0, 1)")
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise([n_genes, *widths]):
            linear = nn.Linear if layers else SparseLinear
            layers += [linear(n_in, n_out), JointBatchNorm1d(n_out), nn.ReLU()]
        super().__init__(
            *layers, nn.Linear([n_genes, *widths][-1], n_latent), JointBatchNorm1d(n_latent), nn.Dropout(dropout_rate)
        )
        self.n_genes, self.n_latent = n_genes, n_latent

    def forward(self, x_ng: Tensor | SparseRows) -> Tensor:
        """Return the representations, cells × latent dimensions, of log-expression, cells × genes; on the CPU also of sparse rows."""
        return super().forward(x_ng)

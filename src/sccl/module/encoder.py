"""The encoder that all architectures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from sccl.module.ranges import check_dropout, check_widths

if TYPE_CHECKING:
    from torch import Tensor


class Encoder(nn.Sequential):
    """Linear · BatchNorm · ReLU · Linear · BatchNorm · Dropout.

    Parameters
    ----------
    n_genes
        Width of the input.
    n_hidden
        Width of the hidden layer.
    n_latent
        Width of the representation.
    dropout_rate
        Dropout on the representation while training, in ``[0, 1)``.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(self, n_genes: int, *, n_hidden: int = 128, n_latent: int = 64, dropout_rate: float = 0.0) -> None:
        check_widths(n_hidden=n_hidden, n_latent=n_latent)
        check_dropout(dropout_rate=dropout_rate)
        super().__init__(
            nn.Linear(n_genes, n_hidden),
            nn.BatchNorm1d(n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, n_latent),
            nn.BatchNorm1d(n_latent),
            nn.Dropout(dropout_rate),
        )
        self.n_genes, self.n_latent = n_genes, n_latent

    def forward(self, x_ng: Tensor) -> Tensor:
        """Return the representations, cells × latent dimensions, of log-expression, cells × genes."""
        return super().forward(x_ng)

"""An encoder that attends to genes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sccl.module.joint import JointBatchNorm1d


class AttentionEncoder(nn.Module):
    """Each expressed gene as a vector, pooled by soft attention · Linear · BatchNorm.

    A gene's vector is its embedding times its value, and its attention the softmax, over the genes that the cell
    expresses, of a score of that vector. Being linear in the value, the score and the pooling are products of matrices:
    nothing of the size cells × genes × dimensions (1 GB for 512, 4000 and 128) is ever made.

    Parameters
    ----------
    n_genes
        Width of the input.
    n_latent
        Width of the representation.
    n_embedding
        Width of the gene embedding.
    """

    def __init__(self, n_genes: int, n_latent: int, *, n_embedding: int) -> None:
        super().__init__()
        self.embedding_gd = nn.Parameter(torch.randn(n_genes, n_embedding))
        self.context = nn.Linear(n_embedding, 1, bias=False)
        self.output = nn.Sequential(nn.Linear(n_embedding, n_latent), JointBatchNorm1d(n_latent))

    def attention(self, x_ng: Tensor) -> Tensor:
        """Return the attention that each cell pays to its genes, in rows that sum to 1."""
        score_ng = x_ng * self.context(self.embedding_gd).T
        # Not -inf: a cell without any expression attends to all genes alike, and their vectors are 0.
        return score_ng.masked_fill(x_ng == 0, torch.finfo(score_ng.dtype).min).softmax(1)

    def forward(self, x_ng: Tensor) -> Tensor:
        """Return the representations, cells × latent dimensions, of log-expression, cells × genes."""
        return self.output((self.attention(x_ng) * x_ng) @ self.embedding_gd)

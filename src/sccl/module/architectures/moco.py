"""MoCo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from lightly.models.modules import MoCoProjectionHead
from torch.nn import functional

from sccl.inputs import as_real, check_counts
from sccl.module.architecture import Projections, apply_to_both
from sccl.module.momentum import MomentumArchitecture
from sccl.module.queue import Queue

if TYPE_CHECKING:
    from torch import Tensor


class MoCo(MomentumArchitecture):
    """A cell's query finds its own key, from a slow encoder, among those of many recent cells.

    The queue is empty at first, so that the first step has no negatives and loss 0; it holds keys alone. Where it is
    larger than the number of cells, one or more of its keys are earlier ones of the same cell.

    Parameters
    ----------
    n_latent
        Width of the representations.
    n_projection
        Width of the projector, Linear · ReLU · Linear, ≥ 1. Reference: 64; paper: 128.
    temperature
        Divides the cosine similarities, > 0. Reference: 0.5; paper: 0.07 (MoCo), 0.2 (MoCo v2).
    memory_bank_size
        Number of keys in the queue, ≥ 1. Reference: 2048; paper: 65536.
    momentum
        Of the target at the first step, in ``[0, 1]``; 1 at the last. Reference: 0.996, paper: constant 0.999, both for
        longer trainings: in a thousand steps so slow a target hardly leaves its start.
    symmetric
        Let both views be queries and both be keys. Papers: no; CLAIRE: yes.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    He et al., *Momentum contrast for unsupervised visual representation learning*, CVPR 2020; Chen et al., *Improved
    baselines with momentum contrastive learning*, 2020.
    """

    def __init__(
        self,
        n_latent: int,
        *,
        n_projection: int = 64,
        temperature: float = 0.5,
        memory_bank_size: int = 2048,
        momentum: float = 0.99,
        symmetric: bool = False,
    ) -> None:
        check_counts(n_latent=n_latent, n_projection=n_projection, memory_bank_size=memory_bank_size)
        as_real(temperature, "temperature", "(0, ∞)")
        super().__init__(MoCoProjectionHead(n_latent, n_projection, n_projection), momentum)
        self.temperature, self.symmetric = temperature, symmetric
        self.queue = Queue(memory_bank_size, n_projection)

    def forward(self, h1_nd: Tensor, h2_nd: Tensor, t1_nd: Tensor, t2_nd: Tensor) -> Projections:
        """Compare queries from the encoder with keys from the target."""
        negatives_kd = self.queue.filled_kd
        if self.symmetric:
            q1_nd, q2_nd = apply_to_both(self.projector, h1_nd, h2_nd)
            k1_nd, k2_nd = apply_to_both(self.target_projector, t1_nd, t2_nd)
            queries_nd, keys_nd = torch.cat([q1_nd, q2_nd]), torch.cat([k2_nd, k1_nd])
        else:
            queries_nd = q1_nd = self.projector(h1_nd)
            keys_nd = k2_nd = self.target_projector(t2_nd)
        keys_nd = functional.normalize(keys_nd.detach(), dim=1)
        loss = info_nce(queries_nd, keys_nd, negatives_kd, self.temperature)
        if self.training:
            self.queue.push(keys_nd)
        return Projections(loss, q1_nd, k2_nd)


def info_nce(queries_nd: Tensor, keys_nd: Tensor, negatives_kd: Tensor, temperature: float) -> Tensor:
    """Return the cross-entropy of finding each query's key among it and the negatives.

    Parameters
    ----------
    queries_nd
        Cells × dimensions; normalised here.
    keys_nd, negatives_kd
        Of the same cells and of others, of unit length. Without negatives the loss is 0.
    temperature
        Divides the cosine similarities, > 0.

    Returns
    -------
    The mean over cells. Equal to lightly's :class:`~lightly.loss.NTXentLoss` with a full memory bank.
    """
    queries_nd = functional.normalize(queries_nd, dim=1)
    positive_n1 = (queries_nd * keys_nd).sum(1, keepdim=True)
    logits_nk = torch.cat([positive_n1, queries_nd @ negatives_kd.T], dim=1) / temperature
    return functional.cross_entropy(logits_nk, logits_nk.new_zeros(len(logits_nk), dtype=torch.long))

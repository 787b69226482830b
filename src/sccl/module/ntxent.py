"""The normalised temperature-scaled cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def nt_xent(z1_nd: Tensor, z2_nd: Tensor, temperature: float) -> Tensor:
    """Contrast the two projections of each cell with all others of the batch.

    Parameters
    ----------
    z1_nd, z2_nd
        Projections of the two views, cells × dimensions; normalised here.
    temperature
        Divides the cosine similarities, > 0.

    Returns
    -------
    The mean over both views of all cells. Equal to lightly's :class:`~lightly.loss.NTXentLoss` without a memory
    bank, from one product of the stacked views in place of four.

    References
    ----------
    Chen et al., *A simple framework for contrastive learning of visual representations*, ICML 2020.
    """
    n_cells = z1_nd.shape[0]
    z_md = functional.normalize(torch.cat([z1_nd, z2_nd]), dim=1)
    logits_mm = (z_md @ z_md.T / temperature).fill_diagonal_(-torch.inf)
    partner_m = torch.arange(2 * n_cells, device=z_md.device).roll(n_cells)
    return functional.cross_entropy(logits_mm, partner_m)

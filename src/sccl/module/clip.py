"""The contrast between two modalities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def clip_loss(a_nd: Tensor, b_nd: Tensor, temperature: float) -> Tensor:
    """Return the cross-entropy of finding a cell's other modality among those of all cells, in both directions.

    Parameters
    ----------
    a_nd, b_nd
        Representations of the two modalities, cells × dimensions; normalised here. Both get a gradient.
    temperature
        Divides the cosine similarities, > 0.

    Returns
    -------
    Scalar: half the sum of both directions, each the mean over cells. 0 for a single cell.

    References
    ----------
    Radford et al., *Learning transferable visual models from natural language supervision*, ICML 2021.
    """
    logits_nn = functional.normalize(a_nd, dim=1) @ functional.normalize(b_nd, dim=1).T / temperature
    own_n = torch.arange(len(logits_nn), device=logits_nn.device)
    return 0.5 * (functional.cross_entropy(logits_nn, own_n) + functional.cross_entropy(logits_nn.T, own_n))

"""Numbers that tell whether an embedding is learning or collapsing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def alignment(z1_nd: Tensor, z2_nd: Tensor) -> Tensor:
    """Return the mean squared distance of the two views of a cell on the unit sphere.

    Parameters
    ----------
    z1_nd, z2_nd
        Cells × dimensions; normalised here.

    Returns
    -------
    Scalar in ``[0, 4]``; 0: the views coincide.

    References
    ----------
    Wang & Isola, *Understanding contrastive representation learning through alignment and uniformity on the
    hypersphere*, ICML 2020.
    """
    return (functional.normalize(z1_nd, dim=1) - functional.normalize(z2_nd, dim=1)).square().sum(1).mean()


def uniformity(z_nd: Tensor) -> Tensor:
    """Return the log of the mean gaussian potential, ``exp(-2 d²)``, between cells on the unit sphere.

    Parameters
    ----------
    z_nd
        At least two cells × dimensions; normalised here.

    Returns
    -------
    Scalar in ``[-8, 0]``; 0: all cells coincide.

    References
    ----------
    Wang & Isola, ICML 2020.
    """
    return torch.pdist(functional.normalize(z_nd, dim=1)).square().mul(-2).exp().mean().log()


def effective_rank(h_nd: Tensor) -> Tensor:
    """Return the number of dimensions that cells really use.

    Parameters
    ----------
    h_nd
        Cells × dimensions.

    Returns
    -------
    The exponential of the entropy of the normalised singular values of the centred matrix, in ``[1, n_dimensions]``;
    1 if all cells coincide.

    References
    ----------
    Roy & Vetterli, *The effective rank: a measure of effective dimensionality*, EUSIPCO 2007.
    """
    h_nd = h_nd - h_nd.mean(0)
    singular_d = torch.linalg.eigvalsh((h_nd.T @ h_nd).double()).clamp(min=0).sqrt()
    share_d = singular_d / singular_d.sum().clamp(min=torch.finfo(singular_d.dtype).tiny)
    return torch.special.entr(share_d).sum().exp()

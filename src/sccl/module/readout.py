"""Relevant component analysis as the last layer, computed rather than learned: what paired cells differ by counts little in the embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

# How far the covariance of pairs is moved towards one that is the same in all directions: 0 whitens what pairs differ by, 1 keeps
# the shape that training gave the representations.
SHRINKAGE = 2 / 3


class Readout(nn.Module):
    """Rotate and scale representations; the identity until :meth:`fit`.

    Contrastive training spreads cells over all dimensions, those that only tell one cell from the next among them. Pairs
    of cells that are held to be of one kind say which dimensions are worth how much. Axes on which they differ as much as any
    cells become zero, often a quarter of all; these are the last ones.

    Parameters
    ----------
    n_latent
        Width of the representations.
    """

    mean_d: Tensor
    weight_dd: Tensor

    def __init__(self, n_latent: int) -> None:
        super().__init__()
        self.register_buffer("mean_d", torch.zeros(n_latent))
        self.register_buffer("weight_dd", torch.eye(n_latent))

    def forward(self, h_nd: Tensor) -> Tensor:
        """Return the embedding, cells × dimensions, of representations of the same shape."""
        return (h_nd - self.mean_d) @ self.weight_dd

    def reset(self) -> None:
        """Become the identity again."""
        self.mean_d.zero_()
        nn.init.eye_(self.weight_dd)

    def fit(self, h_nd: np.ndarray, pairs: np.ndarray, *, any_cells: np.ndarray | None = None) -> None:
        """Learn from pairs; where they say nothing (see :func:`reliable_axes`) nothing changes.

        Parameters
        ----------
        h_nd, pairs, any_cells
            See :func:`reliable_axes`.
        """
        weight_dd = reliable_axes(h_nd, pairs, any_cells=any_cells)
        if weight_dd is not None:
            self.mean_d.copy_(torch.from_numpy(_rows(h_nd, any_cells).mean(axis=0)))
            self.weight_dd.copy_(torch.from_numpy(weight_dd))


def reliable_axes(h_nd: np.ndarray, pairs: np.ndarray, *, any_cells: np.ndarray | None = None) -> np.ndarray | None:
    """Return the axes on which pairs of cells of one kind differ least, compared with all cells.

    On each axis pairs vary by 1 and all cells by λ. It is scaled by its reliability ρ = 1 - 1/λ (0 where λ < 1), by which the part
    that pairs agree on is best predicted. The covariance of pairs is moved two thirds towards its mean variance first: the
    representations keep most of their shape, and few pairs are enough.

    Parameters
    ----------
    h_nd
        Representations, cells × dimensions.
    pairs
        Row numbers of cells that are held to be of one kind, ``(n_pairs, 2)``.
    any_cells
        Row numbers of the cells that show how all cells vary. None: all.

    Returns
    -------
    float64, dimensions × dimensions, to multiply centred representations with; the most reliable axis first. None if
    there are fewer pairs than dimensions, if none differs, or if no axis is reliable.

    References
    ----------
    Bar-Hillel et al., *Learning a Mahalanobis metric from equivalence constraints*, JMLR 2005 (relevant component
    analysis); Friedman, *Regularized discriminant analysis*, Journal of the American Statistical Association 1989 (the shrinkage).
    """
    from scipy.linalg import eigh

    if len(pairs) < h_nd.shape[1]:
        return None
    # one large array of float64 at a time
    difference_pd = h_nd[pairs[:, 0]].astype(np.float64)
    difference_pd -= h_nd[pairs[:, 1]]
    difference_pd /= np.sqrt(2)
    if not difference_pd.any():
        return None
    within_dd = difference_pd.T @ difference_pd / len(pairs)
    del difference_pd
    spherical_dd = np.eye(len(within_dd)) * np.trace(within_dd) / len(within_dd)
    within_dd += SHRINKAGE * (spherical_dd - within_dd)
    variance_d, axes_dd = eigh(np.cov(_rows(h_nd, any_cells).T, dtype=np.float64), within_dd)
    variance_d = np.maximum(variance_d, 1)
    reliability_d = 1 - 1 / variance_d
    if not reliability_d.any():
        return None
    return np.ascontiguousarray((axes_dd * reliability_d)[:, ::-1])


def _rows(h_nd: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    return h_nd if rows is None or len(rows) == len(h_nd) else h_nd[rows]

"""The space in which reference cells are near a query cell or not: the embedding, and what expression adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sccl.mapping.whitening import label_means, within_class_whitening

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Axes of expression, where cells and genes allow as many.
N_COMPS = 50


def voting_space(
    z_ref: np.ndarray,
    z_query: np.ndarray,
    x_ref: csr_matrix,
    x_query: csr_matrix,
    codes: np.ndarray,
    sample: np.ndarray,
    *,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Put the embedding and the principal components of expression side by side, each scaled by the labels.

    The embedding has lost the batch effect, and with it some of what tells similar types apart; expression has kept both.
    Each of the two is whitened within labels: cells of one label then vary alike in all directions, for what varies within labels is no
    reason to be apart; and both to the same size. Where a query cell is does not depend on the other query cells.

    Parameters
    ----------
    z_ref, z_query
        Embeddings, cells × dimensions.
    x_ref, x_query
        Log-expression, cells × the genes that both have.
    codes
        Label of each reference cell as a number.
    sample
        Row numbers of the reference cells that determine the axes of expression.
    seed
        Of the solver's start.

    Returns
    -------
    float32 arrays, cells × dimensions, of the reference and of the query.

    References
    ----------
    Fisher, *The use of multiple measurements in taxonomic problems*, Annals of Eugenics 1936 (distances relative to the
    variation within groups).
    """
    _, codes = np.unique(codes, return_inverse=True)
    spaces = [_scaled(z_ref, z_query, codes)]
    axes_dg, mean_g = principal_axes(x_ref[sample], seed)
    if len(axes_dg):
        p_ref, p_query = (np.asarray(x @ axes_dg.T) - axes_dg @ mean_g for x in (x_ref, x_query))
        spaces.append(_scaled(p_ref, p_query, codes))
    refs, queries = zip(*spaces, strict=True)
    return np.hstack(refs), np.hstack(queries)


def _scaled(ref: np.ndarray, query: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    white = within_class_whitening(ref, codes)
    # The mean of the labels' means, so that the origin does not depend on how frequent they are.
    center = label_means(ref, codes).mean(axis=0)
    white_ref, white_query = ((part - center) @ white for part in (ref, query))
    size = np.sqrt((white_ref**2).sum(axis=1).mean()) or 1.0
    return (white_ref / size).astype(np.float32), (white_query / size).astype(np.float32)


def principal_axes(x: csr_matrix, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the axes and the mean; no axes where cells do not differ or there are fewer than two cells or genes."""
    from sklearn.decomposition import PCA

    n_comps = min(N_COMPS, min(x.shape) - 1)
    if n_comps < 1 or abs(x.max(axis=0) - x.min(axis=0)).sum() == 0:
        return np.empty((0, x.shape[1])), np.zeros(x.shape[1])
    solver = PCA(n_comps, svd_solver="arpack", random_state=seed).fit(x)
    return solver.components_.astype(np.float32), solver.mean_.astype(np.float32)

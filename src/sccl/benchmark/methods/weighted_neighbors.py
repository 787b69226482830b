"""The graph of weighted nearest neighbours, and where cells and genes lie by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from sccl import graph
from sccl.graph.exact import directions

#: Cells of the least likeness whose mean distance is the bandwidth of a cell's kernel.
_N_FAR = 20
#: Nearest cells of each modality among which those by all of them are looked for.
_N_CANDIDATES = 200
#: Likenesses below are left out, as Seurat does.
_LEAST_LIKENESS = 1 / 15
#: Standardised expression beyond is cut off, as Seurat does.
_MOST_DEVIATION = 10.0


@dataclass(frozen=True, eq=False)
class WeightedNeighbors:
    """The nearest neighbours of cells by several modalities.

    Attributes
    ----------
    indices_nk
        Rows of the nearest cells, nearest first, shape `(n_cells, k)`.
    weights_nm
        What each modality counts for in a cell, between 0 and 1, summing to 1, shape `(n_cells, n_modalities)`.
    """

    indices_nk: np.ndarray
    weights_nm: np.ndarray

    @property
    def likeness_nn(self) -> sparse.csr_matrix:
        """The share of their neighbours that each two cells have in common, 0 where it is below 1/15."""
        shared_nn = _shared_neighbors(self.indices_nk)
        shared_nn.data[shared_nn.data < _LEAST_LIKENESS] = 0
        shared_nn.eliminate_zeros()
        return shared_nn


def weighted_neighbors(spaces: Sequence[np.ndarray], *, k: int = 20) -> WeightedNeighbors:
    """Find the neighbours of each cell by all modalities, each weighed by how well it predicts the cell (Hao et al., Cell 2021).

    A cell is predicted, in each modality, from its neighbours in that modality and in the others. One whose own neighbours
    predict better than those of the others weighs more. All searches are exact; ``muon.pp.neighbors`` finds the bandwidths of
    its kernels approximately, and is the same but for that (``docs/wnn.py``).

    Parameters
    ----------
    spaces
        Principal components of each modality, two at least, each `(n_cells, n_dims)`. Scaled here to unit length.
    k
        Number of neighbours, at least 1; one less than cells at most.
    """
    spaces = [directions(np.asarray(space)) for space in spaces]
    n_cells = len(spaces[0])
    k, n_candidates = (min(number, n_cells - 1) for number in (k, _N_CANDIDATES))
    nearest = [graph.knn(space, k=n_candidates, metric="euclidean") for space in spaces]
    own = [indices_nc[:, :k] for indices_nc, _ in nearest]
    bandwidths, ratios = [], []
    for this, space in enumerate(spaces):
        first_n = nearest[this][1][:, 0]
        bandwidth_n = _bandwidth(space, own[this])
        scale_n = np.maximum(bandwidth_n - first_n, np.finfo(np.float32).tiny)
        affinities = []
        for indices_nk in own:
            gap_n = np.linalg.norm(space - space[indices_nk].mean(axis=1), axis=1) - first_n
            affinities.append(np.exp(-np.maximum(gap_n, 0) / scale_n))
        within_n = affinities.pop(this)
        ratios.append(within_n / (np.max(affinities, axis=0) + 1e-4))
        bandwidths.append(bandwidth_n)
    ratios_nm = np.stack(ratios, axis=1)
    # a softmax, which larger numbers would overflow
    weights_nm = np.exp(ratios_nm - ratios_nm.max(axis=1, keepdims=True))
    weights_nm /= weights_nm.sum(axis=1, keepdims=True)
    indices_nk = np.empty((n_cells, k), dtype=np.intp)
    for cell in range(n_cells):
        candidates = np.unique(np.concatenate([indices_nc[cell] for indices_nc, _ in nearest]))
        likeness = np.zeros(len(candidates))
        for space, bandwidth_n, weight in zip(spaces, bandwidths, weights_nm[cell], strict=True):
            distances = np.linalg.norm(space[candidates] - space[cell], axis=1)
            likeness += weight * np.exp(-distances / bandwidth_n[cell])
        indices_nk[cell] = candidates[np.argsort(-likeness, kind="stable")[:k]]
    return WeightedNeighbors(indices_nk, weights_nm)


def diffusion_map(likeness_nn: sparse.csr_matrix, *, n_comps: int) -> np.ndarray:
    """Return the coordinates of cells that a walk on their graph makes (Coifman and Lafon, 2006), `(n_cells, n_comps)`.

    Density is divided out (their α = 1), as in ``scanpy.tl.diffmap``, and components are as long as their eigenvalues say.
    """
    density_n = np.asarray(likeness_nn.sum(axis=1)).ravel()
    inverse_nn = sparse.diags(1 / density_n)
    even_nn = inverse_nn @ likeness_nn @ inverse_nn
    root_n = np.sqrt(np.asarray(even_nn.sum(axis=1)).ravel())
    walk_nn = sparse.diags(1 / root_n) @ even_nn @ sparse.diags(1 / root_n)
    n_comps = min(n_comps, len(root_n) - 2)
    values, vectors = eigsh(walk_nn, k=n_comps + 1, which="LA", v0=root_n)
    # of the largest eigenvalue, 1, all cells have the same coordinate
    values, vectors = values[::-1][1:], vectors[:, ::-1][:, 1:]
    return vectors / root_n[:, None] * np.linalg.norm(root_n) * values


@dataclass(frozen=True, eq=False)
class SupervisedComponents:
    """Axes of expression.

    Attributes
    ----------
    mean_g, sd_g
        By which genes are standardised.
    axes_gd
        Of standardised expression, orthonormal.
    """

    mean_g: np.ndarray
    sd_g: np.ndarray
    axes_gd: np.ndarray

    def project(self, x: Any) -> np.ndarray:
        """Return cells × components of log-expression, cells × genes."""
        return _standardised(x, self.mean_g, self.sd_g) @ self.axes_gd


def supervised_components(x: Any, likeness_nn: sparse.csr_matrix, *, n_comps: int) -> SupervisedComponents:
    """Find the axes of expression on which cells that are alike lie together (supervised PCA, Barshan et al., 2011).

    They are those on which expression depends the most on the graph, by the Hilbert-Schmidt independence criterion.

    Parameters
    ----------
    x
        Log-expression, cells × genes.
    likeness_nn
        How much alike each two cells are.
    n_comps
        Number of axes, one less than genes at most.
    """
    dense_ng = _as_dense(x)
    mean_g, sd_g = dense_ng.mean(axis=0), dense_ng.std(axis=0)
    sd_g[sd_g == 0] = 1
    z_ng = _standardised(dense_ng, mean_g, sd_g)
    n_genes = z_ng.shape[1]
    dependence = LinearOperator(
        (n_genes, n_genes), matvec=lambda v: z_ng.T @ (likeness_nn @ (z_ng @ v)), dtype=z_ng.dtype
    )
    start = np.random.default_rng(0).normal(size=n_genes)
    _, axes_gd = eigsh(dependence, k=min(n_comps, n_genes - 1), which="LA", v0=start)
    return SupervisedComponents(mean_g, sd_g, axes_gd[:, ::-1])


def _shared_neighbors(indices_nk: np.ndarray) -> sparse.csr_matrix:
    """Return the Jaccard index of the neighbours of each two cells, symmetric; the cell itself is one of them."""
    n_cells, k = indices_nk.shape
    with_self = np.hstack([np.arange(n_cells)[:, None], indices_nk])
    pointers = np.arange(0, with_self.size + 1, k + 1)
    has_nn = sparse.csr_matrix((np.ones(with_self.size), with_self.ravel(), pointers), shape=(n_cells, n_cells))
    shared_nn = (has_nn @ has_nn.T).tocsr()
    shared_nn.data /= 2 * (k + 1) - shared_nn.data
    return shared_nn


def _bandwidth(x_nd: np.ndarray, indices_nk: np.ndarray) -> np.ndarray:
    """Return the mean distance to the cells that share the fewest neighbours with a cell, but some; of equals the farthest."""
    shared = _shared_neighbors(indices_nk).tocoo()
    is_other = shared.row != shared.col
    row, column, likeness = shared.row[is_other], shared.col[is_other], shared.data[is_other]
    distance = np.linalg.norm(x_nd[row] - x_nd[column], axis=1)
    order = np.lexsort((-distance, likeness, row))
    row, distance = row[order], distance[order]
    rank = np.arange(len(row)) - np.searchsorted(row, np.arange(len(x_nd)))[row]
    row, distance = row[rank < _N_FAR], distance[rank < _N_FAR]
    mean_n = np.bincount(row, distance, len(x_nd)) / np.maximum(np.bincount(row, minlength=len(x_nd)), 1)
    return np.maximum(mean_n, np.finfo(np.float32).tiny)


def _as_dense(x: Any) -> np.ndarray:
    return np.asarray(x.toarray() if sparse.issparse(x) else x, dtype=np.float32)


def _standardised(x: Any, mean_g: np.ndarray, sd_g: np.ndarray) -> np.ndarray:
    return np.clip((_as_dense(x) - mean_g) / sd_g, -_MOST_DEVIATION, _MOST_DEVIATION)

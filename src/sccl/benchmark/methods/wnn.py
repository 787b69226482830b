"""Weighted nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from sccl import graph
from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.harmony import correct
from sccl.benchmark.methods.weighted_neighbors import diffusion_map, supervised_components, weighted_neighbors
from sccl.inputs import as_count

#: Nearest cells whose proteins a held-out cell is said to have, as with ``method=protein_baseline``.
K_PROTEINS = 15


def embed(data: Data, *, seed: int, k: int = 20, n_pcs: int = 30, n_comps: int = 15, harmony: bool = True) -> Embedding:
    """Find weighted nearest neighbours by RNA and proteins (WNN, Hao et al., Cell 2021) and return an embedding of their graph.

    WNN makes a graph, and what is scored is an embedding: a diffusion map of the graph, whose edges are shares of common
    neighbours, as in Seurat. Where a batch is held out it is supervised PCA instead, with which the authors map cells of which
    RNA alone was measured: axes of expression that are learned from the graph of the reference. Held-out cells are projected
    onto them, by their RNA, and said to have the mean proteins of the 15 nearest cells.

    Parameters
    ----------
    data, seed
        See :class:`sccl.benchmark.methods.Method`; the seed is Harmony's.
    k
        Number of neighbours.
    n_pcs
        Principal components of RNA (of log-expression) and of proteins (centred log-ratios, standardised), where there are as many.
    n_comps
        Of the embedding.
    harmony
        Whether Harmony corrects the principal components of each where there are several batches: the graph itself does not
        integrate.

    Raises
    ------
    ValueError
        If `k`, `n_pcs` or `n_comps` is no whole number of at least 1.
    """
    k, n_pcs, n_comps = as_count(k, "method.k"), as_count(n_pcs, "method.n_pcs"), as_count(n_comps, "method.n_comps")
    stored: Any = data.adata.obsm[data.proteins]
    proteins_np = stored.to_numpy(dtype=np.float32)
    spaces = [data.pca[:, :n_pcs], _principal_components(proteins_np, n_pcs)]
    if harmony and data.batch.nunique() > 1:
        spaces = [correct(space, data, seed=seed) for space in spaces]
    likeness_nn = weighted_neighbors(spaces, k=k).likeness_nn
    if data.query is None:
        return Embedding(diffusion_map(likeness_nn, n_comps=n_comps))
    axes = supervised_components(data.adata.X, likeness_nn, n_comps=n_comps)
    z_nd, query_nd = axes.project(data.adata.X), axes.project(data.query.X)
    indices, _ = graph.knn(z_nd, k=min(K_PROTEINS, len(z_nd)), query=query_nd)
    return Embedding(z_nd, query_nd=query_nd, query_proteins=proteins_np[indices].mean(axis=1))


def _principal_components(x_np: np.ndarray, n_comps: int) -> np.ndarray:
    """Return principal components of standardised proteins; one that is the same in all cells says nothing."""
    sd_p = x_np.std(axis=0)
    z_np = (x_np - x_np.mean(axis=0)) / np.where(sd_p > 0, sd_p, 1)
    u, s, _ = np.linalg.svd(z_np, full_matrices=False)
    return (u * s)[:, :n_comps]

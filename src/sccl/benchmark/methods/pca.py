"""Principal components: nothing is integrated."""

from __future__ import annotations

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding


def embed(data: Data, *, seed: int, n_comps: int = 50) -> Embedding:
    """Return the first `n_comps` principal components, at most 50. They do not depend on the seed.

    New cells are projected onto the components of the others.
    """
    if not 1 <= n_comps <= data.pca.shape[1]:
        raise ValueError(f"`n_comps` must be between 1 and {data.pca.shape[1]}, found {n_comps}.")
    query_nd = None if data.query is None else data.project(data.query)[:, :n_comps]
    return Embedding(data.pca[:, :n_comps], query_nd=query_nd)

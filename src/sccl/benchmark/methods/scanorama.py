"""Scanorama."""

from __future__ import annotations

import numpy as np

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.extra import load_extra


def embed(data: Data, *, seed: int, dimred: int = 100) -> Embedding:
    """Correct the log-expression with Scanorama (Hie et al., Nature Biotechnology 2019)."""
    scanorama = load_extra("scanorama")
    codes = data.batch.astype("category").cat.codes.to_numpy()
    rows = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    parts = [data.adata[row].X for row in rows]
    genes = [list(data.adata.var_names)] * len(parts)
    integrated, _ = scanorama.integrate(parts, genes, dimred=min(dimred, data.adata.n_vars - 1), seed=seed, verbose=0)
    z_nd = np.empty((data.adata.n_obs, integrated[0].shape[1]), dtype=np.float32)
    for row, part in zip(rows, integrated, strict=True):
        z_nd[row] = part
    return Embedding(z_nd)

"""An embedding that the file holds already."""

from __future__ import annotations

import numpy as np

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding


def embed(data: Data, *, seed: int, key: str) -> Embedding:
    """Return what ``obsm[key]`` holds, a foundation model's embedding for instance. It does not depend on the seed.

    Raises
    ------
    KeyError
        If there is no such embedding.
    """
    if key not in data.adata.obsm:
        known = ", ".join(map(str, data.adata.obsm)) or "nothing"
        raise KeyError(f"method.key={key} does not exist; obsm has {known}.")
    query_nd: np.ndarray | None = None if data.query is None else np.asarray(data.query.obsm[key])
    return Embedding(np.asarray(data.adata.obsm[key]), query_nd=query_nd)

"""CONCORD."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.extra import load_extra


def embed(data: Data, *, seed: int, **parameters: Any) -> Embedding:
    """Train CONCORD (Zhu et al., Nature Biotechnology 2026), with its own settings where `parameters` do not say else."""
    concord = load_extra("concord", package="concord-sc")
    adata = data.adata.copy()
    with TemporaryDirectory() as folder:  # it writes a log and a model without being asked
        model = concord.Concord(
            adata, domain_key=data.batch_key, seed=seed, save_dir=folder, verbose=False, **parameters
        )
        model.fit_transform(output_key="X_concord")
    return Embedding(np.asarray(adata.obsm["X_concord"]))

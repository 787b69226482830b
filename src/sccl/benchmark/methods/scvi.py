"""scVI."""

from __future__ import annotations

from typing import Any

import scvi

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding


def embed(data: Data, *, seed: int, max_epochs: int | None = None, **parameters: Any) -> Embedding:
    """Train scVI (Lopez et al., Nature Methods 2018) on the counts.

    Parameters
    ----------
    data, seed
        See :class:`sccl.benchmark.methods.Method`.
    max_epochs
        None: scvi-tools' heuristic.
    **parameters
        Of :class:`scvi.model.SCVI`.
    """
    model = train(data, seed=seed, max_epochs=max_epochs, **parameters)
    return Embedding(model.get_latent_representation(), model.history["elbo_train"].squeeze("columns"))


def train(data: Data, *, seed: int, max_epochs: int | None, **parameters: Any) -> scvi.model.SCVI:
    """Return a trained scVI model."""
    scvi.settings.seed = seed
    adata = data.adata.copy()
    scvi.model.SCVI.setup_anndata(adata, layer="counts", batch_key=data.batch_key)
    model = scvi.model.SCVI(adata, **parameters)
    model.train(max_epochs=max_epochs, enable_progress_bar=False)
    return model

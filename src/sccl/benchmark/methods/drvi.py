"""DRVI."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import scvi

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.registrations import forget


def embed(data: Data, *, seed: int, max_epochs: int | None = None, **parameters: Any) -> Embedding:
    """Train DRVI (Moinfar and Theis, bioRxiv 2024), whose dimensions are decoded each on its own, on the counts.

    Parameters
    ----------
    data, seed
        See :class:`sccl.benchmark.methods.Method`.
    max_epochs
        None: scvi-tools' heuristic.
    **parameters
        Of :class:`scvi.external.DRVI`.

    Raises
    ------
    ModuleNotFoundError
        If scvi-tools is too old to have it.
    """
    if not hasattr(scvi.external, "DRVI"):
        raise ModuleNotFoundError(f"DRVI needs scvi-tools 1.5 or newer, found {version('scvi-tools')}.")
    scvi.settings.seed = seed
    adata = data.adata.copy()
    scvi.external.DRVI.setup_anndata(adata, layer="counts", batch_key=data.batch_key)
    model = scvi.external.DRVI(adata, **parameters)
    model.train(max_epochs=max_epochs, enable_progress_bar=False)
    z_nd, loss = model.get_latent_representation(), model.history["elbo_train"].squeeze("columns")
    forget(model)
    return Embedding(z_nd, loss)

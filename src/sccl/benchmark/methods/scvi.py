"""scVI."""

from __future__ import annotations

from typing import Any

import numpy as np
import scvi
from anndata import AnnData

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.registrations import forget


def embed(data: Data, *, seed: int, max_epochs: int | None = None, **parameters: Any) -> Embedding:
    """Train scVI (Lopez et al., Nature Methods 2018) on the counts.

    Its encoder does not see the batch, so that new cells are embedded by it as it is: nothing is left to be fine-tuned.

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
    query_nd = None if data.query is None else embed_query(model, data.query.copy())
    z_nd, loss = model.get_latent_representation(), model.history["elbo_train"].squeeze("columns")
    forget(model)
    return Embedding(z_nd, loss, query_nd)


def embed_query(model: scvi.model.SCVI | scvi.model.SCANVI, query: AnnData) -> np.ndarray:
    """Embed cells of a new batch with the encoder of a trained model. `query` gets what ``setup_anndata`` writes."""
    mapped = type(model).load_query_data(query, model)
    mapped.is_trained = True  # the encoder is, and the new batch is of no concern to it
    query_nd = mapped.get_latent_representation()
    forget(mapped)
    return query_nd


def train(data: Data, *, seed: int, max_epochs: int | None, **parameters: Any) -> scvi.model.SCVI:
    """Return a trained scVI model."""
    scvi.settings.seed = seed
    adata = data.adata.copy()
    scvi.model.SCVI.setup_anndata(adata, layer="counts", batch_key=data.batch_key)
    model = scvi.model.SCVI(adata, **parameters)
    model.train(max_epochs=max_epochs, enable_progress_bar=False)
    return model

"""scVI."""

from __future__ import annotations

from typing import Any

import numpy as np
import scvi
from anndata import AnnData

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.scvi_tools import embedding_of, forget, train


def embed(data: Data, **parameters: Any) -> Embedding:
    """Train scVI (Lopez et al., Nature Methods 2018) on the counts.

    Its encoder does not see the batch, so that new cells are embedded by it as it is: nothing is left to be fine-tuned.

    Parameters
    ----------
    data, **parameters
        See :func:`sccl.benchmark.methods.scvi_tools.train`.
    """
    model = train(scvi.model.SCVI, data, **parameters)
    query_nd = None if data.query is None else embed_query(model, data.query.copy())
    return embedding_of(model, query_nd=query_nd)


def embed_query(model: scvi.model.SCVI | scvi.model.SCANVI, query: AnnData) -> np.ndarray:
    """Embed cells of a new batch with the encoder of a trained model. `query` gets what ``setup_anndata`` writes."""
    mapped = type(model).load_query_data(query, model)
    mapped.is_trained = True  # the encoder is, and the new batch is of no concern to it
    query_nd = mapped.get_latent_representation()
    forget(mapped)
    return query_nd

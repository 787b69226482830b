"""scANVI."""

from __future__ import annotations

from typing import Any

import scvi

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.scvi import embed_query
from sccl.benchmark.methods.scvi_tools import embedding_of, train

_UNKNOWN = "unknown to scANVI"


def embed(data: Data, *, max_epochs_scanvi: int = 20, **parameters: Any) -> Embedding:
    """Train scANVI (Xu et al., Molecular Systems Biology 2021) from scVI. It sees the labels that it is scored on.

    Of cells that were held out it sees no labels, and they are embedded by its encoder as it is.

    Parameters
    ----------
    data, **parameters
        Of scVI, see :func:`sccl.benchmark.methods.scvi_tools.train`.
    max_epochs_scanvi
        Of scANVI after it.
    """
    base = train(scvi.model.SCVI, data, **parameters)
    labels = data.labels.astype(object).where(data.labels.notna(), _UNKNOWN)
    base.adata.obs[data.labels_key] = labels.astype("category").to_numpy()
    model = scvi.model.SCANVI.from_scvi_model(base, unlabeled_category=_UNKNOWN, labels_key=data.labels_key)
    # a last minibatch of a single cell could not be normalised; small data has none to spare
    leave_out = {"drop_last": data.adata.n_obs > 2 * scvi.settings.batch_size}
    model.train(max_epochs=max_epochs_scanvi, datasplitter_kwargs=leave_out, enable_progress_bar=False)
    query_nd = None
    if data.query is not None:
        query = data.query.copy()
        query.obs[data.labels_key] = _UNKNOWN
        query_nd = embed_query(model, query)
    return embedding_of(model, base, query_nd=query_nd)

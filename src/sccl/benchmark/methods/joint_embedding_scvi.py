"""JointEmbeddingSCVI, the contrastive model of scvi-tools."""

from __future__ import annotations

from typing import Any

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.registrations import forget


def embed(data: Data, *, seed: int, max_epochs: int | None = None, **parameters: Any) -> Embedding:
    """Train JointEmbeddingSCVI on the counts.

    Parameters
    ----------
    data, seed
        See :class:`sccl.benchmark.methods.Method`.
    max_epochs
        None: scvi-tools' heuristic.
    **parameters
        Of the model.
    """
    import scvi
    from scvi.external import JointEmbeddingSCVI

    scvi.settings.seed = seed
    adata = data.adata.copy()
    JointEmbeddingSCVI.setup_anndata(adata, layer="counts", batch_key=data.batch_key)
    model = JointEmbeddingSCVI(adata, **parameters)
    model.train(max_epochs=max_epochs, enable_progress_bar=False)
    z_nd = model.get_latent_representation()
    forget(model)
    return Embedding(z_nd)

"""SysVI."""

from __future__ import annotations

from typing import Any

import scvi

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.registrations import forget


def embed(
    data: Data, *, seed: int, max_epochs: int | None = None, cycle_weight: float = 2.0, **parameters: Any
) -> Embedding:
    """Train SysVI (Hrovatin et al., bioRxiv 2023), made for strong batch effects, on the log-expression.

    Parameters
    ----------
    data, seed
        See :class:`sccl.benchmark.methods.Method`.
    max_epochs
        None: scvi-tools' heuristic.
    cycle_weight
        How strongly cells are drawn to where they would lie if they came from another batch.
    **parameters
        Of :class:`scvi.external.SysVI`.
    """
    scvi.settings.seed = seed
    adata = data.adata.copy()
    scvi.external.SysVI.setup_anndata(adata, batch_key=data.batch_key)
    model = scvi.external.SysVI(adata, **parameters)
    model.train(plan_kwargs={"z_distance_cycle_weight": cycle_weight}, max_epochs=max_epochs, enable_progress_bar=False)
    z_nd, loss = model.get_latent_representation(adata), model.history["elbo_train"].squeeze("columns")
    forget(model)
    return Embedding(z_nd, loss)

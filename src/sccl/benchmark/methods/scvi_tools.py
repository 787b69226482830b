"""What the methods that are models of scvi-tools have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import scvi

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding


def train(
    cls: Any,
    data: Data,
    *,
    seed: int,
    layer: str | None = "counts",
    max_epochs: int | None = None,
    training: dict[str, Any] | None = None,
    **parameters: Any,
) -> Any:
    """Return a trained model.

    Parameters
    ----------
    cls
        Class of the model.
    data, seed
        See :class:`sccl.benchmark.methods.Method`.
    layer
        What it learns from; the log-expression if None.
    max_epochs
        None: scvi-tools' heuristic.
    training
        Further arguments of its ``train``.
    **parameters
        Of the model.
    """
    scvi.settings.seed = seed
    adata = data.adata.copy()
    cls.setup_anndata(adata, layer=layer, batch_key=data.batch_key)
    model = cls(adata, **parameters)
    model.train(max_epochs=max_epochs, enable_progress_bar=False, **(training or {}))
    return model


def embedding_of(model: Any, *others: Any, query_nd: np.ndarray | None = None) -> Embedding:
    """Return what a model has made of its cells, and let go of these in it and in others: it is not needed any more."""
    loss = model.history.get("elbo_train")
    embedding = Embedding(
        model.get_latent_representation(model.adata), None if loss is None else loss.squeeze("columns"), query_nd
    )
    forget(model, *others)
    return embedding


def forget(*models: Any) -> None:
    """Let go of the cells of models: scvi-tools keeps each registered AnnData for good."""
    for model in models:
        model.deregister_manager(model.adata)

"""totalVI."""

from __future__ import annotations

from typing import Any

import numpy as np
import scvi
from anndata import AnnData

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.scvi_tools import forget
from sccl.inputs import check_choice


def embed(
    data: Data,
    *,
    seed: int,
    query: str = "both",
    max_epochs: int | None = None,
    max_epochs_query: int = 100,
    **parameters: Any,
) -> Embedding:
    """Train totalVI (Gayoso et al., Nature Methods 2021) on counts of RNA and proteins.

    New cells are fine-tuned on as its authors do (scArches): weights of their batch learn, all others stay.

    Parameters
    ----------
    data, seed
        See :class:`sccl.benchmark.methods.Method`.
    query
        What is read of held-out cells: ``"both"`` or ``"rna"``, from which proteins are predicted then.
    max_epochs, max_epochs_query
        Of the training, by scvi-tools' heuristic if None, and of the fine-tuning.
    **parameters
        Of the model.
    """
    check_choice(query, "method.query", ("both", "rna"))
    scvi.settings.seed = seed
    measured: Any = data.adata.obsm[data.proteins]  # says so if there are none
    adata, key = data.adata.copy(), data.protein_counts or ""
    scvi.model.TOTALVI.setup_anndata(adata, layer="counts", batch_key=data.batch_key, protein_expression_obsm_key=key)
    model = scvi.model.TOTALVI(adata, **parameters)
    model.train(max_epochs=max_epochs, enable_progress_bar=False, **_whole_minibatches(adata))
    z_nd, loss = model.get_latent_representation(), model.history["elbo_train"].squeeze("columns")
    if data.query is None:
        forget(model)
        return Embedding(z_nd, loss)
    new = data.query.copy()
    if query == "rna":
        new.obsm[key] = new.obsm[key] * 0  # how totalVI is told that they are missing
    mapped = scvi.model.TOTALVI.load_query_data(new, model)
    mapped.train(
        max_epochs=max_epochs_query,
        plan_kwargs={"weight_decay": 0.0},
        enable_progress_bar=False,
        **_whole_minibatches(new),
    )
    query_nd = mapped.get_latent_representation()
    predicted = None
    if query == "rna":
        known = sorted(data.batch.astype(str).unique())
        _, counts = mapped.get_normalized_expression(
            n_samples=10, return_mean=True, transform_batch=known, include_protein_background=True
        )
        logs = np.log1p(counts[measured.columns].to_numpy())
        predicted = np.log1p(np.expm1(logs) / np.exp(logs.mean(axis=1, keepdims=True)))  # as sccl.pp.normalize_protein
    forget(model, mapped)
    return Embedding(z_nd, loss, query_nd, query_proteins=predicted)


def _whole_minibatches(adata: AnnData) -> dict[str, Any]:
    """Arguments of ``train`` that leave out a last minibatch of a single cell, which could not be normalised."""
    return {"datasplitter_kwargs": {"drop_last": True}} if adata.n_obs > 2 * scvi.settings.batch_size else {}

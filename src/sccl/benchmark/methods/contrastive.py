"""The models of this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import scvi

from sccl import augment, catalogue, mapping
from sccl import model as models
from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.inputs.plugins import find_part


def train(
    data: Data,
    *,
    seed: int,
    model: Mapping[str, Any],
    augmentation: Mapping[str, Any],
    sampling: Mapping[str, Any],
    network: Mapping[str, Any],
    training: Mapping[str, Any],
    semantics: augment.config.Semantics = "corrected",
    protein_obsm_key: str | None = None,
) -> models.CLModel:
    """Return a trained model.

    Parameters
    ----------
    data, seed
        See :class:`sccl.benchmark.methods.Method`.
    model
        ``name``, one of :mod:`sccl.model`, an entry point of another package in the group ``sccl.model``, or
        ``"package.module:Class"``; and the architecture's hyper-parameters.
    augmentation, semantics
        See :func:`sccl.augment.from_config`; ``semantics`` concerns the reference's files alone. Empty: the model's own.
    sampling
        See :func:`sccl.dataloaders.as_sampling`. Empty: the model's own.
    network
        ``n_hidden``, ``n_latent`` and ``dropout_rate``; the model's own where None.
    training
        Arguments of :meth:`sccl.CLModel.train`.
    protein_obsm_key
        Where normalised proteins are, if it is to learn from them.
    """
    scvi.settings.seed = seed
    adata = data.adata.copy()
    hyper_parameters = dict(model)
    known = {name: getattr(models, name) for name in catalogue.models()}
    cls = find_part(hyper_parameters.pop("name"), known, models.CLModel, what="model")
    cls.setup_anndata(adata, batch_key=data.batch_key, protein_obsm_key=protein_obsm_key)
    widths = {name: value for name, value in network.items() if value is not None}
    trained = cls(adata, **widths, **hyper_parameters)
    is_reference = any("apply_prob" in step for step in augmentation.values())
    views = augment.from_config(augmentation, semantics=semantics if is_reference else "corrected")
    trained.train(
        augmentation=views if augmentation else None,
        sampling=sampling or None,
        enable_progress_bar=False,
        **training,
    )
    return trained


def loss_of(trained: models.CLModel) -> pd.Series:
    """Return the loss of each epoch."""
    assert trained.history is not None
    return trained.history["train_loss"].squeeze("columns")


def embed(data: Data, *, seed: int, projection: bool = False, readout: bool = True, **parameters: Any) -> Embedding:
    """Train a model and embed all cells; new ones are mapped as they are, and labelled by :mod:`sccl.mapping`.

    Parameters
    ----------
    data, seed
        See :class:`sccl.benchmark.methods.Method`.
    projection, readout
        Which output, see :meth:`sccl.CLModel.get_latent_representation`.
    **parameters
        See :func:`train`.
    """
    trained = train(data, seed=seed, **parameters)
    z_nd, loss = trained.get_latent_representation(projection=projection, readout=readout), loss_of(trained)
    if data.query is None:
        return Embedding(z_nd, loss)
    if projection or not readout:
        raise ValueError(
            "projection=true and readout=false cannot be combined with holdout: queries are mapped to the embedding."
        )
    labelled = data.adata[data.labels.notna().to_numpy()].copy()
    shares = mapping.transfer_labels(trained, labelled, data.query.copy(), data.labels_key)
    labels = shares.columns.to_numpy()[shares.to_numpy().argmax(axis=1)]
    return Embedding(z_nd, loss, trained.map_query(data.query), labels)

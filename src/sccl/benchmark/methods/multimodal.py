"""The models of this package on RNA and proteins."""

from __future__ import annotations

from typing import Any, get_args

from sccl import mapping
from sccl.benchmark.data import Data
from sccl.benchmark.methods import contrastive
from sccl.benchmark.methods.embedding import Embedding
from sccl.inputs import check_choice
from sccl.module.multimodal import Integrate

#: Value of ``integrate`` for a model that reads no proteins.
RNA_ALONE = "rna_alone"
#: What the query's cells are taken to have.
SIDES = ("both", "rna", "protein", "predicted")


def embed(data: Data, *, seed: int, integrate: str = "add", query: str = "both", **parameters: Any) -> Embedding:
    """Train a model on RNA and proteins.

    Parameters
    ----------
    data, seed
        See :class:`sccl.benchmark.methods.Method`.
    integrate
        How the two become one, see :class:`sccl.CLModel`; or ``"rna_alone"``: it learns from RNA alone, and held-out
        cells are then read by ``query="rna"``.
    query
        What is read of held-out cells: ``"both"``, ``"rna"``, ``"protein"``; or ``"predicted"``: RNA and the proteins that
        :func:`sccl.mapping.predict_modality` predicts. Proteins are predicted in any case, and scored.
    **parameters
        See :func:`sccl.benchmark.methods.contrastive.train`.

    Raises
    ------
    ValueError
        If a model of RNA alone is to read anything else, or a choice is unknown.
    """
    check_choice(integrate, "method.integrate", (RNA_ALONE, *get_args(Integrate)))
    check_choice(query, "method.query", SIDES)
    if integrate == RNA_ALONE:
        if data.query is not None and query != "rna":
            raise ValueError(f"method.integrate={RNA_ALONE} reads RNA alone: say method.query=rna, found {query}.")
        return contrastive.embed(data, seed=seed, **parameters)
    parameters["model"] = {**parameters["model"], "integrate": integrate}
    trained = contrastive.train(data, seed=seed, protein_obsm_key=data.proteins, **parameters)
    z_nd, loss = trained.get_latent_representation(), contrastive.loss_of(trained)
    if data.query is None:
        return Embedding(z_nd, loss)
    labelled, new = data.adata[data.labels.notna().to_numpy()].copy(), data.query.copy()
    predicted = mapping.predict_modality(trained, data.adata, new).mean
    if query == "predicted":
        new.obsm[data.proteins] = predicted
    modality: Any = query if query in ("rna", "protein") else None
    shares = mapping.transfer_labels(trained, labelled, new, data.labels_key, modality=modality)
    labels = shares.columns.to_numpy()[shares.to_numpy().argmax(axis=1)]
    if modality is not None:  # in one space: the reference, too, as if nothing else had been measured
        z_nd = trained.get_latent_representation(modality=modality)
    return Embedding(z_nd, loss, trained.map_query(new, modality=modality), labels, predicted.to_numpy())

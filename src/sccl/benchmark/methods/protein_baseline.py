"""Proteins of cells of which only RNA was measured, by the simplest means: what a method must be better than."""

from __future__ import annotations

from typing import Any

import numpy as np

from sccl import graph
from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.inputs import check_choice
from sccl.mapping.votes import vote

KINDS = ("mean", "type", "true_type", "knn")


def embed(data: Data, *, seed: int, kind: str = "knn", k: int = 15) -> Embedding:
    """Return the principal components of expression, and proteins of held-out cells.

    Parameters
    ----------
    data, seed
        See :class:`sccl.benchmark.methods.Method`; nothing is random.
    kind
        ``"mean"``: the mean profile of all cells. ``"type"``: that of the type that most of the nearest cells have.
        ``"true_type"``: that of the type that the held-out cell has; it sees the labels that are to be found. ``"knn"``: the mean
        of the ``k`` nearest cells.
    k
        Number of nearest cells, on the principal components.
    """
    check_choice(kind, "method.kind", KINDS)
    if data.query is None:
        return Embedding(data.pca)
    stored: Any = data.adata.obsm[data.proteins]
    proteins = stored.to_numpy(dtype=np.float32)
    query_nd = data.project(data.query)
    indices, _ = graph.knn(np.asarray(data.pca, dtype=np.float32), k=min(k, data.adata.n_obs), query=query_nd)
    overall = proteins.mean(axis=0)
    if kind == "mean":
        predicted = np.tile(overall, (data.query.n_obs, 1))
    elif kind == "knn":
        predicted = proteins[indices].mean(axis=1)
    else:
        names, codes = np.unique(data.labels.astype(str).to_numpy(), return_inverse=True)
        profiles = dict(zip(names, [proteins[codes == code].mean(axis=0) for code in range(len(names))], strict=True))
        nearest = names[vote(indices, codes, len(names))[1]]
        types = data.query_labels.astype(str).to_numpy() if kind == "true_type" else nearest
        predicted = np.stack([profiles.get(name, overall) for name in types])
    return Embedding(data.pca, query_nd=query_nd, query_proteins=predicted)

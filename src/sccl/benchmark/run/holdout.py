"""What becomes of an embedding when a batch was held out: labels for its cells, their scores, and a picture.

The task: a method learns from all batches but one, with genes chosen on these alone. It then embeds the cells of the batch
that it has not seen, and each of them gets a label: by the method itself, if it has a way to, or else that of most of its
nearest neighbours among the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sccl import graph
from sccl.benchmark.run.picture import queries
from sccl.graph.search import Metric

if TYPE_CHECKING:
    from sccl.benchmark.data import Data
    from sccl.benchmark.methods import Embedding

#: Neighbours that vote, and how near they are: the defaults of :func:`sccl.mapping.transfer_labels`.
K = 11
METRIC: Metric = "cosine"
#: Cells of the reference that are drawn, at most.
MAX_DRAWN = 20_000


def score(data: Data, embedding: Embedding) -> dict[str, float]:
    """Give the held-out cells labels and score these.

    Parameters
    ----------
    data, embedding
        The cells and where a method put them.

    Returns
    -------
    See :func:`label_scores`; and :func:`protein_scores`, if the method predicts proteins.

    Raises
    ------
    ValueError
        If the method cannot embed cells that it has not learned from, or if no held-out cell has a label.
    """
    if embedding.query_nd is None:
        raise ValueError("This method cannot embed cells that it has not learned from; leave it out where a batch is.")
    if not data.scored.size:
        raise ValueError("No cell of the batch that was held out has a label, so there is nothing to score.")
    true = data.query_labels.iloc[data.scored].astype(str).to_numpy()
    scores = label_scores(true, predict(data, embedding)[data.scored], known=data.labels.dropna().astype(str).unique())
    return scores if embedding.query_proteins is None else scores | protein_scores(data, embedding.query_proteins)


def predict(data: Data, embedding: Embedding) -> np.ndarray:
    """Return the method's own labels or else those of most of the nearest neighbours, shape `(n_query_cells,)`."""
    if embedding.query_labels is not None:
        return np.asarray(embedding.query_labels, dtype=object)
    # here, so that the report, which reads this file's constants, does not wait for PyTorch
    from sccl.mapping.votes import vote

    labelled = np.flatnonzero(data.labels.notna())
    names, codes = np.unique(data.labels.iloc[labelled].astype(str).to_numpy(dtype=object), return_inverse=True)
    z_nd, query_nd = (np.asarray(z, dtype=np.float32) for z in (embedding.z_nd, embedding.query_nd))
    indices, _ = graph.knn(z_nd[labelled], k=min(K, labelled.size), query=query_nd, metric=METRIC)
    return names[vote(indices, codes, len(names))[1]]


def label_scores(true: np.ndarray, predicted: np.ndarray, *, known: np.ndarray) -> dict[str, float]:
    """Compare labels with the true ones.

    Parameters
    ----------
    true, predicted
        Labels, shape `(n_cells,)`.
    known
        Labels that could be predicted.

    Returns
    -------
    ``Accuracy`` and ``Macro-F1`` over all labels on either side; a label that only one side has counts 0 in the latter.
    And both on the cells whose label is known, with the F1 of these labels alone, as ``Accuracy, shared`` and
    ``Macro-F1, shared`` (NaN if there are none).
    """
    from sklearn.metrics import accuracy_score, f1_score

    def macro_f1(rows: np.ndarray, labels: np.ndarray) -> float:
        return float(f1_score(true[rows], predicted[rows], labels=labels, average="macro", zero_division=0))

    every, shared = np.ones(len(true), dtype=bool), np.isin(true, known)
    return {
        "Accuracy": float(accuracy_score(true, predicted)),
        "Macro-F1": macro_f1(every, np.union1d(true, predicted)),
        "Accuracy, shared": float(accuracy_score(true[shared], predicted[shared])) if shared.any() else np.nan,
        "Macro-F1, shared": macro_f1(shared, np.unique(true[shared])) if shared.any() else np.nan,
    }


def protein_scores(data: Data, predicted: np.ndarray) -> dict[str, float]:
    """Compare the proteins that a method predicted for the held-out cells with those that were measured.

    Returns
    -------
    Means of Pearson correlation and root mean squared error, over the proteins of a cell and over the cells of a protein.
    """
    from sccl.mapping.agreement import agreement

    assert data.query is not None
    measured: Any = data.query.obsm[data.proteins]
    found = agreement(pd.DataFrame(predicted, index=measured.index, columns=measured.columns), measured)
    parts = {"cells": found.cells, "proteins": found.proteins}
    return {
        f"{title}, {name}": float(part[score].mean())
        for name, part in parts.items()
        for title, score in (("Pearson", "pearson"), ("RMSE", "rmse"))
    }


def save(data: Data, embedding: Embedding, directory: Path, *, name: str) -> None:
    """Write ``confusion.csv``, ``embedding.npz``, and ``picture.png``, the UMAP of the reference with the query on top.

    The UMAP is that of the reference; the query is placed in it and moves nothing.

    Parameters
    ----------
    data, embedding
        The cells and where a method put them.
    directory
        Of the run.
    name
        Of the run, for the titles.
    """
    from sccl.pl.coordinates import umap_with_query

    z_nd, query_nd = (np.asarray(z, dtype=np.float32) for z in (embedding.z_nd, embedding.query_nd))
    drawn = np.sort(np.random.default_rng(0).permutation(len(z_nd))[:MAX_DRAWN])
    umap_n2, query_umap_n2 = umap_with_query(z_nd[drawn], query_nd)
    true, predicted = data.query_labels.astype(str), pd.Series(predict(data, embedding), data.query_labels.index)
    confusion = pd.crosstab(
        true.iloc[data.scored], predicted.iloc[data.scored], rownames=["label"], colnames=["predicted"]
    )
    confusion.to_csv(directory / "confusion.csv")
    np.savez_compressed(
        directory / "embedding.npz",
        z=z_nd,
        drawn=drawn,
        umap=umap_n2,
        cell=data.adata.obs_names.to_numpy(dtype=str),
        batch=data.batch.astype(str).to_numpy(dtype=str),
        label=data.labels.astype(str).to_numpy(dtype=str),
        query=query_nd,
        scored=data.scored,
        query_umap=query_umap_n2,
        query_cell=data.query_labels.index.to_numpy(dtype=str),
        query_label=true.to_numpy(dtype=str),
        query_predicted=predicted.to_numpy(dtype=str),
    )
    queries({name: directory}).savefig(directory / "picture.png", dpi=100)

"""What was not measured of new cells, from the cells of a reference that are like them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from sccl import graph
from sccl.inputs import as_count
from sccl.mapping.measured import compare, joined, read_measured
from sccl.mapping.predictive import predictive_space
from sccl.model.modalities import check_modality, protein_names

if TYPE_CHECKING:
    from anndata import AnnData

    from sccl.graph.search import Metric
    from sccl.model import CLModel


class PredictedModality(NamedTuple):
    """Proteins of cells, as their neighbours have them.

    Attributes
    ----------
    mean
        In the unit in which the model reads proteins, float32, cells × proteins.
    spread
        Standard deviation among the neighbours, of the same shape: what the neighbours disagree on was guessed.
    """

    mean: pd.DataFrame
    spread: pd.DataFrame


def predict_modality(
    model: CLModel,
    reference: AnnData,
    query: AnnData,
    k: int = 15,
    metric: Metric = "euclidean",
    *,
    key_added: str | None = None,
    min_overlap: float = 0.5,
    seed: int = 0,
) -> PredictedModality:
    """Predict the proteins of cells of which RNA was measured, from their nearest reference cells.

    Both sides are embedded as if only RNA had been measured, and this embedding and the principal components of expression are
    weighed by what they say of proteins in the reference (:func:`sccl.mapping.predictive.predictive_space`). Proteins of the query,
    if there are any, are not looked at.

    Parameters
    ----------
    model
        Trained on RNA and proteins.
    reference
        Cells with both; usually those it was trained on. Those that lack one are left out. May be a MuData.
    query
        New cells with RNA, see :meth:`sccl.CLModel.map_query`.
    k
        Number of neighbours, ≥ 1.
    metric
        How near cells are: ``"euclidean"`` or ``"cosine"``.
    key_added
        Key of ``query.obsm`` to write the means to. With the model's ``protein_obsm_key`` the query can then be mapped as
        if they had been measured, which adds nothing that its RNA did not say. None: ``query`` is left as it is.
    min_overlap
        Fraction of the model's genes that the query must have, in ``[0, 1]``.
    seed
        Of the approximate neighbours of very large data.

    Returns
    -------
    Means and spreads; NaN for cells without any expression.

    Raises
    ------
    ValueError
        If the model reads no proteins, if no reference cell has both, if ``key_added`` exists or ``query`` is a view, or if an
        argument is out of range. Nothing was changed then.
    RuntimeError
        If the model was not trained.

    Examples
    --------
    >>> sccl.CLModel.setup_anndata(reference, batch_key="batch", protein_obsm_key="protein_clr")
    >>> model = sccl.CLModel(reference)
    >>> model.train()
    >>> predicted = sccl.mapping.predict_modality(model, reference, query)
    >>> most_certain = predicted.spread.mean().nsmallest(5)
    """
    model._check_if_trained(warn=False)
    check_modality(model.registry, "protein")
    asked, reference, query = query, joined(model, reference, "reference"), joined(model, query, "query")
    k = as_count(k, "k")
    if key_added is not None and (key_added in asked.obsm or getattr(asked, "is_view", False)):
        what = (
            "exists already: name another one, or delete it" if key_added in asked.obsm else "cannot be added to a view"
        )
        raise ValueError(f"`key_added`: query.obsm[{key_added!r}] {what}.")
    of_query = read_measured(model, query, min_overlap=min_overlap, modality="rna", what="query")
    both = read_measured(model, reference, min_overlap=None, modality=None, what="reference")
    rows = np.flatnonzero(both.has.all(axis=0))
    if not rows.size:
        raise ValueError("`reference` has no cell of which both RNA and proteins were measured.")
    names, proteins = protein_names(model.registry), both.parts["protein"][rows].toarray()
    of_ref = both._replace(parts={"rna": both.parts["rna"][rows]}, measured={"rna": both.measured["rna"]})
    (part,) = compare(of_ref, of_query)
    z_ref, z_query = (
        model._embed(reader, np.arange(x.shape[0])) for reader, x in zip(part.readers, part[2:4], strict=True)
    )
    s_ref, s_query = predictive_space(z_ref, z_query, part.x_ref, part.x_query, proteins, seed=seed)
    indices, _ = graph.knn(s_ref, k=min(k, len(s_ref)), query=s_query, metric=metric, seed=seed)
    mean_np, spread_np = _of_neighbors(proteins, indices)
    empty = part.x_query.getnnz(axis=1) == 0
    mean_np[empty], spread_np[empty] = np.nan, np.nan
    mean, spread = (pd.DataFrame(values, index=query.obs_names, columns=names) for values in (mean_np, spread_np))
    if key_added is not None:
        asked.obsm[key_added] = mean
    return PredictedModality(mean, spread)


def _of_neighbors(values: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each cell's neighbours, without ever holding the values of all of them."""
    found = indices >= 0
    n_found = np.maximum(found.sum(axis=1), 1)[:, None]
    mean, squares = np.zeros((2, len(indices), values.shape[1]))
    for column, is_found in zip(indices.T, found.T, strict=True):
        mean[is_found] += values[column[is_found]]
    mean /= n_found
    for column, is_found in zip(indices.T, found.T, strict=True):
        squares[is_found] += (values[column[is_found]] - mean[is_found]) ** 2
    return mean.astype(np.float32), np.sqrt(squares / n_found).astype(np.float32)

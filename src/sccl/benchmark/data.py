"""The cells of a run, the same for every method."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sccl import pp
from sccl.inputs import as_text
from sccl.inputs.csr import as_csr

#: Principal components of the data before any integration.
N_COMPS = 50


@dataclass(frozen=True, eq=False)
class Data:
    """Preprocessed cells and what is known of them.

    Parameters
    ----------
    adata
        Counts in ``layers["counts"]``, log-expression of the chosen genes in ``X``. Methods get a copy.
    batch_key, labels_key
        Columns of ``obs``.
    scored
        Row numbers of the cells that are scored: those with a label, shape `(n_scored,)`. Of `query`, if there is one.
    query
        Cells of a batch that was held out, with the genes of `adata`; no method may learn from them. None: none was.
    protein_counts
        Key of ``obsm`` with counts of proteins, of `adata` and `query`; those that are normalised by
        :func:`sccl.pp.normalize_protein` are under :attr:`proteins`. None: there are none.
    """

    adata: AnnData
    batch_key: str
    labels_key: str
    scored: np.ndarray
    query: AnnData | None = None
    protein_counts: str | None = None

    @property
    def proteins(self) -> str:
        """Key of ``obsm`` with normalised proteins.

        Raises
        ------
        ValueError
            If there are no proteins.
        """
        if self.protein_counts is None:
            raise ValueError(
                "The data have no proteins: name them, +data.protein_obsm_key=KEY, a key of obsm with counts."
            )
        return f"{self.protein_counts}_clr"

    @cached_property
    def pca(self) -> np.ndarray:
        """Principal components of the log-expression, shape `(n_cells, n_comps)`, 50 where there are as many."""
        return self._pca[0]

    def project(self, adata: AnnData) -> np.ndarray:
        """Return other cells on the principal components of these, shape `(n_cells, n_comps)`."""
        components_dg = self._pca[1]
        known, new = as_csr(self.adata.X), as_csr(adata.X)
        center_d = components_dg @ np.asarray(known.mean(axis=0)).ravel()
        return np.asarray(new @ components_dg.T - center_d, dtype=np.float32)

    @cached_property
    def _pca(self) -> tuple[np.ndarray, np.ndarray]:
        import scanpy as sc

        n_comps = min(N_COMPS, min(self.adata.shape) - 1)
        pca_nd, components_dg, *_ = sc.pp.pca(self.adata.X, n_comps=n_comps, random_state=0, return_info=True)
        return np.asarray(pca_nd), components_dg

    @property
    def batch(self) -> pd.Series:
        """Batch of each cell."""
        return self.adata.obs[self.batch_key]

    @property
    def labels(self) -> pd.Series:
        """Cell type of each cell."""
        return self.adata.obs[self.labels_key]

    @property
    def query_labels(self) -> pd.Series:
        """Cell type of each held-out cell."""
        if self.query is None:
            raise ValueError("No batch was held out.")
        return self.query.obs[self.labels_key]


def prepare(config: Mapping[str, Any], *, max_cells: int | None = None, holdout: str | None = None) -> Data:
    """Load and preprocess data; the last ones are kept.

    Parameters
    ----------
    config
        ``_target_``, the dotted name of a function that returns an AnnData, and its arguments; beside these
        ``batch_key``, ``labels_key``, ``layer`` with the counts (``X`` if None), ``n_top_genes``; ``subsample``, the number
        of cells to keep (all if None), see :func:`subsample`; ``ignore_labels``, cell types that are not scored; and, where
        there are proteins, ``protein_obsm_key``, the key of ``obsm`` with their counts.
    max_cells
        Score a random part of this size where there are more cells; always the same part.
    holdout
        Batch whose cells become the query: genes are chosen, and methods learn, without it.

    Raises
    ------
    FileNotFoundError, KeyError, ValueError
        If there is no such file, column or batch, or if the values are no counts.
    """
    key = json.dumps([dict(config), max_cells, holdout])
    if key not in _last:
        _last.clear()  # before the next ones are read: two data sets at a time would count as memory of the second's methods
        _last[key] = _prepare(dict(config), max_cells, holdout)
    return _last[key]


_last: dict[str, Data] = {}


def batches(config: Mapping[str, Any]) -> list[str]:
    """Load data and return the names of its batches, sorted.

    Parameters
    ----------
    config
        See :func:`prepare`.

    Raises
    ------
    FileNotFoundError, KeyError, ValueError
        See :func:`prepare`.
    """
    adata = _load(dict(config))
    return sorted(adata.obs[config["batch_key"]].dropna().unique())


def _prepare(config: dict[str, Any], max_cells: int | None, holdout: str | None) -> Data:
    batch_key, labels_key, layer = config["batch_key"], config["labels_key"], config["layer"]
    adata = _load(config)
    query = None
    if holdout is not None:
        held_out = as_text([holdout])[0]
        is_held_out = (adata.obs[batch_key] == held_out).to_numpy()
        if not is_held_out.any() or is_held_out.all():
            found = sorted(adata.obs[batch_key].dropna().unique())
            raise ValueError(f"holdout={holdout} must be one of several batches; obs[{batch_key!r}] has {found}.")
        query, adata = adata[is_held_out].copy(), adata[~is_held_out].copy()
    pp.preprocess(adata, batch_key=batch_key, layer=layer, n_top_genes=config["n_top_genes"], keep_raw=False)
    if query is not None:
        pp.preprocess(query, batch_key=batch_key, layer=layer, n_top_genes=None)
        query = query[:, adata.var_names].copy()
    protein_key = config.get("protein_obsm_key")
    for cells in [] if protein_key is None else [adata, *([] if query is None else [query])]:
        pp.normalize_protein(cells, protein_key)
    labels = (adata if query is None else query).obs[labels_key]
    scored = np.flatnonzero(labels.notna() & ~labels.isin(as_text(config["ignore_labels"])))
    if max_cells is not None and len(scored) > max_cells:
        scored = np.sort(np.random.default_rng(0).choice(scored, max_cells, replace=False))
    return Data(adata, batch_key, labels_key, scored, query, protein_key)


def _load(config: dict[str, Any]) -> AnnData:
    """Load the cells and check that they have what `config` says; its other entries are the loader's arguments.

    Batches and labels become text, by which they are compared, so that all methods see the same groups.
    """
    from hydra.utils import get_method

    config = {name: value for name, value in config.items() if name not in ("layer", "n_top_genes", "protein_obsm_key")}
    batch_key, labels_key = config.pop("batch_key"), config.pop("labels_key")
    ignored, n_cells = config.pop("ignore_labels"), config.pop("subsample")
    adata = get_method(config.pop("_target_"))(**config)
    for name, key in (("batch_key", batch_key), ("labels_key", labels_key)):
        if key not in adata.obs:
            raise KeyError(f"data.{name}={key} does not exist; obs has {', '.join(map(str, adata.obs.columns))}.")
        adata.obs[key] = pd.Categorical(as_text(adata.obs[key]))
    known = set(adata.obs[labels_key].cat.categories)
    if unknown := sorted(set(as_text(ignored)) - known):
        raise ValueError(f"data.ignore_labels names {unknown}, but obs[{labels_key!r}] has {sorted(known)}.")
    return adata if n_cells is None else subsample(adata, n_cells, [batch_key, labels_key])


def subsample(adata: AnnData, n_cells: int, keys: Sequence[str]) -> AnnData:
    """Return a random part of the cells, always the same, in which every group keeps its share.

    Parameters
    ----------
    adata
        Cells, left as they are.
    n_cells
        How many to keep, about: of every group at least three are kept, or all if it has fewer.
    keys
        Columns of ``obs`` that make the groups; cells without a value are a group, too.

    Returns
    -------
    A copy, its cells in the order they had.

    Raises
    ------
    ValueError
        If there are not as many cells.
    """
    if not 1 <= n_cells <= adata.n_obs:
        raise ValueError(f"data.subsample must be between 1 and {adata.n_obs}, the number of cells, found {n_cells}.")
    rng = np.random.default_rng(0)
    # groups in the order of their first cells, so that the part does not depend on how they are named
    groups = pd.DataFrame(adata.obs).groupby(list(keys), observed=True, dropna=False, sort=False).indices.values()
    share = n_cells / adata.n_obs
    kept = [rng.choice(rows, max(round(share * rows.size), min(3, rows.size)), replace=False) for rows in groups]
    return adata[np.sort(np.concatenate(kept))].copy()

"""The cells of a run, the same for every method."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData, read_h5ad

from sccl import pp

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
        Row numbers of the cells that are scored: those with a label, shape `(n_scored,)`.
    """

    adata: AnnData
    batch_key: str
    labels_key: str
    scored: np.ndarray

    @cached_property
    def pca(self) -> np.ndarray:
        """Principal components of the log-expression, shape `(n_cells, n_comps)`, 50 where there are as many."""
        import scanpy as sc

        return np.asarray(sc.pp.pca(self.adata.X, n_comps=min(N_COMPS, min(self.adata.shape) - 1), random_state=0))

    @property
    def batch(self) -> pd.Series:
        """Batch of each cell."""
        return self.adata.obs[self.batch_key]

    @property
    def labels(self) -> pd.Series:
        """Cell type of each cell."""
        return self.adata.obs[self.labels_key]


def prepare(config: Mapping[str, Any], *, max_cells: int | None = None) -> Data:
    """Load and preprocess data; the last ones are kept.

    Parameters
    ----------
    config
        ``_target_``, the dotted name of a function that returns an AnnData, and its arguments; beside these
        ``batch_key``, ``labels_key``, ``layer`` with the counts (``X`` if None), ``n_top_genes``; ``subsample``, the number
        of cells to keep (all if None), see :func:`subsample`; and ``ignore_labels``, cell types that are not scored.
    max_cells
        Score a random part of this size where there are more cells; always the same part.

    Raises
    ------
    FileNotFoundError, KeyError, ValueError
        If there is no such file or column, or if the values are no counts.
    """
    return _prepare(json.dumps(dict(config)), max_cells)


@lru_cache(maxsize=1)
def _prepare(config_json: str, max_cells: int | None) -> Data:
    from hydra.utils import get_method

    config = json.loads(config_json)
    batch_key, labels_key = config.pop("batch_key"), config.pop("labels_key")
    layer, n_top_genes, ignored = config.pop("layer"), config.pop("n_top_genes"), config.pop("ignore_labels")
    n_cells = config.pop("subsample")
    adata = get_method(config.pop("_target_"))(**config)
    for name, key in (("batch_key", batch_key), ("labels_key", labels_key)):
        if key not in adata.obs:
            raise KeyError(f"data.{name}={key} does not exist; obs has {', '.join(map(str, adata.obs.columns))}.")
    unknown = set(ignored) - set(adata.obs[labels_key])
    if unknown:
        raise ValueError(f"data.ignore_labels names {sorted(unknown)}, which obs[{labels_key!r}] does not hold.")
    if n_cells is not None:
        adata = subsample(adata, n_cells, [batch_key, labels_key])
    pp.preprocess(adata, batch_key=batch_key, layer=layer, n_top_genes=n_top_genes)
    labels = adata.obs[labels_key]
    scored = np.flatnonzero(labels.notna() & ~labels.isin(ignored))
    if max_cells is not None and len(scored) > max_cells:
        scored = np.sort(np.random.default_rng(0).choice(scored, max_cells, replace=False))
    return Data(adata, batch_key, labels_key, scored)


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


def read_file(path: str) -> AnnData:
    """Read an h5ad file.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"There is no file {path}. Name it with data.path=FILE, or its folder with the variable SCCL_DATA."
        )
    return read_h5ad(path)

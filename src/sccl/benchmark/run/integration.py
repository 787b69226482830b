"""What becomes of an embedding of all batches: integration scores and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sccl.benchmark import scores
from sccl.benchmark.pictures import draw_umaps

if TYPE_CHECKING:
    from sccl.benchmark.data import Data
    from sccl.benchmark.methods import Embedding


def score(data: Data, embedding: Embedding) -> dict[str, float]:
    """Score how well batches are mixed and types are kept, see :func:`sccl.benchmark.scores.score`.

    Parameters
    ----------
    data, embedding
        The cells and where a method put them.

    Returns
    -------
    Metrics and their aggregates, NaN where undefined.
    """
    cells = data.scored
    table = scores.score(
        {"run": np.asarray(embedding.z_nd, dtype=np.float32)[cells]},
        data.batch.iloc[cells],
        data.labels.iloc[cells],
        unintegrated=data.pca[cells],
    )
    return {name: float(value) for name, value in table.loc["run"].items()}


def save(data: Data, embedding: Embedding, directory: Path, *, name: str) -> None:
    """Write ``picture.png``, the UMAP of the scored cells, and ``embedding.npz``.

    Parameters
    ----------
    data, embedding
        The cells and where a method put them.
    directory
        Of the run.
    name
        Of the run, for the titles.
    """
    import scanpy as sc
    from anndata import AnnData

    z_nd = np.asarray(embedding.z_nd, dtype=np.float32)
    neighbors = AnnData(z_nd[data.scored])
    sc.pp.neighbors(neighbors, use_rep="X", transformer="sklearn", random_state=0)  # exact
    sc.tl.umap(neighbors, random_state=0)
    umap_n2: np.ndarray = np.asarray(neighbors.obsm["X_umap"], dtype=np.float32)
    obs = data.adata.obs.iloc[data.scored]
    groups = {key: obs[key] for key in (data.batch_key, data.labels_key)}
    draw_umaps({name: umap_n2}, groups).savefig(directory / "picture.png", dpi=100)
    np.savez_compressed(
        directory / "embedding.npz",
        z=z_nd,
        scored=data.scored,
        umap=umap_n2,
        cell=data.adata.obs_names.to_numpy(dtype=str),
        batch=data.batch.astype(str).to_numpy(dtype=str),
        label=data.labels.astype(str).to_numpy(dtype=str),
    )

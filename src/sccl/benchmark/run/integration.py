"""What becomes of an embedding of all batches: integration scores and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sccl.benchmark import scores
from sccl.benchmark.run.picture import umaps
from sccl.inputs import as_text
from sccl.pl.coordinates import umap

if TYPE_CHECKING:
    from sccl.benchmark.data import Data
    from sccl.benchmark.methods import Embedding

#: A column with more names than that names cells rather than groups.
MOST_NAMES = 100


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
    z_nd = np.asarray(embedding.z_nd, dtype=np.float32)
    umap_n2 = umap(z_nd[data.scored])
    obs = data.adata.obs.iloc[data.scored]
    groups = {key: obs[key] for key in (data.batch_key, data.labels_key)}
    umaps({name: umap_n2}, groups).savefig(directory / "picture.png", dpi=100)
    np.savez_compressed(
        directory / "embedding.npz",
        z=z_nd,
        scored=data.scored,
        umap=umap_n2,
        cell=data.adata.obs_names.to_numpy(dtype=str),
        batch=data.batch.astype(str).to_numpy(dtype=str),
        label=data.labels.astype(str).to_numpy(dtype=str),
        **columns(data),
    )


def columns(data: Data) -> dict[str, Any]:
    """Return the other columns of ``obs`` by which cells may be coloured, as ``column_NAME``: numbers, and few names."""
    found: dict[str, Any] = {}
    for name, values in data.adata.obs.items():
        if name in (data.batch_key, data.labels_key):
            continue
        if values.dtype.kind in "fiu":
            found[f"column_{name}"] = values.to_numpy()
        elif values.nunique() <= MOST_NAMES:
            # a missing value reads as such, as in batches and labels
            found[f"column_{name}"] = np.array([str(one) for one in as_text(values)])
    return found

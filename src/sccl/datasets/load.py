"""Public data sets as counts."""

from __future__ import annotations

import warnings
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sccl.datasets.download import DownloadError, cache_folder, fetch
from sccl.datasets.registry import PUBLISHED, Published

if TYPE_CHECKING:
    from anndata import AnnData


def load(name: str, *, folder: Path | str | None = None) -> AnnData:
    """Return a public data set, downloaded at the first call.

    Parameters
    ----------
    name
        ``"human_immune"``, ``"human_pancreas"``, ``"human_pbmc"`` or ``"lung_atlas"``.
    folder
        Where files are kept; ``datasets`` in the user's cache if None (``SCCL_CACHE`` names another).

    Returns
    -------
    AnnData with counts in ``X`` (CSR, float32) and ``obs["batch"]`` and ``obs["cell_type"]`` beside the published
    columns. Where the published counts of a batch are no counts (not whole, or negative), its cells are left out, and a
    warning says so.

    Raises
    ------
    KeyError
        If there is no such data set.
    DownloadError
        If the file cannot be had; the message says where to put it by hand.
    ValueError
        If the file is not what was published.
    """
    if name not in PUBLISHED:
        nearest = get_close_matches(name, PUBLISHED, n=1, cutoff=0.0)[0]
        raise KeyError(f"There is no data set {name!r}; did you mean {nearest!r}? Known: {', '.join(PUBLISHED)}.")
    entry = PUBLISHED[name]
    path = Path(folder) if folder is not None else cache_folder() / "datasets"
    path = fetch(entry.url, path / f"{name}.h5ad", size=entry.size, sha256=entry.sha256)
    return _as_counts(path, entry)


def _as_counts(path: Path, entry: Published) -> AnnData:
    import pandas as pd
    from anndata import AnnData, read_h5ad
    from scipy import sparse

    try:
        published = read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise DownloadError(
            f"{path} is no AnnData file. Delete it and its .sha256, fetch {entry.url} with other means and put it there."
        ) from error
    missing = [key for key in (entry.batch_key, entry.labels_key) if key not in published.obs]
    if missing or (entry.layer is not None and entry.layer not in published.layers):
        raise ValueError(f"{path} lacks {missing or f'layers[{entry.layer!r}]'}: it is not the published file.")
    if published.n_obs != entry.n_cells:
        raise ValueError(f"{path} has {published.n_obs} cells instead of {entry.n_cells}: not the published file.")
    x = published.X if entry.layer is None else published.layers[entry.layer]
    counts = sparse.csr_matrix(x, dtype=np.float32)
    obs = pd.DataFrame(published.obs).assign(
        batch=published.obs[entry.batch_key], cell_type=published.obs[entry.labels_key]
    )
    keep = np.ones(len(obs), dtype=bool)
    for batch in obs["batch"].unique():
        rows = (obs["batch"] == batch).to_numpy()
        values = counts[np.flatnonzero(rows)].data
        if (values < 0).any() or (values != np.rint(values)).any():
            keep &= ~rows
            warnings.warn(f"{path.name}: batch {batch!r} holds no counts; its cells are left out.", stacklevel=3)
    if not keep.any():
        raise ValueError(f"{path} holds no counts in {entry.layer or 'X'}.")
    adata = AnnData(counts[np.flatnonzero(keep)], obs=obs[keep], var=published.var[[]])
    for key in ("batch", "cell_type"):
        adata.obs[key] = adata.obs[key].astype("category").cat.remove_unused_categories()
    return adata

"""Public data sets as counts."""

from __future__ import annotations

import warnings
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sccl.datasets.download import DownloadError, cache_folder, fetch
from sccl.datasets.registry import PUBLISHED, Published

if TYPE_CHECKING:
    from anndata import AnnData

# Values, or cells where the matrix is dense, that are looked at before a file is kept.
_N_LOOKED_AT = 1000


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
        If a file that is there already is not what was published.
    """
    if name not in PUBLISHED:
        nearest = get_close_matches(name, PUBLISHED, n=1, cutoff=0.0)[0]
        raise KeyError(f"There is no data set {name!r}; did you mean {nearest!r}? Known: {', '.join(PUBLISHED)}.")
    entry = PUBLISHED[name]
    path = Path(folder) if folder is not None else cache_folder() / "datasets"
    path = fetch(
        entry.url,
        path / f"{name}.h5ad",
        size=entry.size,
        sha256=entry.sha256,
        check=partial(check_published, entry=entry),
    )
    return _as_counts(path, entry)


def check_published(path: Path, entry: Published) -> None:
    """Look into a file whether it can be the published one, without reading all of it.

    Raises
    ------
    ValueError
        If it is no AnnData file, or lacks cells, columns or counts.
    """
    import h5py

    try:
        with h5py.File(path, locking=False) as file:  # it is locked as a download
            columns, n_cells = _columns(file["obs"])
            lacking = [key for key in (entry.batch_key, entry.labels_key) if key not in columns]
            x = file["X"] if entry.layer is None else file["layers"][entry.layer]
            values = (x["data"] if isinstance(x, h5py.Group) else x)[:_N_LOOKED_AT]
    except (AttributeError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no AnnData file, or a damaged one: {error}") from error
    if lacking:
        raise ValueError(f"it lacks the columns {lacking} of obs")
    if n_cells != entry.n_cells:
        raise ValueError(f"it has {n_cells} cells instead of {entry.n_cells}")
    if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        raise ValueError(f"{entry.layer or 'X'} holds no numbers")


def _columns(obs: Any) -> tuple[list[str], int]:
    """Return the names of the columns and the number of rows, of a table of today's form or of anndata before 0.7."""
    if obs.attrs.get("encoding-type") is None and hasattr(obs, "dtype"):
        return list(obs.dtype.names), obs.shape[0]
    index = obs[obs.attrs.get("_index", "_index")]
    return list(obs), (index if hasattr(index, "shape") else index["values"]).shape[0]


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

"""Two coordinates of each cell: UMAP of an embedding, and new cells in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sccl.graph.inputs import as_matrix

if TYPE_CHECKING:
    from anndata import AnnData


def umap(z_nd: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Return the UMAP of an embedding, from exact neighbours, float32, shape `(n_cells, 2)`."""
    import scanpy as sc
    from anndata import AnnData

    cells = AnnData(z_nd)
    sc.pp.neighbors(cells, use_rep="X", transformer="sklearn", random_state=seed)
    sc.tl.umap(cells, random_state=seed)
    return np.asarray(cells.obsm["X_umap"], dtype=np.float32)


def umap_with_query(z_nd: np.ndarray, query_nd: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the UMAP of an embedding, and new cells placed in it, which move nothing; float32, `(n_cells, 2)` each."""
    from umap import UMAP

    fitted = UMAP(n_neighbors=min(15, len(z_nd) - 1), metric="cosine", random_state=seed, n_jobs=1).fit(z_nd)
    return np.asarray(fitted.embedding_, np.float32), np.asarray(fitted.transform(query_nd), np.float32)


def stored(adata: AnnData, key: str, *, owner: str = "adata") -> np.ndarray:
    """Return an embedding of ``obsm``, float32, shape `(n_cells, n_dims)`.

    Raises
    ------
    KeyError
        If there is none of this name.
    ValueError
        If it has fewer than two dimensions, or values that are not finite.
    """
    if key not in adata.obsm:
        found = ", ".join(map(repr, adata.obsm)) or "nothing"
        raise KeyError(f"`basis`: {key!r} is not in {owner}.obsm, which holds {found}.")
    z_nd = as_matrix(adata.obsm[key], f"{owner}.obsm[{key!r}]")
    if z_nd.shape[1] < 2:
        raise ValueError(f"`basis`: {owner}.obsm[{key!r}] has one dimension; a picture needs two.")
    return z_nd

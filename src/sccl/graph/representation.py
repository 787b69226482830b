"""The space in which the cells of an AnnData object are compared."""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from sccl.graph.inputs import as_matrix
from sccl.inputs import as_count, check_anndata
from sccl.inputs.expression import IN_FILES, matrix_of

if TYPE_CHECKING:
    from anndata import AnnData


# The square of what is larger does not fit float32.
LARGEST = 1e18
# The axes of so many cells are those of all; the others are projected onto them.
MOST_FITTED = 20_000


def representation(adata: "AnnData", *, use_rep: str | None = None, n_comps: int = 50, seed: int = 0) -> np.ndarray:
    """Take a stored representation of the cells, or compute principal components of ``adata.X``.

    Nothing is written to `adata`. A sparse ``adata.X`` stays sparse. Of more than 20 000 cells a random part determines the
    components, onto which all are projected.

    Parameters
    ----------
    adata
        Cells; without `use_rep`, ``adata.X`` should hold normalised, log-transformed expression.
    use_rep
        Key of ``adata.obsm``. None: principal components.
    n_comps
        Principal components, at least 1; clipped to one less than the number of cells or of genes.
    seed
        Seed of the solver's start, and of the choice of cells. Equal seeds give equal results.

    Returns
    -------
    float32, shape (n_cells, n_dims).

    Raises
    ------
    KeyError
        If `use_rep` is not in ``adata.obsm``.
    ValueError
        If ``adata.X`` is missing, has fewer than two cells or genes, or the values are not finite.
    """
    check_anndata(adata)
    if use_rep is not None:
        if use_rep not in adata.obsm:
            found = ", ".join(map(repr, adata.obsm)) or "nothing"
            raise KeyError(f"`use_rep`: {use_rep!r} is not in `adata.obsm`, which holds {found}.")
        stored: Any = adata.obsm[use_rep]
        return as_matrix(stored.toarray() if sparse.issparse(stored) else stored, f"adata.obsm[{use_rep!r}]")
    n_comps = as_count(n_comps, "n_comps")
    if adata.X is None:
        raise ValueError("`adata.X` is None; store expression there or name a representation with `use_rep`.")
    if min(adata.shape) < 2:
        raise ValueError(f"`adata` is {adata.shape[0]} cells x {adata.shape[1]} genes; components need two of each.")
    x, _ = matrix_of(adata, None)
    return _principal_components(adata.to_memory().X if isinstance(x, IN_FILES) else x, n_comps, seed)


def _principal_components(x: np.ndarray | sparse.spmatrix, n_comps: int, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    if sparse.issparse(x):
        x = sparse.csr_matrix(x, dtype=np.float32)
    else:
        x = as_matrix(x, "adata.X")
    if not (abs(x) if sparse.issparse(x) else np.abs(x)).max() < LARGEST:
        raise ValueError("`adata.X` holds NaN, infinite or too large values; remove or impute them.")
    n_comps = min(n_comps, min(x.shape) - 1)
    if abs(x.max(axis=0) - x.min(axis=0)).sum() == 0:  # all cells are equal: the solver has nothing to start from
        return np.zeros((x.shape[0], n_comps), dtype=np.float32)
    solver = PCA(n_comps, svd_solver="arpack", random_state=seed)
    if x.shape[0] <= MOST_FITTED:
        return np.ascontiguousarray(solver.fit_transform(x), dtype=np.float32)
    rng = np.random.default_rng(seed)
    solver.fit(x[np.sort(rng.choice(x.shape[0], MOST_FITTED, replace=False))])
    axes_dg = solver.components_.astype(np.float32)
    return np.ascontiguousarray(x @ axes_dg.T - axes_dg @ solver.mean_.astype(np.float32), dtype=np.float32)

"""The space in which the cells of an AnnData object are compared."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from sccl.graph.inputs import as_matrix
from sccl.inputs import as_count, check_anndata
from sccl.inputs.blocks import as_dense, blocks
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
    return principal_components(x, n_comps=n_comps, seed=seed)


def principal_components(x: Any, *, n_comps: int = 50, seed: int = 0, name: str = "adata.X") -> np.ndarray:
    """Project cells onto the axes on which they vary most, in blocks: nothing but the result grows with them.

    Parameters
    ----------
    x
        Log-expression, cells × genes, at least two of each; dense or sparse, in memory or in a file.
    n_comps, seed
        See :func:`representation`.
    name
        What messages call ``x``.

    Returns
    -------
    float32, shape (n_cells, n_dims).

    Raises
    ------
    ValueError
        If values are not finite.
    """
    _check_size(x, name)
    n_cells = x.shape[0]
    n_comps = min(n_comps, min(x.shape) - 1)
    out = np.zeros((n_cells, n_comps), dtype=np.float32)
    if _all_equal(x):  # the solver has nothing to start from
        return out
    if n_cells <= MOST_FITTED:
        return np.ascontiguousarray(_solver(n_comps, seed).fit_transform(_in_memory(x, slice(None))), dtype=np.float32)
    rows = np.sort(np.random.default_rng(seed).choice(n_cells, MOST_FITTED, replace=False))
    axes = principal_axes(_in_memory(x, rows), n_comps=n_comps, seed=seed)
    for cell, gene, block in blocks(x):
        genes = slice(gene, gene + block.shape[1])  # all, unless the matrix is stored by genes
        out[cell : cell + block.shape[0]] += axes.project(block, genes)
    return out


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """Where cells are projected onto.

    Attributes
    ----------
    axes_dg
        The axes, float32, dimensions × genes.
    mean_g
        The mean of the cells that determined them, float32.
    """

    axes_dg: np.ndarray
    mean_g: np.ndarray

    def project(self, x: Any, genes: slice = slice(None)) -> np.ndarray:
        """Return the components of cells × genes, float32; what some of the genes contribute to them."""
        axes_dg = self.axes_dg[:, genes]
        return np.asarray(x.astype(np.float32, copy=False) @ axes_dg.T - axes_dg @ self.mean_g[genes])


def principal_axes(x: Any, *, n_comps: int = 50, seed: int = 0) -> PrincipalAxes:
    """Find the axes on which cells vary most; cells × genes in memory, which are not all equal."""
    solver = _solver(min(n_comps, min(x.shape) - 1), seed).fit(x)
    return PrincipalAxes(solver.components_.astype(np.float32), solver.mean_.astype(np.float32))


def _solver(n_comps: int, seed: int) -> Any:
    from sklearn.decomposition import PCA

    return PCA(n_comps, svd_solver="arpack", random_state=seed)


def _in_memory(x: Any, rows: Any) -> Any:
    """Rows as the solver takes them: float32, a sparse matrix or an array."""
    part = x if isinstance(rows, slice) and not isinstance(x, IN_FILES) else x[rows]
    return sparse.csr_matrix(part, dtype=np.float32) if sparse.issparse(part) else np.asarray(part, dtype=np.float32)


def _check_size(x: Any, name: str) -> None:
    for _, _, block in blocks(x):
        values = block.data if sparse.issparse(block) else block
        if values.size and not max(values.max(), -values.min()) < LARGEST:
            raise ValueError(f"`{name}` holds NaN, infinite or too large values; remove or impute them.")


def _all_equal(x: Any) -> bool:
    for cell, _, block in blocks(x):
        values = as_dense(block)
        if not cell:  # of these genes
            first = values[0]
        if (values != first).any():
            return False
    return True

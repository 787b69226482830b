"""What an expression matrix is: finite and not negative."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from sccl.pp.blocks import blocks


def check_expression(
    x: Any,
    *,
    name: str = "adata.X",
    obs_names: Sequence[str] | None = None,
    var_names: Sequence[str] | None = None,
) -> None:
    """Refuse an expression matrix that holds NaN, infinite or negative values.

    The matrix is read in blocks, so that a backed one never has to fit in memory.

    Parameters
    ----------
    x
        Expression, cells × genes, in any unit: a NumPy array, any SciPy sparse matrix or array, or their on-disk
        counterparts (a 2-dimensional ``h5py.Dataset``, or what ``adata.X`` is for a backed AnnData).
    name
        What the error message calls the matrix.
    obs_names
        Names of the cells, ``(n_cells,)``; without them the message counts rows from 0.
    var_names
        Names of the genes, ``(n_genes,)``; without them the message counts columns from 0.

    Raises
    ------
    ValueError
        If the values are not real numbers, or if one is NaN, infinite or negative. The message names the first such
        place (first by cells; by genes in a CSC matrix).

    Examples
    --------
    >>> import numpy as np
    >>> import sccl
    >>> sccl.pp.check_expression(np.array([[0.0, 2.5]]))
    """
    if np.dtype(x.dtype).kind not in "biuf":
        raise ValueError(f"{name} holds values of dtype {x.dtype}; expression must be real numbers.")
    found = first_place(x, lambda values: ~((values >= 0) & (values < np.inf)))
    if found is None:
        return
    cell, gene, value = found
    what, advice = "a negative value", "It looks scaled or corrected; pass raw counts or their logarithm."
    if not np.isfinite(value):
        what, advice = "a missing or infinite value", "Remove the affected cells or genes, or repair the values."
    raise ValueError(f"{name} holds {what} ({value}) at {place(cell, gene, obs_names, var_names)}. {advice}")


def first_place(x: Any, is_bad: Callable[[np.ndarray], np.ndarray]) -> tuple[int, int, Any] | None:
    """Cell, gene and value of the first stored value that `is_bad` marks; None if there is none."""
    if sparse.issparse(x) and x.format not in ("csr", "csc"):
        x = x.tocsr()
    for cell, gene, block in blocks(x):
        values = block.data if sparse.issparse(block) else block.ravel()
        bad = is_bad(values)
        if not bad.any():
            continue
        at = int(np.argmax(bad))
        if not sparse.issparse(block):
            row, column = divmod(at, block.shape[1])
        else:
            major, minor = np.searchsorted(block.indptr, at, side="right") - 1, block.indices[at]
            row, column = (minor, major) if block.format == "csc" else (major, minor)
        return cell + int(row), gene + int(column), values[at]
    return None


def place(cell: int, gene: int, obs_names: Sequence[str] | None, var_names: Sequence[str] | None) -> str:
    """Say where a value lies, by names where there are any."""
    row = f"row {cell}" if obs_names is None else f"cell {str(obs_names[cell])!r}"
    column = f"column {gene}" if var_names is None else f"gene {str(var_names[gene])!r}"
    return f"{row}, {column}"

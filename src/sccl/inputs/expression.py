"""What an expression matrix is: two axes, readable by cells, finite and not negative."""

from collections.abc import Callable, Sequence
from typing import Any

import h5py
import numpy as np
import zarr
from anndata import AnnData
from anndata.abc import CSCDataset, CSRDataset
from scipy import sparse

from sccl.inputs.blocks import blocks
from sccl.inputs.csr import check_indices
from sccl.inputs.names import absent

LARGEST_LOG = 20.0
"""No logarithm of counts per million exceeds it, not even to base 2."""

IN_FILES = (CSRDataset, CSCDataset, h5py.Dataset, zarr.Array)
"""Matrices that are read from a file, a few cells at a time."""


def matrix_of(adata: AnnData, layer: str | None, *, what: str = "adata") -> tuple[Any, str]:
    """Return the expression matrix of an AnnData, and what messages call it.

    Parameters
    ----------
    adata
        Cells × genes; left as it is.
    layer
        Name of the layer, or None for ``X``.
    what
        What messages call ``adata``.

    Raises
    ------
    KeyError
        If there is no such layer; the message has the nearest one.
    ValueError
        If there is no matrix, or if it is of a kind that cannot be read, see :func:`check_readable`.
    """
    names = [str(name) for name in adata.layers.keys() if name is not None]  # AnnData may list X itself as None
    if layer is not None and layer not in names:
        raise KeyError(absent("layer", layer, f"{what}.layers", names))
    name = name_of(layer, what=what)
    x = adata.X if layer is None else adata.layers[layer]
    if x is None:
        others = f"pass `layer=`, one of {names}" if names else "store expression there"
        raise ValueError(f"{name} is None: {others}.")
    check_readable(x, name=name)
    return x, name


def name_of(layer: str | None, *, what: str = "adata") -> str:
    """Return what messages call the matrix of a layer, or ``X`` if None."""
    return f"{what}.X" if layer is None else f"{what}.layers[{layer!r}]"


def check_readable(x: Any, *, name: str) -> None:
    """Refuse what cannot be read as numbers, cells × genes: other kinds of arrays, masks, and damaged sparse matrices.

    Raises
    ------
    ValueError
        Naming what was found and what to do.
    """
    if isinstance(x, np.ma.MaskedArray):
        raise ValueError(
            f"{name} is a masked array, and what lies under a mask would be read as it is: fill it, `x.filled(0)`."
        )
    if not (isinstance(x, (np.ndarray, *IN_FILES)) or sparse.issparse(x)):
        raise ValueError(
            f"{name} is a {type(x).__module__.partition('.')[0]} {type(x).__name__}, not a NumPy array, a SciPy sparse "
            "matrix, or one of the two in a file: load it, `adata.to_memory()`; what does not fit in memory, write to a store, "
            "`sccl.pp.preprocess_to(store, files)`."
        )
    if len(x.shape) != 2:
        raise ValueError(f"{name} has {len(x.shape)} dimensions; cells × genes are two.")
    if np.dtype(x.dtype).kind not in "biuf":
        raise ValueError(f"{name} holds values of dtype {x.dtype}; expression must be real numbers.")
    if sparse.issparse(x):
        check_indices(x, name)


def check_expression(
    x: Any,
    *,
    name: str = "adata.X",
    obs_names: Sequence[str] | None = None,
    var_names: Sequence[str] | None = None,
    hint: str = "",
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
    hint
        Ends a message on values that are no expression; see :func:`raw_hint`.

    Raises
    ------
    ValueError
        If ``x`` is of another kind, masked, or damaged; if the values are not real numbers, or if one is NaN, infinite or
        negative. The message names the first such place (first by cells; by genes in a CSC matrix).

    Examples
    --------
    >>> import numpy as np
    >>> import sccl
    >>> sccl.pp.check_expression(np.array([[0.0, 2.5]]))
    """
    check_readable(x, name=name)
    found = first_place(x, lambda values: ~((values >= 0) & (values < np.inf)))
    if found is None:
        return
    cell, gene, value = found
    what, advice = "a negative value", "It looks scaled or corrected; pass raw counts or their logarithm."
    if not np.isfinite(value):
        what, advice = "a missing or infinite value", "Remove the affected cells or genes, or repair the values."
    raise ValueError(f"{name} holds {what} ({value}) at {place(cell, gene, obs_names, var_names)}. {advice}{hint}")


def raw_hint(adata: AnnData, what: str = "adata") -> str:
    """Say that ``adata.raw`` may hold what is looked for, if there is one."""
    return f" {what}.raw may hold them: `{what}.raw.to_adata()`." if adata.raw is not None else ""


def first_place(x: Any, is_bad: Callable[[np.ndarray], np.ndarray]) -> tuple[int, int, Any] | None:
    """Cell, gene and value of the first stored value that `is_bad` marks; None if there is none."""
    if sparse.issparse(x) and x.format not in ("csr", "csc"):
        x = x.tocsr()
    for cell, gene, block in blocks(x):
        if sparse.issparse(block):
            check_indices(block)  # of a file only now
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

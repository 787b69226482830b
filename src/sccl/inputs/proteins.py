"""Proteins beside expression: a second matrix of the same cells, in ``obsm``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from sccl.inputs.csr import as_csr, check_indices
from sccl.inputs.expression import LARGEST_LOG
from sccl.inputs.names import absent

if TYPE_CHECKING:
    from anndata import AnnData


class Proteins(NamedTuple):
    """Proteins of cells.

    Attributes
    ----------
    x
        Float32, cells × proteins. A row without values is a cell whose proteins were not measured.
    names
        What the proteins are called, object array of str; None: they have no names.
    """

    x: sparse.csr_matrix
    names: np.ndarray | None


def find_proteins(adata: AnnData, key: Any, argument: str = "protein_obsm_key", *, what: str = "adata") -> Proteins:
    """Return the proteins of an AnnData.

    Parameters
    ----------
    adata
        Cells; left as they are.
    key
        Key of ``obsm``: a DataFrame, whose columns name the proteins, an array, or a SciPy sparse matrix. A row of NaN or of
        zeros is a cell whose proteins were not measured.
    argument, what
        What messages call ``key`` and ``adata``.

    Raises
    ------
    TypeError
        If ``key`` is no name.
    KeyError
        If there is no such key; the message has the nearest, and all others.
    ValueError
        If it holds no matrix of real numbers, no protein or one twice, an infinite value, or NaN for some of a cell's proteins.
    """
    if not isinstance(key, str):
        raise TypeError(f"`{argument}` must be a key of {what}.obsm, found {type(key).__name__} {key!r}.")
    if key not in adata.obsm:
        raise KeyError(absent(argument, key, f"{what}.obsm", adata.obsm))
    stored: Any = adata.obsm[key]
    names = np.array(list(map(str, stored.columns)), dtype=object) if isinstance(stored, pd.DataFrame) else None
    return read_proteins(stored, names, name=f"{what}.obsm[{key!r}]", obs_names=adata.obs_names)


def read_proteins(stored: Any, names: np.ndarray | None, *, name: str, obs_names: Any) -> Proteins:
    """Return a matrix of proteins in the form in which models read them; see :func:`find_proteins`.

    Parameters
    ----------
    stored
        DataFrame, array or SciPy sparse matrix, cells × proteins.
    names
        What the proteins are called.
    name
        What messages call the matrix.
    obs_names
        Names of the cells, for messages.
    """
    values = stored.to_numpy() if isinstance(stored, pd.DataFrame) else stored
    if not (isinstance(values, np.ndarray) or sparse.issparse(values)) or values.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be a DataFrame, an array or a SciPy sparse matrix of real numbers.")
    if len(values.shape) != 2 or not values.shape[1]:
        raise ValueError(f"{name} must be cells × proteins, with at least one protein; its shape is {values.shape}.")
    if names is not None and len(set(names)) < len(names):
        repeated = pd.Index(names)[pd.Index(names).duplicated()][0]
        raise ValueError(f"{name} holds the protein {repeated!r} more than once: rename or drop one.")
    if sparse.issparse(values):
        check_indices(values, name)
    csr = as_csr(values).copy()
    cell = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
    if np.isinf(csr.data).any():
        at = int(cell[np.argmax(np.isinf(csr.data))])
        raise ValueError(f"{name} holds an infinite value, first of the cell {str(obs_names[at])!r}: repair it.")
    missing = np.bincount(cell, weights=np.isnan(csr.data), minlength=csr.shape[0])
    partly = np.flatnonzero((missing > 0) & (missing < csr.shape[1]))
    if partly.size:
        raise ValueError(
            f"{name} holds NaN for some proteins of {partly.size} cells, first {str(obs_names[partly[0]])!r}: NaN is for all "
            "proteins of a cell, if they were not measured. Leave out proteins that only some cells have, or set them to 0."
        )
    csr.data[np.isnan(csr.data)] = 0
    csr.eliminate_zeros()
    return Proteins(csr, names)


def check_normalized(x: sparse.csr_matrix, *, name: str, advice: str) -> None:
    """Refuse raw counts of proteins, or of whatever stands in their place; 0 and 1, peaks that are open or not, are none.

    Parameters
    ----------
    x
        Cells × proteins.
    name
        What messages call it.
    advice
        Which call normalises it.

    Raises
    ------
    ValueError
        Saying what the values look like and what to do.
    """
    largest = float(x.max()) if x.nnz else 0.0
    whole = bool(x.nnz) and bool((x.data == np.rint(x.data)).all())
    if (whole and largest > 1) or largest > LARGEST_LOG:
        looks = f"raw counts (whole numbers up to {largest:.4g})" if whole else f"no logarithms (up to {largest:.4g})"
        raise ValueError(
            f"{name} seems to hold {looks}, where models read normalised ones: call {advice}. "
            'Of peaks take `method="log1p"`, or 0 and 1.'
        )


def how_to_normalize(key: str) -> str:
    """Return the call that normalises counts in ``obsm``, and how the result is named."""
    return (
        f"`sccl.pp.normalize_protein(adata, {key!r})` on the raw counts, and pass `protein_obsm_key={f'{key}_clr'!r}`"
    )

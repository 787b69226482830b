"""The one form in which compiled code reads expression, and the check that it can be read at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse


def as_csr(x: Any) -> csr_matrix:
    """Return a matrix as float32 CSR without duplicates, sharing memory with ``x`` where it is that already.

    Parameters
    ----------
    x
        Dense array, or any scipy sparse matrix or array, cells × genes; or its counterpart in a file, which is read whole.

    Raises
    ------
    ValueError
        If it is sparse and damaged, see :func:`check_indices`.
    """
    if not (issparse(x) or isinstance(x, np.ndarray)) and hasattr(x, "to_memory"):
        x = x.to_memory()
    if not issparse(x):
        return csr_matrix(np.asarray(x), dtype=np.float32)
    check_indices(x)
    csr = x.tocsr()
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    parts = (csr.data.astype(np.float32, copy=False), csr.indices, csr.indptr)
    return csr_matrix(tuple(map(_as_writable, parts)), shape=csr.shape)


class _Writable:
    """What NumPy reads as an array that may be written to."""

    def __init__(self, array: np.ndarray) -> None:
        interface = array.__array_interface__
        self._array, self.__array_interface__ = array, {**interface, "data": (interface["data"][0], False)}


def _as_writable(array: np.ndarray) -> np.ndarray:
    """Return the same memory for compiled code, which takes no read-only array for one and does not write."""
    return array if array.flags.writeable else np.asarray(_Writable(array))


def check_indices(x: Any, name: str = "The matrix") -> None:
    """Refuse a sparse matrix that points outside of itself, as damaged files hold them.

    SciPy does not look, and compiled code would read or write other memory. Costs less than adding up the values.

    Parameters
    ----------
    x
        A scipy sparse matrix or array of any format; only CSR and CSC can be damaged in this way.
    name
        What the message calls it.

    Raises
    ------
    ValueError
        If ``indptr`` or ``indices`` do not fit the shape or the number of stored values.
    """
    if getattr(x, "format", None) not in ("csr", "csc"):
        return
    n_major, n_minor = x.shape if x.format == "csr" else x.shape[::-1]
    indptr, indices = x.indptr, x.indices
    if len(indptr) != n_major + 1 or indptr[0] != 0 or (np.diff(indptr) < 0).any():
        problem = f"`indptr` must rise from 0 and have {n_major + 1} entries"
    elif indptr[-1] > min(len(indices), len(x.data)):
        problem = f"`indptr` ends at {indptr[-1]}, but {min(len(indices), len(x.data))} values are stored"
    elif len(indices) and not (indices.min() >= 0 and indices.max() < n_minor):
        problem = f"`indices` holds {indices.min()} to {indices.max()}, but there are 0 to {n_minor - 1}"
    else:
        return
    raise ValueError(f"{name} is a damaged sparse matrix: {problem}. Read or make the data again.")

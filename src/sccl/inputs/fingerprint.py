"""Is a matrix still what was registered?"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sccl.inputs.blocks import blocks
from sccl.inputs.expression import IN_FILES

# Of a matrix in a file so many cells stand for all: reading it again would cost as much as embedding it.
N_READ = 64


class Fingerprint(NamedTuple):
    """What tells a matrix from another one, in a few bytes.

    Attributes
    ----------
    shape
        Cells and genes.
    checksum
        CRC-32 of the arrays: equal, nothing was touched.
    projection
        The matrix between two fixed random vectors: equal up to rounding, the values are the same in another form.
    """

    shape: tuple[int, int]
    checksum: int
    projection: float


class Registered(NamedTuple):
    """What was read when the data were registered.

    Attributes
    ----------
    fingerprint
        Of the matrix.
    description
        How it was preprocessed, as the models describe it.
    """

    fingerprint: Fingerprint
    description: dict[str, Any]


def fingerprint(x: Any) -> Fingerprint:
    """Take the fingerprint of expression, cells × genes, in memory or in a file (of 64 cells, then)."""
    read = _read(x)
    return Fingerprint((int(x.shape[0]), int(x.shape[1])), _checksum(read), _projection(read))


def is_unchanged(x: Any, known: Fingerprint) -> bool:
    """Whether a matrix is the one that a fingerprint was taken of, or has the same values in another form."""
    if tuple(x.shape) != known.shape:
        return False
    read = _read(x)
    return _checksum(read) == known.checksum or bool(
        np.isclose(_projection(read), known.projection, rtol=1e-6, atol=1e-9)
    )


def _read(x: Any) -> Any:
    return x[np.unique(np.linspace(0, x.shape[0] - 1, N_READ, dtype=int))] if isinstance(x, IN_FILES) else x


def _checksum(x: Any) -> int:
    checksum = 0
    for array in (x.data, x.indices, x.indptr) if sparse.issparse(x) else (x,):
        checksum = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1), checksum)
    return checksum


def _projection(x: Any) -> float:
    by_cell, by_gene = (np.random.default_rng(axis).standard_normal(size) for axis, size in enumerate(x.shape))
    total = 0.0
    for cell, gene, block in blocks(x):
        part = np.asarray(block.astype(np.float64) @ by_gene[gene : gene + block.shape[1]]).ravel()
        total += float(by_cell[cell : cell + block.shape[0]] @ part)
    return total

"""Keyed randomness: the random numbers of a cell follow from (seed, epoch, cell, view), not from a stream.

The same views come out whatever the number of workers, threads or processes, whatever the other cells of
the batch are, and after a resume.
"""

from __future__ import annotations

import numpy as np

from sccl.storage.compiled import compiled

# The increment and the two multipliers of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)


@compiled(inline="always")
def mix(z):
    """Turn 64 bits into 64 bits that look independent of them (the SplitMix64 finaliser)."""
    z = (z ^ (z >> _S30)) * _MULTIPLIER_1
    z = (z ^ (z >> _S27)) * _MULTIPLIER_2
    return z ^ (z >> _S31)


@compiled(inline="always")
def combine(key, value):
    """Derive the key of one thing (a view, an operation) from the key of what holds it."""
    return mix(key ^ mix(np.uint64(value) + GAMMA))


@compiled()
def _cell_keys(seed, epoch, view, cells):
    base = combine(combine(mix(np.uint64(seed)), epoch), view)
    keys = np.empty(cells.size, np.uint64)
    for i in range(cells.size):
        keys[i] = combine(base, cells[i])
    return keys


@compiled()
def _derive(keys, salt):
    derived = np.empty_like(keys)
    for i in range(keys.size):
        derived[i] = combine(keys[i], salt)
    return derived


def cell_keys(cells: np.ndarray, *, seed: int, epoch: int, view: int) -> np.ndarray:
    """Return the key of every cell for one view in one epoch.

    Parameters
    ----------
    cells
        Row numbers of the cells, shape ``(n_cells,)``.
    seed, epoch, view
        Non-negative integers.

    Returns
    -------
    uint64, shape ``(n_cells,)``.
    """
    return _cell_keys(seed, epoch, view, np.ascontiguousarray(cells, dtype=np.int64))


def derive(keys: np.ndarray, salt: int) -> np.ndarray:
    """Return fresh keys, independent of ``keys`` and of those derived with another ``salt`` (a small integer)."""
    return _derive(keys, salt)


def uniform(keys: np.ndarray) -> np.ndarray:
    """Return one number in ``[0, 1)`` per key, float64."""
    return (keys >> np.uint64(11)) * 2.0**-53


def integers(keys: np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """Return one integer in ``[0, n)`` per key; ``n`` is a number or one number per key. int64."""
    return ((keys >> np.uint64(32)) * np.asarray(n, dtype=np.uint64) >> np.uint64(32)).astype(np.int64)

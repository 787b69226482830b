"""Random bits per gene for the fused pass: counter-based, so that a gene's bits can be had alone or in bulk."""

from __future__ import annotations

import numpy as np

from sccl.augment.keys import GAMMA, combine, mix
from sccl.storage.compiled import compiled


@compiled(inline="always")
def threshold(fraction):
    """Return the number below which 16 random bits fall with probability ``fraction``."""
    return np.uint32(round(fraction * 65536.0))


@compiled()
def fill_bits(key, bits):
    """Fill the uint64 array ``bits`` with random bits."""
    for block in range(bits.size):
        bits[block] = mix(key + np.uint64(block) * GAMMA)


@compiled(inline="always")
def gene_bits(key, gene):
    """Return the 16 bits that :func:`fill_bits` gives a gene, without filling anything."""
    word = mix(key + np.uint64(gene >> 2) * GAMMA)
    return np.uint32((word >> np.uint64((gene & 3) << 4)) & np.uint64(0xFFFF))


@compiled(inline="always")
def unit(key, i):
    """Return the key's ``i``-th number in [0, 1)."""
    return (combine(key, i) >> np.uint64(11)) * 2.0**-53

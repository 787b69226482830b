"""From a sparse row to a dense one."""

from __future__ import annotations

import numpy as np

from sccl.storage.compiled import compiled


@compiled()
def scatter_row(x, row, data, indices, indptr):
    """Overwrite ``x`` with a row of a CSR matrix."""
    x[:] = np.float32(0.0)
    for j in range(indptr[row], indptr[row + 1]):
        x[indices[j]] = data[j]

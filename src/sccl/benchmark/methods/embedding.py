"""What a method is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from sccl.benchmark.data import Data


@dataclass(frozen=True)
class Embedding:
    """What a method returns.

    Parameters
    ----------
    z_nd
        The embedding, shape `(n_cells, n_dims)`, in the order of the cells.
    loss
        Loss of each epoch, if there is any.
    query_nd
        The cells of ``data.query`` in the same space, shape `(n_query_cells, n_dims)`. None where there are none, or where
        the method cannot embed cells that it has not learned from.
    query_labels
        The label that the method itself gives each cell of ``data.query``. None: it has no way to.
    query_proteins
        Normalised proteins of the cells of ``data.query`` as the method predicts them from their RNA, cells × proteins in the
        order of the data's. None: it does not.
    """

    z_nd: np.ndarray
    loss: pd.Series | None = None
    query_nd: np.ndarray | None = None
    query_labels: np.ndarray | None = None
    query_proteins: np.ndarray | None = None


class Method(Protocol):
    """A function from cells to their embedding. It may change neither the cells nor anything of other runs."""

    def __call__(self, data: Data, *, seed: int, **parameters: Any) -> Embedding:
        """Embed the cells of ``data.adata`` and, without learning from them, of ``data.query``; copies may be changed."""

"""SysVI."""

from __future__ import annotations

from typing import Any

import scvi

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.scvi_tools import embedding_of, train


def embed(data: Data, *, cycle_weight: float = 2.0, **parameters: Any) -> Embedding:
    """Train SysVI (Hrovatin et al., bioRxiv 2023), made for strong batch effects, on the log-expression.

    Parameters
    ----------
    data, **parameters
        See :func:`sccl.benchmark.methods.scvi_tools.train`.
    cycle_weight
        How strongly cells are drawn to where they would lie if they came from another batch.
    """
    training = {"plan_kwargs": {"z_distance_cycle_weight": cycle_weight}}
    return embedding_of(train(scvi.external.SysVI, data, layer=None, training=training, **parameters))

"""JointEmbeddingSCVI, the contrastive model of scvi-tools."""

from __future__ import annotations

from typing import Any

from scvi.external import JointEmbeddingSCVI

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.scvi_tools import embedding_of, train


def embed(data: Data, **parameters: Any) -> Embedding:
    """Train JointEmbeddingSCVI on the counts.

    Parameters
    ----------
    data, **parameters
        See :func:`sccl.benchmark.methods.scvi_tools.train`.
    """
    return embedding_of(train(JointEmbeddingSCVI, data, **parameters))

"""DRVI."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import scvi

from sccl.benchmark.data import Data
from sccl.benchmark.methods.embedding import Embedding
from sccl.benchmark.methods.scvi_tools import embedding_of, train


def embed(data: Data, **parameters: Any) -> Embedding:
    """Train DRVI (Moinfar and Theis, bioRxiv 2024), whose dimensions are decoded each on its own, on the counts.

    Parameters
    ----------
    data, **parameters
        See :func:`sccl.benchmark.methods.scvi_tools.train`.

    Raises
    ------
    ModuleNotFoundError
        If scvi-tools is too old to have it.
    """
    if not hasattr(scvi.external, "DRVI"):
        raise ModuleNotFoundError(f"DRVI needs scvi-tools 1.5 or newer, found {version('scvi-tools')}.")
    return embedding_of(train(scvi.external.DRVI, data, **parameters))

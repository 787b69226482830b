"""Contrastive self-supervised learning for single cells, on scvi-tools."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sccl.catalogue import models

if TYPE_CHECKING:
    from sccl import augment, benchmark, dataloaders, datasets, graph, mapping, model, module, pl, pp, testing, train
    from sccl.model import *

__version__ = version("sccl")

_ROOMS = (
    "augment",
    "benchmark",
    "dataloaders",
    "datasets",
    "graph",
    "mapping",
    "model",
    "module",
    "pl",
    "pp",
    "testing",
    "train",
)

__all__ = [*models(), *_ROOMS]


def __getattr__(name: str) -> Any:
    # scvi-tools and torch take ten seconds to import: only what is used is paid for.
    if name in _ROOMS:
        return import_module(f"sccl.{name}")
    if name in models():
        return getattr(import_module("sccl.model"), name)
    raise AttributeError(f"module 'sccl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

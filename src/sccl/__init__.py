"""Contrastive self-supervised learning for single cells, on scvi-tools."""

from __future__ import annotations

import logging
import sys
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

# rooms that import scvi-tools
_ON_SCVI = ("dataloaders", "mapping", "model", "train")

__all__ = [*models(), *_ROOMS]


def __getattr__(name: str) -> Any:
    # scvi-tools and torch take ten seconds to import: only what is used is paid for.
    if name in models() or name in _ON_SCVI:
        _say_what_takes_long()
    if name in _ROOMS:
        return import_module(f"sccl.{name}")
    if name in models():
        return getattr(import_module("sccl.model"), name)
    raise AttributeError(f"module 'sccl' has no attribute {name!r}")


def _say_what_takes_long() -> None:
    """Say that scvi-tools is loaded, if it is not yet, and if somebody waits: at a prompt, in a notebook or a terminal.

    ``logging.getLogger("scvi").setLevel("WARNING")``, which is scvi-tools' own verbosity, keeps it quiet.
    """
    if "scvi" in sys.modules or logging.getLogger("scvi").level > logging.INFO:
        return
    at_prompt = hasattr(sys, "ps1")
    if at_prompt or sys.stderr.isatty():
        print("Loading scvi-tools and torch, once ...", file=sys.stdout if at_prompt else sys.stderr, flush=True)


def __dir__() -> list[str]:
    return __all__

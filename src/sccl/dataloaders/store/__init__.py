"""Batches of cells that lie on disk: runs of cells are read into a buffer, and minibatches drawn from it."""

from sccl.dataloaders.store.loader import StoreLoader
from sccl.dataloaders.store.residents import Residents
from sccl.dataloaders.store.runs import runs_of
from sccl.dataloaders.store.splitter import StoreSplitter

__all__ = ["Residents", "StoreLoader", "StoreSplitter", "runs_of"]

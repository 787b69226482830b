"""How is a batch made? Sampled, drawn, read once, turned into two views."""

from sccl.dataloaders.loader import TwoViewDataLoader
from sccl.dataloaders.rows import CellDataset, RowReader
from sccl.dataloaders.sampling import Sampling, UniformSampling, as_sampling, n_minibatches
from sccl.dataloaders.splitter import TwoViewDataSplitter

__all__ = [
    "CellDataset",
    "RowReader",
    "Sampling",
    "TwoViewDataLoader",
    "TwoViewDataSplitter",
    "UniformSampling",
    "as_sampling",
    "n_minibatches",
]

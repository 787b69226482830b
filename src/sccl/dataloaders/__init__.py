"""How is a batch made? Sampled, drawn, read once, turned into two views."""

from sccl.dataloaders.loader import TwoViewDataLoader
from sccl.dataloaders.rows import CellDataset, RowReader
from sccl.dataloaders.sampling import BatchSampling, NeighborSampling, Sampling, UniformSampling, as_sampling
from sccl.dataloaders.splitter import TwoViewDataSplitter

__all__ = [
    "BatchSampling",
    "CellDataset",
    "NeighborSampling",
    "RowReader",
    "Sampling",
    "TwoViewDataLoader",
    "TwoViewDataSplitter",
    "UniformSampling",
    "as_sampling",
]

"""Which cells share a minibatch."""

from sccl.dataloaders.sampling.base import Sampling, n_minibatches, split_evenly
from sccl.dataloaders.sampling.batch import BatchSampling
from sccl.dataloaders.sampling.config import as_sampling
from sccl.dataloaders.sampling.neighbor import NeighborSampling
from sccl.dataloaders.sampling.uniform import UniformSampling

__all__ = [
    "BatchSampling",
    "NeighborSampling",
    "Sampling",
    "UniformSampling",
    "as_sampling",
    "n_minibatches",
    "split_evenly",
]

"""What is a view? Augmentations of expression profiles, usable without any model."""

from sccl.augment.base import Augmentation, Operation
from sccl.augment.bbknn import BBKNN
from sccl.augment.compose import Compose
from sccl.augment.config import as_compose, from_config, to_config
from sccl.augment.crossover import CrossOver
from sccl.augment.datasets import CellsDataset, TwoViewDataset, load_data
from sccl.augment.mask import Mask
from sccl.augment.mnn import MNN
from sccl.augment.modalities import ModalityCompose
from sccl.augment.multiplicative import MultiplicativeNoise
from sccl.augment.noise import GaussianNoise
from sccl.augment.positive import CrossBatchPositive
from sccl.augment.presets import preset
from sccl.augment.row import Row, row_function
from sccl.augment.swap import InnerSwap

__all__ = [
    "BBKNN",
    "MNN",
    "Augmentation",
    "CellsDataset",
    "Compose",
    "CrossBatchPositive",
    "CrossOver",
    "GaussianNoise",
    "InnerSwap",
    "Mask",
    "ModalityCompose",
    "MultiplicativeNoise",
    "Operation",
    "Row",
    "TwoViewDataset",
    "as_compose",
    "from_config",
    "load_data",
    "preset",
    "row_function",
    "to_config",
]

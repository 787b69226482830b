"""What is a view? Augmentations of expression profiles, usable without any model."""

from sccl.augment.base import Augmentation
from sccl.augment.compose import Compose
from sccl.augment.config import as_compose, from_config, to_config
from sccl.augment.crossover import CrossOver
from sccl.augment.mask import Mask
from sccl.augment.noise import GaussianNoise
from sccl.augment.presets import preset
from sccl.augment.swap import InnerSwap

__all__ = [
    "Augmentation",
    "Compose",
    "CrossOver",
    "GaussianNoise",
    "InnerSwap",
    "Mask",
    "as_compose",
    "from_config",
    "preset",
    "to_config",
]

"""Every part of the package keeps the contract that parts of others are tested against, and one that does not is found."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from sccl import augment, dataloaders, module
from sccl.benchmark.methods import harmony, pca
from sccl.testing import ArchitectureTests, AugmentationTests, MethodTests, SamplingTests

pytestmark = [
    pytest.mark.filterwarnings("ignore:Training has diverged"),
    pytest.mark.filterwarnings("ignore:The embedding has collapsed"),
]

ARCHITECTURES = module.architectures.__all__
AUGMENTATIONS = [
    augment.Mask(0.3),
    augment.GaussianNoise(0.2, 0.8),
    augment.MultiplicativeNoise(0.7, 0.5),
    augment.InnerSwap(0.2),
    augment.CrossOver(0.25),
    augment.BBKNN(0.5, k=3),
    augment.MNN(0.5, k=3),
    augment.CrossBatchPositive(),
]
SAMPLINGS = ["uniform", "batch", "neighbor", "batch+neighbor"]

for name in ARCHITECTURES:
    contents = {"architecture": getattr(module, name), "__module__": __name__}
    globals()[f"Test{name}"] = type(f"Test{name}", (ArchitectureTests,), contents)
for one in AUGMENTATIONS:
    name = type(one).__name__
    globals()[f"Test{name}"] = type(f"Test{name}", (AugmentationTests,), {"augmentation": one, "__module__": __name__})
for name in SAMPLINGS:
    title = "".join(part.title() for part in name.split("+"))
    contents = {"sampling": dataloaders.as_sampling(name), "__module__": __name__}
    globals()[f"Test{title}Sampling"] = type(f"Test{title}Sampling", (SamplingTests,), contents)


class TestPCA(MethodTests):
    method = staticmethod(pca.embed)
    parameters: ClassVar = {"n_comps": 10}


class TestHarmony(MethodTests):
    method = staticmethod(harmony.embed)
    parameters: ClassVar = {"n_comps": 10, "theta": 2.0, "max_iter_harmony": 3}


@dataclass(frozen=True)
class Careless(augment.Augmentation):
    """It writes to the cells, and changes all of them whatever the chance."""

    p: float = 0.5

    def apply(self, x_ng, partners_png, generator):
        return x_ng.add_(torch.rand(x_ng.shape))


class Forgetful(module.Architecture):
    """It keeps what it needs outside of its state, and moves on in evaluation."""

    def __init__(self, n_latent):
        super().__init__()
        self.projector = torch.nn.Identity()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, h1_nd, h2_nd):
        self.seen += 1
        return module.architecture.Projections(((h1_nd - h2_nd) ** 2).sum(1).mean() * self.seen, h1_nd, h2_nd)


def test_an_augmentation_that_breaks_the_contract_is_found():
    class Tests(AugmentationTests):
        augmentation = Careless()

    with pytest.raises(AssertionError):
        Tests().test_a_key_gives_one_view_whoever_else_is_in_the_minibatch()


def test_an_architecture_that_breaks_the_contract_is_found():
    class Tests(ArchitectureTests):
        architecture = Forgetful

    with pytest.raises(AssertionError):
        Tests().test_nothing_changes_in_evaluation()

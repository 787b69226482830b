"""Does a part keep its contract? Test classes to inherit from, for parts of this package and of others.

Inherit from one, say what is tested, and let pytest collect it::

    class TestMine(sccl.testing.AugmentationTests):
        augmentation = Mine(strength=0.3, p=0.5)
"""

from sccl.testing.architecture import ArchitectureTests
from sccl.testing.augmentation import AugmentationTests
from sccl.testing.method import MethodTests
from sccl.testing.sampling import SamplingTests

__all__ = ["ArchitectureTests", "AugmentationTests", "MethodTests", "SamplingTests"]

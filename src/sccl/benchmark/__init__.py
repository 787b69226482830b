"""Which architecture, augmentation and sampling is best here?"""

from sccl.benchmark.scores import score

__all__ = ["score"]

"""Which architecture, augmentation and sampling is best here?"""

from .scores import score

__all__ = ["score"]

"""What does the user call? One workflow, and one small class per architecture under it."""

from sccl.model.clmodel import CLModel
from sccl.model.simclr import SimCLR

__all__ = ["CLModel", "SimCLR"]

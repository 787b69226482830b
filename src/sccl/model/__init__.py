"""What does the user call? One workflow, and one small class per architecture under it."""

from sccl.model.barlowtwins import BarlowTwins
from sccl.model.byol import BYOL
from sccl.model.claire import CLAIRE
from sccl.model.clear import CLEAR
from sccl.model.clmodel import CLModel
from sccl.model.concerto import Concerto
from sccl.model.dcl import DCL
from sccl.model.moco import MoCo
from sccl.model.nnclr import NNCLR
from sccl.model.published import PublishedModel
from sccl.model.recipes import CLModelFast
from sccl.model.simclr import SimCLR
from sccl.model.simsiam import SimSiam
from sccl.model.tico import TiCo
from sccl.model.vicreg import VICReg

# PublishedModel is what models of other packages start from; by itself it is none.
__all__ = [
    "BYOL",
    "CLAIRE",
    "CLEAR",
    "DCL",
    "NNCLR",
    "BarlowTwins",
    "CLModel",
    "CLModelFast",
    "Concerto",
    "MoCo",
    "SimCLR",
    "SimSiam",
    "TiCo",
    "VICReg",
]

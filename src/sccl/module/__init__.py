"""What learns? One encoder, shared by all, and one small file per architecture."""

from sccl.module.architecture import Architecture, Projections
from sccl.module.attention import AttentionEncoder
from sccl.module.barlowtwins import BarlowTwins
from sccl.module.byol import BYOL
from sccl.module.concerto import Concerto
from sccl.module.contrastive import ContrastiveModule
from sccl.module.dcl import DCL
from sccl.module.encoder import Encoder
from sccl.module.moco import MoCo
from sccl.module.momentum import MomentumArchitecture
from sccl.module.nnclr import NNCLR
from sccl.module.ntxent import nt_xent
from sccl.module.queue import Queue
from sccl.module.readout import Readout
from sccl.module.simclr import SimCLR
from sccl.module.simsiam import SimSiam
from sccl.module.tico import TiCo
from sccl.module.vicreg import VICReg

__all__ = [
    "BYOL",
    "DCL",
    "NNCLR",
    "Architecture",
    "AttentionEncoder",
    "BarlowTwins",
    "Concerto",
    "ContrastiveModule",
    "Encoder",
    "MoCo",
    "MomentumArchitecture",
    "Projections",
    "Queue",
    "Readout",
    "SimCLR",
    "SimSiam",
    "TiCo",
    "VICReg",
    "nt_xent",
]

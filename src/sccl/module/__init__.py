"""What learns? One encoder, shared by all, and one small file per architecture."""

from sccl.module.architecture import Architecture, Projections
from sccl.module.contrastive import ContrastiveModule
from sccl.module.encoder import Encoder
from sccl.module.ntxent import nt_xent
from sccl.module.simclr import SimCLR

__all__ = ["Architecture", "ContrastiveModule", "Encoder", "Projections", "SimCLR", "nt_xent"]

"""What learns? One encoder, shared by all, and one small file per architecture."""

from typing import Any

from sccl.module import architectures
from sccl.module.architecture import Architecture, Projections
from sccl.module.attention import AttentionEncoder
from sccl.module.clip import clip_loss
from sccl.module.contrastive import ContrastiveModule
from sccl.module.encoder import Encoder
from sccl.module.momentum import MomentumArchitecture
from sccl.module.multimodal import Integrate, MultimodalModule
from sccl.module.ntxent import nt_xent
from sccl.module.queue import Queue
from sccl.module.readout import Readout

__all__ = [
    "Architecture",
    "AttentionEncoder",
    "ContrastiveModule",
    "Encoder",
    "Integrate",
    "MomentumArchitecture",
    "MultimodalModule",
    "Projections",
    "Queue",
    "Readout",
    "clip_loss",
    "nt_xent",
]
__all__ += architectures.__all__


def __getattr__(name: str) -> Any:
    return getattr(architectures, name)


def __dir__() -> list[str]:
    return __all__

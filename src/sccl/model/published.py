"""What all models of published architectures have in common."""

from __future__ import annotations

from typing import ClassVar

from sccl.model.clmodel import CLModel


class PublishedModel(CLModel):
    """A published architecture, trained by default as in the benchmarks that compare them.

    That is on the preset ``"clear"`` and on minibatches of any cells, which by themselves do not correct batches: pass
    ``sampling="batch"`` for that, or see :class:`~sccl.CLModel`.
    """

    _augmentation: ClassVar[str] = "clear"
    _sampling: ClassVar[str] = "uniform"

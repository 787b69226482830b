"""What all models of published architectures have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from sccl.model.clmodel import CLModel


class PublishedModel(CLModel):
    """A published architecture, trained by default as in the benchmarks that compare them.

    That is on the preset ``"clear"`` and on minibatches of any cells, which by themselves do not correct batches (pass
    ``augmentation="cross_batch"`` or ``sampling="batch"`` for that, or see :class:`~sccl.CLModel`), with a learning rate
    of 1e-3, for 1000 steps.
    """

    _architecture_defaults: ClassVar[dict[str, Any]] = {}
    _augmentation: ClassVar[str] = "clear"
    _sampling: ClassVar[str | dict[str, Any]] = "uniform"
    _train_defaults: ClassVar[dict[str, Any]] = {"lr": 1e-3, "max_epochs": None}

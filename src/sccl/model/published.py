"""What all models of published architectures have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from sccl import module
from sccl.model.clmodel import CLModel
from sccl.model.signature import describe


class PublishedModel(CLModel):
    """A published architecture, trained by default as in the benchmarks that compare them.

    That is on the preset ``"clear"`` and on minibatches of any cells, which by themselves do not correct batches (pass
    ``augmentation="cross_batch"`` or ``sampling="batch"`` for that, or see :class:`~sccl.CLModel`), with a learning rate
    of 1e-3, for 1000 steps.

    A subclass sets ``_architecture_cls``, or bears the name of an architecture of :mod:`sccl.module`. Its hyper-parameters,
    and its docstring if it has none, are the architecture's.
    """

    _architecture_defaults: ClassVar[dict[str, Any]] = {}
    _augmentation: ClassVar[str] = "clear"
    _sampling: ClassVar[str | dict[str, Any]] = "uniform"
    _train_defaults: ClassVar[dict[str, Any]] = {"lr": 1e-3, "max_epochs": None}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if cls.__base__ is PublishedModel:
            if "_architecture_cls" not in vars(cls):
                cls._architecture_cls = getattr(module, cls.__name__)
            cls._train_defaults = {**cls._architecture_cls.train_defaults, **vars(cls).get("_train_defaults", {})}
        super().__init_subclass__(**kwargs)
        if cls.__doc__ is None:
            cls.__doc__ = describe(cls)

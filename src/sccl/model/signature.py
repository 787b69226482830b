"""What can be passed to a model, as help and editors show it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sccl.model.clmodel import CLModel


def show_signature(cls: type[CLModel]) -> None:
    """Let ``inspect.signature`` of a model name the hyper-parameters that its ``**architecture_kwargs`` stand for."""
    own = inspect.signature(cls.__init__).parameters.values()
    passed_on = [
        parameter.replace(default=cls._architecture_defaults.get(parameter.name, parameter.default))
        for parameter in list(inspect.signature(cls._architecture_cls).parameters.values())[1:]
    ]
    named = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
    signature: Any = inspect.Signature([*named[1:], *(passed_on if len(named) < len(own) else [])])
    cls.__signature__ = signature

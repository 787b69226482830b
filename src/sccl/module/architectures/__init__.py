"""The architectures: one a file, and each the class that its file is named after. To be here is to be found."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from sccl.module.architecture import Architecture


def _find() -> dict[str, type[Architecture]]:
    found = {}
    for file in sorted(part.name for part in iter_modules(__path__)):
        for name, value in vars(import_module(f"{__name__}.{file}")).items():
            if name.lower() == file and isinstance(value, type) and issubclass(value, Architecture):
                found[name] = value
    return found


_FOUND = _find()
__all__ = list(_FOUND)


def __getattr__(name: str) -> Any:
    try:
        return _FOUND[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no architecture {name!r}") from None


def __dir__() -> list[str]:
    return __all__

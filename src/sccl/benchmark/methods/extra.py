"""Methods of other packages, which not everyone installs."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def load_extra(module: str, *, package: str | None = None) -> ModuleType:
    """Import a module, or say what to install.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ModuleNotFoundError(f"This method needs {package or module}: pip install 'sccl[methods]'.") from error

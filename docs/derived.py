"""The lists of models and architectures in the documentation, from the classes themselves; ``conf.py`` has them written."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from pathlib import Path

from sccl import model, module

FOLDER = Path(__file__).parent


def write() -> None:
    """Write ``_model.rst``, ``_module.rst`` and ``_architectures.txt``, which pages include."""
    (FOLDER / "_model.rst").write_text(_autosummary("sccl", model.__all__))
    (FOLDER / "_module.rst").write_text(_autosummary("sccl.module", module.__all__))
    (FOLDER / "_architectures.txt").write_text(_table(module.architectures.__all__))


def _autosummary(of: str, names: Iterable[str]) -> str:
    # the recommended recipe comes first
    names = sorted(names, key=lambda name: (name != "CLModel", name.lower()))
    lines = "\n".join(f"   {name}" for name in names)
    return f".. currentmodule:: {of}\n\n.. autosummary::\n   :toctree: generated\n   :nosignatures:\n\n{lines}\n"


def _table(names: Iterable[str]) -> str:
    lines = ["| architecture | what it learns from | paper |", "| --- | --- | --- |"]
    for name in names:
        text = inspect.getdoc(getattr(module, name)) or ""
        paper = " ".join(text.partition("References\n----------\n")[2].split()) or "–"
        lines.append(f"| [{name}](#sccl.{name}) | {text.splitlines()[0]} | {re.sub(r'[|]', '', paper)} |")
    return "\n".join(lines) + "\n"

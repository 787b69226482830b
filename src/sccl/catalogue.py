"""Which models are there, and what can be set? Read from their source, for to import them takes ten seconds."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent
#: Files of ``model`` that declare models, those first from which others inherit.
_FILES = ("clmodel", "architectures", "recipes")


@cache
def models() -> dict[str, dict[str, Any]]:
    """Return the name of each model and the hyper-parameters of its architecture, with their defaults."""
    architecture_of: dict[str, str] = {}
    found: dict[str, dict[str, Any]] = {}
    for file in _FILES:
        for node in _classes(_PACKAGE / "model" / f"{file}.py"):
            base = ast.unparse(node.bases[0])
            own = {ast.unparse(item.target): item.value for item in node.body if isinstance(item, ast.AnnAssign)}
            named = own.get("_architecture_cls")
            architecture = named.attr if isinstance(named, ast.Attribute) else architecture_of.get(base, node.name)
            changed = own.get("_architecture_defaults")
            defaults = found.get(base) or _hyper_parameters(architecture)
            if changed is not None:  # they replace those of the base
                defaults = _hyper_parameters(architecture) | ast.literal_eval(changed)
            architecture_of[node.name], found[node.name] = architecture, defaults
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _hyper_parameters(architecture: str) -> dict[str, Any]:
    """Return what ``__init__`` of an architecture takes by keyword alone."""
    path = _PACKAGE / "module" / "architectures" / f"{architecture.lower()}.py"
    (cls,) = (node for node in _classes(path) if node.name == architecture)
    (init,) = (node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    defaults = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    return {argument.arg: ast.literal_eval(value) for argument, value in defaults if value is not None}


def _classes(path: Path) -> list[ast.ClassDef]:
    return [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]

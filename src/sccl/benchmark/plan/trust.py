"""What a folder of options may have called: nothing but the package's own functions, unless the user trusts others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

#: Parts of a run's configuration that name functions and classes, and where the package's own are listed.
_GROUPS = ("data", "method")
_TARGET = re.compile(r"^_target_:\s*(\S+)\s*$", re.MULTILINE)
# "package.module:Class", as parts of other packages are named
_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def untrusted(config: Mapping[str, Any], trusted: Sequence[str]) -> list[str]:
    """Return what a run would import that is neither the package's own nor of a package that is trusted.

    Parameters
    ----------
    config
        The parts ``data`` and ``method`` of a run, of plain values.
    trusted
        Names of packages or modules.
    """
    found = []
    for group in _GROUPS:
        own = own_targets(group)
        found += [name for name in _named(config[group], own) if not _is_of(name, trusted)]
    return found


@cache
def own_targets(group: str) -> frozenset[str]:
    """Return the functions that the package's own options of a group name."""
    folder = files("sccl.benchmark") / "conf" / group
    texts = [path.read_text() for path in folder.iterdir() if path.name.endswith(".yaml")]
    return frozenset(name for text in texts for name in _TARGET.findall(text))


def _named(value: Any, own: frozenset[str]) -> Iterator[str]:
    """Give each function and class that a configuration names, but for the package's own."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "_target_":
                if item not in own:
                    yield str(item)
            else:
                yield from _named(key, own)
                yield from _named(item, own)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _named(item, own)
    elif isinstance(value, str) and _CLASS.fullmatch(value):
        yield value


def _is_of(name: str, trusted: Sequence[str]) -> bool:
    return any(name == package or name.startswith((f"{package}.", f"{package}:")) for package in trusted)

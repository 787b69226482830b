"""Parts by their names: those of the package, and those of others."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from sccl.inputs.names import unknown


def find_part(name: str, known: Mapping[str, type], kind: type, *, what: str) -> Any:
    """Return the class of a part.

    Parameters
    ----------
    name
        A name of the package's own; that of an entry point of another package, in the group ``sccl.{what}``; or where a
        class is, ``"package.module:Class"``.
    known
        The package's own parts by their names.
    kind
        What the class must be a subclass of.
    what
        What such a part is called, in messages and in the group's name.

    Raises
    ------
    KeyError
        If there is no such part: the nearest, and all others.
    TypeError
        If what is found is no such part.
    """
    if name in known:
        return known[name]
    others = {point.name: point for point in entry_points(group=f"sccl.{what}")}
    if name in others:
        found = others[name].load()
    elif ":" in name:
        module, _, attribute = name.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise KeyError(f"`{what}`: {name!r} cannot be imported: {error}.") from error
    else:
        raise KeyError(
            f"{unknown(what, name, [*known, *others])} A class of another package is named 'package.module:Class'."
        )
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise TypeError(f"`{what}`: {name!r} is {found!r}, which is no {kind.__name__}.")
    return found

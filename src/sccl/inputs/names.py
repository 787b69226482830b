"""How an unknown name is refused."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """Return a message that has the nearest known name and all others."""
    known = list(known)
    nearest = get_close_matches(str(name), known, n=1, cutoff=0.0)[0]
    return f"Unknown {what} {name!r}; did you mean {nearest!r}? Known: {', '.join(known)}."


def absent(argument: str, key: object, where: str, known: Iterable[object]) -> str:
    """Return a message that a key is not where it was looked for, with the nearest, if one is near, and all others."""
    known = list(known)
    nearest = get_close_matches(str(key), list(map(str, known)), n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    return f"`{argument}`: {key!r} is not in {where}, which holds {known}{hint}"

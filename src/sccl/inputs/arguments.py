"""The arguments that are a number, a name or a switch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any


def as_count(value: Any, name: str, *, least: int = 1) -> int:
    """Return a whole number.

    Parameters
    ----------
    value
        What was passed.
    name
        The argument's name, for the message.
    least
        The smallest that is allowed.

    Raises
    ------
    ValueError
        If it is no whole number, or a smaller one. A switch (True, False) is no number.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"`{name}` must be a whole number of at least {least}, found {value!r}.")
    return int(value)


def check_counts(**counts: Any) -> None:
    """Raise a ValueError unless all are whole numbers of at least 1."""
    for name, value in counts.items():
        as_count(value, name)


def as_real(value: Any, name: str, interval: str) -> float:
    """Return a finite number.

    Parameters
    ----------
    value, name
        See :func:`as_count`.
    interval
        Where it may lie, as mathematics writes it: ``"[0, 1)"``, ``"(0, ∞)"``.

    Raises
    ------
    ValueError
        If it is no number, not finite, or lies elsewhere.
    """
    if not lies_in(value, interval):
        raise ValueError(f"`{name}` must be a number in {interval}, found {value!r}.")
    return float(value)


def lies_in(value: Any, interval: str) -> bool:
    """Return whether a value is a finite number in an interval, see :func:`as_real`."""
    low, high = (float(bound.replace("∞", "inf")) for bound in interval[1:-1].split(","))
    is_number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    return (
        is_number
        and (low <= value if interval[0] == "[" else low < value)
        and (value <= high if interval[-1] == "]" else value < high)
    )


def check_choice(value: Any, name: str, choices: Sequence[str]) -> None:
    """Raise a ValueError that names the choices unless the value is one of them."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}, found {value!r}.")


def check_switch(value: Any, name: str) -> None:
    """Raise a ValueError unless the value is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False, found {value!r}.")

"""What hyper-parameters may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any


def check_widths(**widths: int) -> None:
    """Refuse a number of dimensions, keys or heads that is no whole number of at least 1.

    Raises
    ------
    ValueError
        Naming the argument, its range and what was found; so do all functions here.
    """
    _check(widths, "a whole number of at least 1", lambda value: isinstance(value, Integral) and int(value) >= 1)


def check_positive(**values: float) -> None:
    """Refuse what does not lie in ``(0, ∞)``."""
    _check(values, "positive", lambda value: value > 0)


def check_weights(**values: float) -> None:
    """Refuse what does not lie in ``[0, ∞)``."""
    _check(values, "at least 0", lambda value: value >= 0)


def check_momentum(**values: float) -> None:
    """Refuse what does not lie in ``[0, 1]``."""
    _check(values, "in [0, 1]", lambda value: 0 <= value <= 1)


def check_dropout(**values: float) -> None:
    """Refuse what does not lie in ``[0, 1)``."""
    _check(values, "in [0, 1)", lambda value: 0 <= value < 1)


def _check(values: Mapping[str, Any], allowed: str, is_allowed: Callable[[Any], bool]) -> None:
    for name, value in values.items():
        if not (isinstance(value, Real) and math.isfinite(value) and is_allowed(value)):
            raise ValueError(f"`{name}` must be {allowed}, found {value!r}.")

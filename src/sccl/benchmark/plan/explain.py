"""What an option that cannot be used is told, and the nearest one that can."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig


class OptionError(Exception):
    """An option cannot be used; the message says which, and names the nearest one that can."""


def parse(options: Sequence[str]) -> list[Override]:
    """Read options as hydra does."""
    return OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(list(options))


def check_additions(options: list[Override]) -> None:
    """Refuse +experimnt=quick, which hydra would take for a new value."""
    groups = _groups()
    for option in options:
        name = option.key_or_group
        if option.is_add() and "." not in name and "/" not in name and name not in groups:
            raise OptionError(_unknown("group", name, groups))


def explain(options: list[str], config_name: str) -> None:
    """Raise an error that names the option at fault and the nearest valid one, if it can be told."""
    groups = _groups()
    parsed = [option for option in parse(options) if not option.key_or_group.startswith("hydra")]
    chosen = [option for option in parsed if option.key_or_group in groups]
    for option in chosen:
        group = option.key_or_group
        value = option.value()
        for name in value if isinstance(value, list) else [value]:
            if name is not None and str(name) not in groups[group]:
                raise OptionError(_unknown(f"{group}", str(name), groups[group]))
    with_groups = [option for option in options if option.startswith("hydra.")]
    config = compose(config_name, overrides=[*with_groups, *(str(option.input_line) for option in chosen)])
    names = _names(config)
    for option in parsed:
        if option not in chosen and not option.is_add() and option.key_or_group not in names:
            raise OptionError(_unknown("option", option.key_or_group, [*names, *groups]))


def _groups() -> dict[str, list[str]]:
    loader = GlobalHydra.instance().config_loader()
    groups = [group for group in loader.list_groups("") if group != "hydra"]
    options = {group: loader.get_group_options(group) for group in groups}
    return {group: names for group, names in options.items() if names}


def _names(config: DictConfig, prefix: str = "") -> list[str]:
    names = []
    for key in config:
        name = f"{prefix}{key!s}"
        names.append(name)
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_missing() and not node._is_interpolation():
            names += _names(node, f"{name}.")
    return names


def _unknown(what: str, name: str, known: Sequence[str] | dict[str, Any]) -> str:
    nearest = get_close_matches(name, list(known), n=1, cutoff=0.0)
    shown = f" Known: {', '.join(sorted(known))}." if len(known) < 30 else ""
    return f"There is no {what} {name!r}; did you mean {nearest[0]!r}?{shown}"

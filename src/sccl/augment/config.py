"""Augmentations from and to plain mappings, as they stand in YAML files and saved models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from difflib import get_close_matches
from typing import Any

from sccl.augment.base import Augmentation
from sccl.augment.compose import Compose
from sccl.augment.crossover import CrossOver
from sccl.augment.mask import Mask
from sccl.augment.noise import GaussianNoise
from sccl.augment.presets import preset
from sccl.augment.swap import InnerSwap

BY_NAME: dict[str, type[Augmentation]] = {
    "mask": Mask,
    "gaussian_noise": GaussianNoise,
    "inner_swap": InnerSwap,
    "crossover": CrossOver,
}


def from_config(mapping: Mapping[str, Mapping[str, Any]]) -> Compose:
    """Build a composition from a mapping of names to parameters, applied in the mapping's order.

    Parameters
    ----------
    mapping
        For example ``{"mask": {"fraction": 0.4, "p": 0.5}, "gaussian_noise": {}}``.

    Raises
    ------
    KeyError
        If a name or a parameter is unknown; the message has the nearest valid one.

    Examples
    --------
    >>> from_config({"mask": {"fraction": 0.4}})
    Compose(augmentations=(Mask(fraction=0.4, p=0.5),))
    """
    augmentations = []
    for name, parameters in mapping.items():
        if name not in BY_NAME:
            raise KeyError(_unknown("augmentation", name, BY_NAME))
        cls = BY_NAME[name]
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        for parameter in parameters:
            if parameter not in known:
                raise KeyError(_unknown(f"parameter of {name!r}", parameter, known))
        augmentations.append(cls(**parameters))
    return Compose(augmentations)


def to_config(augmentation: Compose) -> dict[str, dict[str, Any]]:
    """Return the mapping that :func:`from_config` turns into ``augmentation``.

    Raises
    ------
    ValueError
        If it holds a plain function or the same augmentation twice: those have no mapping.
    """
    names = {cls: name for name, cls in BY_NAME.items()}
    config: dict[str, dict[str, Any]] = {}
    for item in augmentation.augmentations:
        name = names.get(type(item))
        if name is None or name in config:
            raise ValueError(f"`augmentation` cannot be written as a mapping: it holds {item!r} " + ("twice." if name else "."))
        config[name] = asdict(item)  # type: ignore[call-overload]
    return config


def as_compose(augmentation: Any) -> Compose:
    """Turn what a user may pass as ``augmentation`` into a composition.

    Parameters
    ----------
    augmentation
        A preset's name, a mapping for :func:`from_config`, an augmentation, a composition, or a torch function.
    """
    if isinstance(augmentation, str):
        return preset(augmentation)
    if isinstance(augmentation, Mapping):
        return from_config(augmentation)
    return Compose([augmentation])


def _unknown(what: str, name: str, known: Any) -> str:
    nearest = get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"Unknown {what} {name!r}; did you mean {nearest!r}? Known: {', '.join(known)}."

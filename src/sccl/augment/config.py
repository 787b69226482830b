"""Augmentations from and to plain mappings, as they stand in YAML files and saved models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from sccl.augment.base import Augmentation
from sccl.augment.bbknn import BBKNN
from sccl.augment.compose import Compose
from sccl.augment.crossover import CrossOver
from sccl.augment.mask import Mask
from sccl.augment.mnn import MNN
from sccl.augment.multiplicative import MultiplicativeNoise
from sccl.augment.noise import GaussianNoise
from sccl.augment.positive import CrossBatchPositive
from sccl.augment.presets import preset
from sccl.augment.reference import Semantics, is_reference, read_reference
from sccl.augment.swap import InnerSwap
from sccl.inputs.names import unknown
from sccl.inputs.plugins import find_part

BY_NAME: dict[str, type[Augmentation]] = {
    "mask": Mask,
    "gaussian_noise": GaussianNoise,
    "multiplicative_noise": MultiplicativeNoise,
    "inner_swap": InnerSwap,
    "crossover": CrossOver,
    "bbknn": BBKNN,
    "mnn": MNN,
    "cross_batch_positive": CrossBatchPositive,
}


def from_config(mapping: Mapping[str, Any], *, semantics: Semantics = "corrected") -> Compose:
    """Build a composition from a mapping of names to parameters.

    Parameters
    ----------
    mapping
        For example ``{"mask": {"fraction": 0.4, "p": 0.5}, "gaussian_noise": {}}``, applied in this order. Augmentations of
        other packages are named as their entry point in the group ``sccl.augmentation``, or ``"package.module:Class"``. The files of
        the reference benchmark, ``{"mask": {"mask_percentage": 0.2, "apply_prob": 0.5}, …}``, are understood, too; they
        are applied in the reference's order.
    semantics
        What the reference's parameters mean. ``"corrected"``: what its paper says. ``"released"``: what its code does:
        ``mask_percentage`` is the fraction kept, mixing weights are not drawn, and neighbours are looked up under wrong
        row numbers.

    Raises
    ------
    KeyError
        If a name or a parameter is unknown; the message has the nearest valid one.
    ValueError
        If a value is out of range, or if ``semantics`` is asked of a mapping that is not the reference's.

    Examples
    --------
    >>> from_config({"mask": {"fraction": 0.4}})
    Compose(augmentations=(Mask(fraction=0.4, p=0.5),))
    """
    if is_reference(mapping):
        return Compose(read_reference(mapping, semantics=semantics))
    if semantics != "corrected":
        raise ValueError(f"`semantics={semantics!r}` is for the reference's files, whose entries have `apply_prob`.")
    augmentations = []
    for name, parameters in mapping.items():
        cls = find_part(name, BY_NAME, Augmentation, what="augmentation")
        known = [field.name for field in fields(cls)]
        for parameter in parameters or {}:
            if parameter not in known:
                raise KeyError(unknown(f"parameter of {name!r}", parameter, known))
        augmentations.append(cls(**(parameters or {})))
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
            raise ValueError(
                f"`augmentation` cannot be written as a mapping: it holds {item!r} " + ("twice." if name else ".")
            )
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

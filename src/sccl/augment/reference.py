"""The augmentation files of the reference benchmark, read unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from sccl.augment.base import Augmentation
from sccl.augment.bbknn import BBKNN
from sccl.augment.crossover import CrossOver
from sccl.augment.mask import Mask
from sccl.augment.mnn import MNN
from sccl.augment.noise import GaussianNoise
from sccl.augment.released import ReleasedBBKNN, ReleasedMNN
from sccl.augment.swap import InnerSwap
from sccl.inputs.names import unknown

Semantics = Literal["corrected", "released"]

# The order in which the reference applies them, whatever their order in the file; its parameters, and their defaults.
PARAMETERS: dict[str, dict[str, Any]] = {
    "mnn": {"alpha": 0.5, "knn": 5, "nsize": 1, "augment_set": ["int"]},
    "mask": {"mask_percentage": 0.2},
    "gauss": {"noise_percentage": 0.8, "sigma": 0.2},
    "innerswap": {"swap_percentage": 0.1},
    "crossover": {"cross_percentage": 0.25},
    "bbknn": {"alpha": 0.5, "knn": 5, "nsize": 1, "augment_set": ["exc"]},
}
MODES = {"int": "interpolate", "geo": "geometric", "exc": "exchange"}


def is_reference(mapping: Mapping[str, Any]) -> bool:
    """Whether a mapping is written in the reference's terms."""
    entries = [entry for entry in mapping.values() if isinstance(entry, Mapping)]
    return "name" in mapping or any("apply_prob" in entry for entry in entries)


def read_reference(mapping: Mapping[str, Any], *, semantics: Semantics) -> list[Augmentation]:
    """Return the augmentations that a file of the reference names, in the reference's order.

    Those whose ``apply_prob`` is 0 are left out; ``name`` sets that of one of them to 0.5.

    Raises
    ------
    KeyError
        If a name or a parameter is unknown.
    ValueError
        If ``semantics`` or a mode is unknown.
    """
    if semantics not in get_args(Semantics):
        raise ValueError(f"`semantics` must be one of {get_args(Semantics)}, found {semantics!r}.")
    entries = {name: dict(entry or {}) for name, entry in mapping.items() if name != "name"}
    named = mapping.get("name")
    for name in [*entries, *([named] if named else [])]:
        if name not in PARAMETERS:
            raise KeyError(unknown("augmentation", name, PARAMETERS))
    if named:
        entries.setdefault(named, {})["apply_prob"] = 0.5
    augmentations = []
    for name, defaults in PARAMETERS.items():
        entry = entries.get(name, {})
        for parameter in entry:
            if parameter not in (*defaults, "apply_prob"):
                raise KeyError(unknown(f"parameter of {name!r}", parameter, (*defaults, "apply_prob")))
        p = entry.pop("apply_prob", 0.0)
        if p > 0:
            augmentations.append(_build(name, {**defaults, **entry}, p, is_released=semantics == "released"))
    return augmentations


def _build(name: str, entry: dict[str, Any], p: float, *, is_released: bool) -> Augmentation:
    match name:
        case "mask":
            # In the released code the mask holds the genes that are kept.
            fraction = entry["mask_percentage"]
            return Mask(1 - fraction if is_released else fraction, p)
        case "gauss":
            return GaussianNoise(entry["sigma"], entry["noise_percentage"], p)
        case "innerswap":
            return InnerSwap(entry["swap_percentage"], p)
        case "crossover":
            return CrossOver(entry["cross_percentage"], p)
    for mode in entry["augment_set"]:
        if mode not in MODES:
            raise ValueError(f"`augment_set` of {name!r} must hold some of {list(MODES)}, found {mode!r}.")
    mixing: dict[str, Any] = {
        "alpha": entry["alpha"],
        "k": entry["knn"],
        "mode": tuple(MODES[mode] for mode in entry["augment_set"]),
        "p": p,
        "draw_alpha": not is_released,
        "n_mixed": entry["nsize"],
    }
    if name == "mnn":
        return (ReleasedMNN if is_released else MNN)(**mixing)
    return (ReleasedBBKNN if is_released else BBKNN)(**mixing)

"""Named compositions."""

from __future__ import annotations

from sccl.augment.compose import Compose
from sccl.augment.crossover import CrossOver
from sccl.augment.mask import Mask
from sccl.augment.noise import GaussianNoise
from sccl.augment.swap import InnerSwap

PRESETS: dict[str, Compose] = {
    "clear": Compose([Mask(0.2), GaussianNoise(0.2, 0.8), InnerSwap(0.1), CrossOver(0.25)]),
}


def preset(name: str) -> Compose:
    """Return a named composition.

    Parameters
    ----------
    name
        ``"clear"``: mask 20 % → gaussian noise on 80 % (σ 0.2) → swap 10 % → cross over 25 %, each with chance 0.5
        per view, as in CLEAR (Han et al., Briefings in Bioinformatics 2022).

    Raises
    ------
    KeyError
        If there is no such preset.
    """
    if name not in PRESETS:
        raise KeyError(f"Unknown augmentation preset {name!r}; known: {', '.join(PRESETS)}.")
    return PRESETS[name]

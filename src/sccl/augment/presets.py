"""Named compositions."""

from __future__ import annotations

from sccl.augment.bbknn import BBKNN
from sccl.augment.compose import Compose
from sccl.augment.crossover import CrossOver
from sccl.augment.mask import Mask
from sccl.augment.mnn import MNN
from sccl.augment.noise import GaussianNoise
from sccl.augment.positive import CrossBatchPositive
from sccl.augment.swap import InnerSwap
from sccl.inputs.names import unknown

PRESETS: dict[str, Compose] = {
    "mask": Compose([Mask(0.4)]),
    "cross_batch": Compose([CrossBatchPositive(), Mask(0.4)]),
    "clear": Compose([Mask(0.2), GaussianNoise(0.2, 0.8), InnerSwap(0.1), CrossOver(0.25)]),
    "base": Compose(
        [
            Mask(0.2),
            GaussianNoise(0.2, 0.8),
            InnerSwap(0.1),
            CrossOver(0.25),
            BBKNN(0.5, k=10, mode=("exchange", "interpolate")),
        ]
    ),
    "combi": Compose([Mask(0.5), GaussianNoise(0.2, 0.3), InnerSwap(0.3), CrossOver(0.25), BBKNN(0.3, k=5)]),
    "ours": Compose([MNN(0.5, k=3), Mask(0.5), GaussianNoise(0.2, 0.3), InnerSwap(0.3)]),
    "claire": Compose([MNN(0.5, k=10, p=1.0, refresh_every=5)]),
}


def preset(name: str) -> Compose:
    """Return a named composition. Those of the reference benchmark are corrected; masks and their steps have chance 0.5.

    Parameters
    ----------
    name
        ``"mask"``: mask 40 %.
        ``"cross_batch"``: the second view of every other cell starts from a mutual nearest neighbour in another batch, where
        there is one → mask 40 %.
        ``"clear"``: mask 20 % → gaussian noise on 80 % (σ 0.2) → swap 10 % → cross over 25 %, as in CLEAR (Han et al.,
        Briefings in Bioinformatics 2022).
        ``"base"``: the same → BBKNN (α 0.5, k 10, exchange or interpolate).
        ``"combi"``: mask 50 % → noise on 30 % → swap 30 % → cross over 25 % → BBKNN (α 0.3, k 5, exchange).
        ``"ours"``: MNN (α 0.5, k 3, interpolate) → mask 50 % → noise on 30 % → swap 30 %.
        ``"claire"``: MNN (α 0.5, k 10, interpolate) on every view, its pairs refined after every 5 epochs, as in
        CLAIRE (Yan et al., Bioinformatics 2023).

    Raises
    ------
    KeyError
        If there is no such preset.
    """
    if name not in PRESETS:
        raise KeyError(unknown("augmentation preset", name, PRESETS))
    return PRESETS[name]

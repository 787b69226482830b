"""What does a training step of each architecture cost, next to SimCLR's?

All ratios come from one run on one core, with rounds interleaved, as medians::

    python tests/performance/architectures.py [--rounds 15]

A step is a forward pass on two given views of 256 cells × 4000 genes, the backward pass, fused AdamW and the update of
the target. A tenth of the values is not zero.
"""

from __future__ import annotations

import argparse
import json
from statistics import median
from time import perf_counter

import torch

from sccl.module import Architecture, ContrastiveModule, Encoder, architectures
from sccl.train import ContrastiveTrainingPlan

ARCHITECTURES = [getattr(architectures, name) for name in architectures.__all__]
N_CELLS, N_GENES, N_LATENT = 256, 4000, 64


class Step:
    """One training step of an architecture, as often as it is called."""

    def __init__(self, architecture_cls: type[Architecture], views_vng: torch.Tensor, n_steps: int) -> None:
        torch.manual_seed(0)
        self.module = ContrastiveModule(Encoder(N_GENES, n_latent=N_LATENT), architecture_cls(N_LATENT))
        self.optimizer = ContrastiveTrainingPlan(self.module, n_steps=n_steps).configure_optimizers()["optimizer"]
        self.views_vng, self.n_steps, self.step = views_vng, n_steps, 0

    def __call__(self) -> float:
        """Return the seconds it took."""
        start = perf_counter()
        self.optimizer.zero_grad()
        self.module(self.views_vng).projections.loss.backward()
        self.optimizer.step()
        self.module.update_target(step=self.step, n_steps=self.n_steps)
        self.step += 1
        return perf_counter() - start


def measure_architectures(rounds: int = 15) -> dict[str, dict[str, float]]:
    """Return for each architecture the median milliseconds of a step, and the ratio to SimCLR's of the same round."""
    views_vng = torch.rand(2, N_CELLS, N_GENES)
    views_vng = torch.where(torch.rand_like(views_vng) < 0.1, 4 * views_vng, 0)
    # Queues fill in the rounds that are not timed.
    n_warmup = 10
    steps = {cls.__name__: Step(cls, views_vng, n_warmup + rounds) for cls in ARCHITECTURES}
    times = [{name: step() for name, step in steps.items()} for _ in range(n_warmup + rounds)][n_warmup:]
    return {
        name: {
            "ms": 1000 * median(time[name] for time in times),
            "ratio": median(time[name] / time["SimCLR"] for time in times),
        }
        for name in steps
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="steps that are timed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = measure_architectures(arguments.rounds)
    print(json.dumps({name: {key: round(value, 3) for key, value in row.items()} for name, row in result.items()}))
    for name, row in result.items():
        print(f"{name:>12} {row['ms']:8.1f} ms {row['ratio']:6.2f} ×")


if __name__ == "__main__":
    main()

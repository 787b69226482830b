"""One training of several processes, each of which runs the same script."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from scvi.model._utils import parse_device_args

from sccl.module.joint import join


class Place(NamedTuple):
    """Which process of how many this is."""

    rank: int
    n_ranks: int

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes files and warns."""
        return self.rank == 0


def place_of(
    accelerator: str, devices: int | list[int] | str, *, strategy: Any = "auto", num_nodes: int = 1, **trainer: Any
) -> Place:
    """Say which process this will be of those that a trainer of Lightning has.

    Parameters
    ----------
    accelerator, devices, strategy, num_nodes, **trainer
        Arguments of the trainer.

    Raises
    ------
    ValueError
        If several processes are asked for in a way that is not supported.
    """
    if strategy == "auto" and devices in ("auto", 1) and num_nodes == 1:
        return Place(0, 1)
    accelerator, devices = parse_device_args(accelerator, devices, return_device="torch")[:2]
    # Lightning alone knows, from its arguments and from what torchrun and Slurm say in the environment.
    asked = pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        strategy=deepcopy(strategy),
        num_nodes=num_nodes,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    place = Place(asked.global_rank, asked.world_size)
    if place.n_ranks == 1:
        return place
    if not isinstance(asked.strategy, DDPStrategy) or asked.strategy._start_method != "popen":
        raise ValueError(
            f'`strategy`: several processes train by "ddp", each of them started with the whole script, found {strategy!r}. In a '
            "notebook train with one."
        )
    if trainer.get("early_stopping"):
        raise ValueError("`early_stopping` is not supported with several processes: say `max_steps` or `max_epochs`.")
    return place


class OneTraining(Callback):
    """Let all processes learn from joint minibatches, for as many steps as the first one says."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Agree on the length; the seed was agreed upon by the data."""
        n_steps, n_epochs = trainer.strategy.broadcast((pl_module.n_steps, trainer.max_epochs))
        pl_module.n_steps = trainer.datamodule.n_steps = n_steps  # type: ignore[attr-defined]
        trainer.fit_loop.max_epochs = n_epochs
        join(pl_module.module, trainer.world_size > 1)  # type: ignore[arg-type]

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let each go its way."""
        join(pl_module.module, False)  # type: ignore[arg-type]

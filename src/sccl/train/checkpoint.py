"""A training that was killed goes on where it stood, as if nothing had happened."""

from __future__ import annotations

import random
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback

from sccl.storage import decode, encode, forget_leftovers, read_tensors, write_tensors
from sccl.train.runner import logged_by

#: The file, in its folder.
CHECKPOINT = "training.safetensors"
_STATE = "sccl"


class SafeCheckpointIO(TorchCheckpointIO):
    """Checkpoints of Lightning in files that hold no code, whole or not at all."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint beside its place, and rename it."""
        arrays: dict[str, np.ndarray] = {}
        content = encode(checkpoint, arrays, name="checkpoint")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_tensors(Path(path), arrays, content, kind="checkpoint")

    def load_checkpoint(self, path: str | PathLike[str], *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Raises
        ------
        ValueError
            If it is damaged, or none.
        """
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :class:`SafeCheckpointIO` wrote.

    Raises
    ------
    ValueError
        If it is damaged, or none.
    """
    arrays, content, _ = read_tensors(path, kind="checkpoint")
    return decode(content, arrays, as_tensor=torch.from_numpy)


class KeepCheckpoint(Callback):
    """Save the state of the training before each epoch and at its end, and start from a saved one.

    Lightning's checkpoint holds weights, optimiser, schedule and progress. Beside them are kept the states of the random
    generators, what was logged, whether the training is to stop, and what it was asked for.

    Parameters
    ----------
    folder
        Where the file is kept.
    asked
        What the training was asked for, of plain values.
    """

    def __init__(self, folder: Path, asked: Mapping[str, Any]) -> None:
        self.path = folder / CHECKPOINT
        self._asked = dict(asked)
        self._restored: dict[str, Any] | None = None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what Lightning does not keep."""
        logged = logged_by(trainer)
        checkpoint[_STATE] = {
            "asked": self._asked,
            "random": _random_state(),
            "history": {name: frame.astype(float) for name, frame in logged.items()},
            "should_stop": trainer.should_stop,
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take up what Lightning does not keep; the random generators once the first epoch starts."""
        self._restored = state = checkpoint[_STATE]
        trainer.should_stop = state["should_stop"]
        if state["history"] and trainer.is_global_zero:
            trainer.logger.experiment.data.update(state["history"])  # type: ignore[union-attr]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save what the epoch starts from, or start it from what was saved."""
        if self._restored is not None:
            self.restore_random_state()
            return
        progress = trainer.fit_loop.epoch_progress
        # Between two epochs all counts agree, which is where a training goes on from without further ado.
        progress.current.ready -= 1
        progress.total.ready -= 1
        try:
            self._save(trainer)
        finally:
            progress.current.ready += 1
            progress.total.ready += 1

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save what came out."""
        self._save(trainer)

    def restore_random_state(self) -> None:
        """Bring the random generators into the state that was saved, unless that was done."""
        if self._restored is not None:
            _set_random_state(self._restored["random"])
            self._restored = None

    def _save(self, trainer: pl.Trainer) -> None:
        if trainer.is_global_zero:
            forget_leftovers(self.path.parent)
        trainer.save_checkpoint(self.path)


def asked_for(checkpoint: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return what the training was asked for that a checkpoint is of.

    Raises
    ------
    ValueError
        If it was not saved by ``train``.
    """
    try:
        return checkpoint[_STATE]["asked"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} was not saved by `train(checkpoint_dir=...)`.") from error


def _random_state() -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=True),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_state(state: Mapping[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])

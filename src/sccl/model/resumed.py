"""The folder in which a training keeps its state, and whether what is there is that of this training."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sccl.inputs import check_switch
from sccl.storage import Taken, hold
from sccl.train.checkpoint import CHECKPOINT, asked_for, read_checkpoint

if TYPE_CHECKING:
    from sccl.model.registration import RegisteredModel
    from sccl.model.training import Training


@contextmanager
def checkpoints_in(checkpoint_dir: str | Path | None, *, resume: bool, is_first: bool = True) -> Iterator[Path | None]:
    """Give the folder of checkpoints to this training alone; of several processes the first one holds it.

    Raises
    ------
    ValueError
        If there is a checkpoint already and ``resume`` is False, or ``resume`` is True without a folder.
    RuntimeError
        If another process trains with this folder.
    """
    check_switch(resume, "resume")
    if checkpoint_dir is None:
        if resume:
            raise ValueError("`resume` needs `checkpoint_dir`, the folder in which the training was kept.")
        yield None
        return
    folder = Path(checkpoint_dir)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`checkpoint_dir`: {str(folder)!r} is a file; name a directory.")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with hold(folder, wait=False) if is_first else nullcontext():
            if (folder / CHECKPOINT).exists() and not resume:
                raise ValueError(
                    f"`checkpoint_dir`: {str(folder)!r} holds a training. Pass `resume=True` to go on with it, or name another "
                    "folder."
                )
            yield folder
    except Taken as error:
        raise RuntimeError(f"`checkpoint_dir`: another process trains with {str(folder)!r}: wait for it.") from error


def describe_training(
    model: RegisteredModel,
    asked: Training,
    *,
    cells: list[Any],
    seed: int,
    n_steps: int,
    augmentation: object,
    sampling: object,
    use_rep: str | None,
) -> dict[str, Any]:
    """Return all that a training depends on, as plain values."""
    return {
        "model": type(model).__name__,
        "init_params": model.init_params_,
        "cells": cells,
        "epochs before": len((model.history_ or {}).get("train_loss", ())) if model.is_trained else 0,
        "seed": seed,
        "n_steps": n_steps,
        "batch_size": asked.batch_size,
        **asked.optimisation,
        "train_size": asked.train_size,
        "validation_size": asked.validation_size,
        "augmentation": _named(augmentation),
        "sampling": _named(sampling),
        "use_rep": use_rep,
        **{
            name: value
            for name, value in asked.trainer.items()
            if isinstance(value, bool | int | float | str) and name != "enable_progress_bar"
        },
    }


def find_checkpoint(folder: Path | None) -> tuple[Path | None, dict[str, Any]]:
    """Return the checkpoint to go on from, and what its training was asked for, the seed included; None: there is none.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    path = None if folder is None else folder / CHECKPOINT
    if path is None or not path.exists():
        return None, {}
    return path, asked_for(read_checkpoint(path), path)


def check_same_training(path: Path, before: Mapping[str, Any], described: Mapping[str, Any]) -> None:
    """Raise a ValueError, that says what differs, if a checkpoint is of a training that was asked for something else."""
    for name in described:
        if before.get(name) != described[name]:
            raise ValueError(
                f"`checkpoint_dir`: {path} is of another training, with {name}={before.get(name)!r}, where this one has "
                f"{described[name]!r}. Train as before, or name another folder."
            )


def _named(part: object) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", repr(part))  # functions are told by their names

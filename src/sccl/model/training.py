"""What ``train`` is asked for: checked, and completed by what the recipe says."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from scvi.train import Trainer

from sccl.inputs import as_count, as_real, check_choice, check_switch
from sccl.storage import check_working_directory
from sccl.train.plan import check_optimisation
from sccl.train.quiet import shows_progress

if TYPE_CHECKING:
    from anndata import AnnData

# What users of other models and of other packages try, and what to do instead.
_INSTEAD = {
    "use_gpu": 'pass `accelerator="gpu"` (or "cpu"); by default a GPU is used where there is one.',
    "plan_kwargs": "pass `lr`, `weight_decay`, `schedule` and `warmup` themselves.",
    "datasplitter_kwargs": "pass `batch_size`, `train_size` and `validation_size` themselves.",
    "trainer_config": "pass its entries themselves.",
    "plan_config": "pass `lr`, `weight_decay`, `schedule` and `warmup` themselves.",
    "n_epochs": "pass `max_epochs`.",
    "num_epochs": "pass `max_epochs`.",
    "epochs": "pass `max_epochs`.",
    "n_steps": "pass `max_steps`.",
    "learning_rate": "pass `lr`.",
    "ckpt_path": "pass `checkpoint_dir` and `resume=True`.",
    "wd": "pass `weight_decay`.",
    "patience": "pass `early_stopping_patience`.",
    "verbose": "pass `enable_progress_bar=False`, or set `scvi.settings.verbosity`.",
    "sync_batchnorm": "with several processes it always is.",
    "seed": "set `scvi.settings.seed` before the model is made.",
    "batch_key": "`setup_anndata` takes it.",
    "labels_key": "training never sees labels.",
    "shuffle_set_split": "cells are split at random; the seed is `scvi.settings.seed`.",
    "num_workers": "a thread makes the next minibatch while the model learns.",
    "load_sparse_tensor": "rows stay sparse until the views are made.",
}
_MONITORS = ("validation_loss", "train_loss", "alignment", "uniformity", "effective_rank")
# Set here, or arguments of `train` by themselves.
_OURS = {
    "self",
    "kwargs",
    "max_epochs",
    "max_steps",
    "accelerator",
    "devices",
    "early_stopping",
    "use_distributed_sampler",
}


@dataclass(frozen=True)
class Training:
    """What a training was asked for.

    Attributes
    ----------
    max_epochs, max_steps
        After which of the two it ends; at least one is not None.
    batch_size
        Size that minibatches do not exceed.
    optimisation
        Arguments of :class:`sccl.train.ContrastiveTrainingPlan`.
    train_size, validation_size
        Fractions of the cells.
    validates
        Whether something asked for validation.
    trainer
        Arguments of :class:`scvi.train.Trainer`.
    """

    max_epochs: int | None
    max_steps: int | None
    batch_size: int
    optimisation: dict[str, Any]
    train_size: float
    validation_size: float | None
    validates: bool
    trainer: dict[str, Any]

    def n_steps(self, steps_per_epoch: int) -> int:
        """Return the number of minibatches to train on, where an epoch has so many."""
        lengths = [self.max_steps, None if self.max_epochs is None else self.max_epochs * steps_per_epoch]
        return min(length for length in lengths if length is not None)


def check_training(
    defaults: Mapping[str, Any],
    *,
    max_epochs: int | None,
    max_steps: int | None,
    batch_size: int | None,
    lr: float | None,
    weight_decay: float,
    schedule: str,
    warmup: float,
    train_size: float | None,
    validation_size: float | None,
    early_stopping: bool,
    trainer: dict[str, Any],
) -> Training:
    """Check the arguments of ``train`` and fill in the recipe's defaults.

    Raises
    ------
    ValueError
        If one is of another kind or out of range: its name, what it may be and what was found.
    TypeError
        If one is unknown: what it is called here, or the nearest.
    FileNotFoundError
        If the working directory was deleted.
    """
    _check_names(trainer)
    check_working_directory()
    if max_epochs is None and max_steps is None:
        max_epochs, max_steps = defaults["max_epochs"], defaults["max_steps"]
    batch_size = defaults["batch_size"] if batch_size is None else batch_size
    optimisation: dict[str, Any] = {
        "lr": defaults["lr"] if lr is None else lr,
        "weight_decay": weight_decay,
        "schedule": schedule,
        "warmup": warmup,
    }
    check_optimisation(**optimisation)
    check_switch(early_stopping, "early_stopping")
    trainer = _check_trainer(trainer)
    validates = (
        early_stopping
        or validation_size is not None
        or trainer.get("enable_checkpointing", False)
        or trainer.get("check_val_every_n_epoch") is not None
    )
    if validation_size is not None:
        validation_size = as_real(validation_size, "validation_size", "(0, 1)")
    if train_size is None:
        train_size = 1.0 - (validation_size or 0.1) if validates else 1.0
    train_size = as_real(train_size, "train_size", "(0, 1]")
    if validation_size is not None and train_size + validation_size > 1 + 1e-9:
        raise ValueError(
            f"`train_size` and `validation_size` must not exceed 1 together, found {train_size} and {validation_size}."
        )
    if validates and not early_stopping:
        trainer.setdefault("check_val_every_n_epoch", 1)
    return Training(
        max_epochs=None if max_epochs is None else as_count(max_epochs, "max_epochs"),
        max_steps=None if max_steps is None else as_count(max_steps, "max_steps"),
        batch_size=as_count(batch_size, "batch_size", least=2),  # a cell is contrasted with others
        optimisation=optimisation,
        train_size=train_size,
        validation_size=validation_size,
        validates=validates,
        trainer={
            "early_stopping": early_stopping,
            "early_stopping_monitor": "validation_loss",
            "checkpointing_monitor": "validation_loss",
            "use_distributed_sampler": False,
            **trainer,
        },
    )


def check_representation(adata: AnnData, use_rep: str | None) -> None:
    """Raise a KeyError unless ``use_rep`` is a key of ``obsm``, or None."""
    if use_rep is not None and use_rep not in adata.obsm:
        raise KeyError(f"`use_rep`: {use_rep!r} is not in adata.obsm, which holds {list(adata.obsm)}.")


def _check_names(trainer: dict[str, Any]) -> None:
    taken = {*inspect.signature(Trainer).parameters, *inspect.signature(pl.Trainer).parameters} - _OURS
    for name in trainer:
        if name in _INSTEAD:
            raise TypeError(f"`train` takes no `{name}`: {_INSTEAD[name]}")
        if name not in taken:
            own = [
                "max_epochs", "max_steps", "augmentation", "sampling", "use_rep", "batch_size", "lr", "weight_decay", "schedule",
                "warmup", "train_size", "validation_size", "early_stopping", "checkpoint_dir", "resume",
                "accelerator", "devices",
            ]  # fmt: skip
            nearest = get_close_matches(name, [*own, *taken], n=1, cutoff=0.0)[0]
            raise TypeError(
                f"`train` takes no `{name}`; did you mean `{nearest}`? Known: {', '.join(own)}, and the arguments of "
                "scvi.train.Trainer."
            )


def _check_trainer(trainer: dict[str, Any]) -> dict[str, Any]:
    trainer = {"enable_progress_bar": shows_progress(), **trainer}
    for name in ("enable_progress_bar", "enable_checkpointing"):
        if name in trainer:
            check_switch(trainer[name], name)
    for name, least in (("check_val_every_n_epoch", 1), ("early_stopping_patience", 0)):
        if trainer.get(name) is not None:
            as_count(trainer[name], name, least=least)
    for name in ("early_stopping_monitor", "checkpointing_monitor"):
        if name in trainer:
            check_choice(trainer[name], name, _MONITORS)
    callbacks = trainer.get("callbacks") or []
    callbacks = [callbacks] if isinstance(callbacks, Callback) else callbacks
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise ValueError(f"`callbacks` must be callbacks of lightning.pytorch, found {type(callback).__name__}.")
        if getattr(callback, "load_best_on_end", False):
            raise ValueError(
                "`callbacks`: SaveCheckpoint(load_best_on_end=True) reads files of scvi-tools' own form, which sccl does not write; "
                "load the best model by `load(callback.best_model_path)`."
            )
    # The trainer adds its own to the list that it is given.
    return {**trainer, "callbacks": list(callbacks)}

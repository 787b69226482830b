"""How a model is trained."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from scvi.train._logger import SimpleLogger

from sccl.augment import Compose
from sccl.dataloaders import TwoViewDataSplitter
from sccl.model.embedding import EmbeddingModel
from sccl.model.history import clean_history
from sccl.model.outcome import share_outcome
from sccl.model.resumed import check_same_training, checkpoints_in, describe_training, find_checkpoint
from sccl.model.to_train import cells_to_train
from sccl.model.training import Training, check_training
from sccl.model.undone import undone_if_it_fails
from sccl.train import ContinuedRunner, ContrastiveTrainingPlan, RefreshNeighbors, quiet
from sccl.train.checkpoint import KeepCheckpoint, SafeCheckpointIO
from sccl.train.interruption import InterruptibleTrainer
from sccl.train.last_epoch import LastEpoch
from sccl.train.processes import OneTraining, place_of

if TYPE_CHECKING:
    import pandas as pd

    from sccl.augment import Augmentation
    from sccl.dataloaders import Sampling
    from sccl.inputs.store import CellStore
    from sccl.train.plan import Schedule


class LearningModel(EmbeddingModel):
    """A model that learns from two views of its cells, as its recipe says."""

    _augmentation: ClassVar[str | dict[str, Any]]
    _sampling: ClassVar[str | dict[str, Any]]
    _train_defaults: ClassVar[dict[str, Any]]

    # Saved with the model: what each training was asked for, and how many steps it made.
    training_: tuple[dict[str, Any], ...] = ()

    @property
    def _may_move(self) -> bool:
        """Whether training may move the space that cells are embedded in."""
        return True

    def _before_training(self) -> None:
        """Bring the network into the state in which it starts to learn."""

    def train(
        self,
        max_epochs: int | None = None,
        *,
        datamodule: CellStore | str | Path | None = None,
        max_steps: int | None = None,
        augmentation: Compose | Augmentation | str | dict[str, Any] | None = None,
        protein_augmentation: Compose | Augmentation | str | dict[str, Any] | None = None,
        sampling: Sampling | str | dict[str, Any] | None = None,
        use_rep: str | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        weight_decay: float = 1e-6,
        schedule: Schedule = "cosine",
        warmup: float = 0.05,
        train_size: float | None = None,
        validation_size: float | None = None,
        early_stopping: bool = False,
        checkpoint_dir: str | Path | None = None,
        resume: bool = False,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        **trainer_kwargs: Any,
    ) -> None:
        """Train the model.

        Parameters
        ----------
        max_epochs
            Number of passes over the training cells, at least 1.
        datamodule
            Cells on disk (:class:`sccl.pp.CellStore`, or where it is), for a model that was made of them:
            ``CLModel(registry=store.registry)``. None: those that the model was registered with.
        max_steps
            Number of minibatches to train on, at least 1; the last pass may be a part of one. Training ends with whichever of
            the two comes first. Neither: 1000 steps, which is what training needs however many cells there are, but no more
            than 50 epochs, after which few cells are learned by heart; if the model's documentation names no others.
        augmentation
            What the two views are: the name of a preset, an augmentation or a composition, a torch function over
            cells × genes, or a mapping (see :func:`sccl.augment.from_config`). None: ``"cross_batch"``, if the
            model's documentation names no other. Where it takes positives from other batches, they determine the readout.
        protein_augmentation
            What proteins are changed by in place of that part of ``augmentation`` that borrows from no other cell. None: that
            part, too. What borrows is for both: a cell's partners are the same.
        sampling
            Which cells share a minibatch: ``"uniform"``, ``"batch"``, ``"neighbor"``, ``"batch+neighbor"``, a mapping or an
            object (see :func:`sccl.dataloaders.as_sampling`). None: ``{"batch": {"min_shared": 0.3}}``, if the model's
            documentation names no other: with minibatches of one experimental batch, contrasts cannot use the batch effect,
            and populations of one batch alone are contrasted with other batches, too.
        use_rep
            Key of ``obsm`` with the space in which augmentation and sampling look for neighbours, if they do. None: principal
            components, see :func:`sccl.model.neighbors.neighbor_space`.
        batch_size
            Size that minibatches do not exceed, at least 2. None: 256, if the model's documentation names no other.
        lr
            Largest learning rate, > 0. None: 5e-3, if the model's documentation names no other.
        weight_decay, schedule, warmup
            See :class:`sccl.train.ContrastiveTrainingPlan`.
        train_size
            Fraction of the cells to train on, in ``(0, 1]``. None: 0.9 if something asks for validation
            (``validation_size``, ``early_stopping``, ``enable_checkpointing``, ``check_val_every_n_epoch``), else all.
        validation_size
            Fraction of the cells to validate on, in ``(0, 1)``. None: all that are not trained on.
        early_stopping
            Stop when ``validation_loss`` no longer falls.
        checkpoint_dir
            Folder in which the state of the training is kept, anew before each epoch and at the end. None: nowhere.
        resume
            Go on with the training that ``checkpoint_dir`` holds, from its last epoch, and end where it would have ended, bit for
            bit; begin if it holds none. So one script can be started again, whenever it was killed. All that the training was
            asked for must be the same.
        accelerator, devices, **trainer_kwargs
            Passed to :class:`scvi.train.Trainer`. There is a progress bar, unless ``enable_progress_bar=False`` or
            ``scvi.settings.verbosity`` is above INFO. Nothing is written to disk, unless ``enable_checkpointing`` or a
            ``logger`` asks for it: below ``scvi.settings.logging_dir``.

        Raises
        ------
        TypeError
            If there is no such argument; the message says what it is called here.
        ValueError, KeyError
            If an argument is out of range or unknown, if there are fewer than two cells to train on, or if the cells were
            changed since they were registered; if ``checkpoint_dir`` holds a training and ``resume`` is False, or one that was
            asked for something else.
        FloatingPointError
            If the loss or the embedding is no longer finite.
        RuntimeError
            If another process trains with ``checkpoint_dir``.
        KeyboardInterrupt
            After Ctrl-C. The model keeps what it learned until then, and is used like any other; if that is nothing, it is what it
            was before.
        SystemExit
            After SIGTERM, which batch systems send: the process ends with code 143.

        Whatever else ends the training, the model is what it was before.

        Warns
        -----
        TrainingWarning
            Once, at the end, and with what to try: if the embedding has diverged or collapsed; if the augmentation was to
            show cells beside cells of other batches, and found none, or batches that have no gene in common.
        """
        asked = check_training(
            self._train_defaults,
            max_epochs=max_epochs,
            max_steps=max_steps,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            warmup=warmup,
            train_size=train_size,
            validation_size=validation_size,
            early_stopping=early_stopping,
            trainer=trainer_kwargs,
        )
        cells = cells_to_train(self, datamodule)
        with quiet():
            place = place_of(accelerator, devices, **asked.trainer)
        if place.n_ranks > 1 and not hasattr(self.module, "is_joint"):
            raise ValueError("`strategy`: RNA and proteins together are trained by one process; leave it out.")
        with checkpoints_in(checkpoint_dir, resume=resume, is_first=place.is_first) as folder, undone_if_it_fails(self):
            cells.choose(augmentation, sampling, use_rep, protein_augmentation)
            checkpoint, before = find_checkpoint(folder)
            seed = before["seed"] if checkpoint else int(torch.randint(2**31, ()))
            views, minibatches, splitter = cells.load(asked, seed=seed)
            splitter.n_steps = n_steps = asked.n_steps(splitter.steps_per_epoch)
            described = describe_training(
                self,
                asked,
                cells=cells.identity,
                seed=seed,
                n_steps=n_steps,
                augmentation=views,
                sampling=minibatches,
                use_rep=use_rep,
            )
            if checkpoint:
                check_same_training(checkpoint, before, described)
            keeper = None if folder is None else KeepCheckpoint(folder, described)
            trainer = self._fit(
                asked,
                splitter,
                views,
                minibatches,
                n_steps=n_steps,
                keeper=keeper,
                ckpt_path=checkpoint,
                accelerator=accelerator,
                devices=devices,
            )
            n_done = trainer.global_step
            if trainer.is_interrupted and not n_done:
                raise KeyboardInterrupt(
                    "Training was interrupted before its first step: the model is what it was before."
                )
            if place.is_first:
                cells.fit_readout(views)
            if place.n_ranks > 1:
                share_outcome(self, trainer)
            if place.is_first:
                cells.judge(views, lr=asked.optimisation["lr"])
            self.training_ = (*self.training_, {**described, "seed": splitter.seed, "n_steps": n_done})
        if trainer.is_interrupted:
            raise KeyboardInterrupt(
                f"Training was interrupted after {n_done} of {n_steps} steps: the model keeps what it learned until then."
            )

    def _fit(
        self,
        asked: Training,
        splitter: TwoViewDataSplitter,
        views: Compose,
        minibatches: Sampling,
        *,
        n_steps: int,
        keeper: KeepCheckpoint | None,
        **how: Any,
    ) -> InterruptibleTrainer:
        plan = ContrastiveTrainingPlan(self.module, n_steps=n_steps, **asked.optimisation)
        self._before_training()
        trainer = dict(asked.trainer)
        if not trainer.get("log_save_dir"):
            # that of scvi-tools, which with several processes would write to disk
            trainer.setdefault("logger", SimpleLogger())
        trainer["plugins"] = [*(trainer.get("plugins") or []), SafeCheckpointIO()]
        if views.refresh_every or minibatches.refresh_every:
            embed = partial(self._embed, self._own_reader(), np.arange(self.adata.n_obs))
            trainer["callbacks"] = [*trainer["callbacks"], RefreshNeighbors(embed)]
        trainer["callbacks"] = [
            *trainer["callbacks"],
            LastEpoch(),
            OneTraining(),
            *([] if keeper is None else [keeper]),
        ]
        how["max_epochs"] = -(-n_steps // splitter.steps_per_epoch)
        with quiet():
            runner = ContinuedRunner(self, training_plan=plan, data_splitter=splitter, **how, **trainer)
            # The one place that decides: views stay sparse where they can be, and where what reads them can read that.
            splitter.sparse = runner.device.type == "cpu" and self.module.takes_sparse_rows
            self.module.train()
            runner()
        if keeper is not None:
            keeper.restore_random_state()  # of a training that had nothing left to do
        return runner.trainer

    @property
    def history(self) -> dict[str, pd.DataFrame] | None:
        """What was logged in training: for each metric a float column, indexed by epoch. None before training."""
        return None if self.history_ is None else clean_history(self.history_)

"""One training after the other, in one history."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import pandas as pd
from scvi.train import TrainRunner

from sccl.train.interruption import InterruptibleTrainer


def logged_by(trainer: pl.Trainer) -> dict[str, pd.DataFrame]:
    """Return what a trainer has logged; of several processes the first one has, and loggers of other kinds do not remember."""
    return (getattr(trainer.logger, "history", None) or {}) if trainer.is_global_zero else {}


class ContinuedRunner(TrainRunner):
    """A :class:`~scvi.train.TrainRunner` that adds to what a model logged in earlier trainings, whatever that was.

    After Ctrl-C it returns, and ``trainer.is_interrupted`` is True.
    """

    _trainer_cls = InterruptibleTrainer

    def __init__(self, model: Any, **kwargs: Any) -> None:
        self._before: dict[str, pd.DataFrame] = dict(model.history_ or {}) if model.is_trained else {}
        super().__init__(model, **kwargs)

    def _update_history(self) -> None:
        n_before = len(self._before.get("train_loss", ()))
        logged = logged_by(self.trainer)
        new = {name: frame.set_axis(frame.index + n_before) for name, frame in logged.items()}
        self.model.history_ = {
            name: pd.concat([history[name] for history in (self._before, new) if name in history])
            for name in {**self._before, **new}
        }

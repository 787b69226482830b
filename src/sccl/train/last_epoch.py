"""The last epoch may be a part of one."""

from __future__ import annotations

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback


class LastEpoch(Callback):
    """Tell the trainer, which counts the minibatches of an epoch once, where one has fewer: then it ends, and is validated."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the minibatches of this epoch."""
        n_batches, loop = len(trainer.train_dataloader), trainer.fit_loop  # type: ignore[arg-type]
        if n_batches < loop.max_batches:
            loop.max_batches = n_batches
            if trainer.val_check_batch is not None:
                trainer.val_check_batch = min(trainer.val_check_batch, n_batches)

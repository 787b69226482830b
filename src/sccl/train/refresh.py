"""Neighbours that follow the embedding while it is learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    import numpy as np


class RefreshNeighbors(Callback):
    """Show the embedding to the sampling and the augmentation that ask for it, every so many epochs.

    Parameters
    ----------
    embed
        Returns the present embedding of all registered cells, float32, cells × latent dimensions.
    """

    def __init__(self, embed: Callable[[], np.ndarray]) -> None:
        self._embed = embed

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refresh what is due, for the epochs to come."""
        requests = trainer.train_dataloader.sampler
        sampling, augmentation = requests.sampling, requests.augmentation
        is_due = [one.refresh_every and (trainer.current_epoch + 1) % one.refresh_every == 0 for one in (sampling, augmentation)]
        if not any(is_due):
            return
        latent_nd = self._embed()
        pl_module.train()
        if is_due[0]:
            requests.sampling = sampling.bind(latent_nd)
        if is_due[1]:
            requests.augmentation = augmentation.refresh(latent_nd)

"""Neighbours that follow the embedding while it is learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    import numpy as np

    from sccl.dataloaders.requests import RequestSampler


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
        requests: RequestSampler = trainer.train_dataloader.sampler  # type: ignore[union-attr]
        sampling, augmentation = requests.sampling, requests.augmentation
        epoch = trainer.current_epoch + 1
        follows_sampling = sampling is not None and is_due(sampling.refresh_every, epoch)
        follows_views = is_due(augmentation.refresh_every, epoch)
        if not (follows_sampling or follows_views):
            return
        latent_nd = self._embed()
        pl_module.train()
        if sampling is not None and follows_sampling:
            requests.sampling = sampling.refresh(latent_nd)
        if follows_views:
            requests.augmentation = augmentation.refresh(latent_nd)


def is_due(every: int | None, epoch: int) -> bool:
    """Whether something that happens every so many epochs, or never (None), happens after this one."""
    return every is not None and epoch % every == 0

"""Neighbours that follow the embedding while it is learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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
        # what each of them was last shown
        self._shown: dict[str, np.ndarray] = {}
        self._is_restored = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show what was shown before a training broke off."""
        if self._is_restored:
            self._is_restored = False
            for name, latent_nd in self._shown.items():
                _refresh(trainer, name, latent_nd)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refresh what is due, for the epochs to come."""
        requests, epoch = _requests(trainer), trainer.current_epoch + 1
        due = [
            name
            for name in ("sampling", "augmentation")
            if (part := getattr(requests, name)) is not None and is_due(part.refresh_every, epoch)
        ]
        if not due:
            return
        latent_nd = self._embed()
        pl_module.train()
        for name in due:
            self._shown[name] = latent_nd
            _refresh(trainer, name, latent_nd)

    def state_dict(self) -> dict[str, Any]:
        """Return what was last shown, for a checkpoint."""
        return dict(self._shown)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up."""
        self._shown, self._is_restored = dict(state_dict), True


def _requests(trainer: pl.Trainer) -> RequestSampler:
    return trainer.train_dataloader.sampler  # type: ignore[union-attr]


def _refresh(trainer: pl.Trainer, name: str, latent_nd: np.ndarray) -> None:
    requests = _requests(trainer)
    setattr(requests, name, getattr(requests, name).refresh(latent_nd))


def is_due(every: int | None, epoch: int) -> bool:
    """Whether something that happens every so many epochs, or never (None), happens after this one."""
    return every is not None and epoch % every == 0

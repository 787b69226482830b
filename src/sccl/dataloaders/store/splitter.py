"""Training and validation cells of a store, each with its loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import numpy as np

from sccl.dataloaders.store.loader import StoreLoader
from sccl.dataloaders.store.runs import runs_of

if TYPE_CHECKING:
    from sccl.augment import Compose
    from sccl.dataloaders.sampling import Sampling
    from sccl.dataloaders.store.residents import Residents
    from sccl.inputs.store import CellStore


class StoreSplitter(pl.LightningDataModule):
    """Split the cells of a store at random, by runs, which are random parts of the cells.

    Parameters
    ----------
    store
        The cells.
    train_size
        Fraction of the cells to train on, in ``(0, 1]``.
    validation_size
        Fraction of the cells to validate on; all others if None.
    seed
        Decides the split, the minibatches and the views.

    Attributes
    ----------
    train_runs, val_runs
        The runs of each, in ascending order.
    n_train, n_val
        Numbers of cells.
    n_steps
        Number of minibatches after which training ends.
    sparse
        Whether views stay sparse where they can be.

    Raises
    ------
    ValueError
        If fewer than two cells are left to train on.
    """

    n_steps: int | None = None
    sparse: bool = False

    def __init__(self, store: CellStore, train_size: float, validation_size: float | None, *, seed: int) -> None:
        super().__init__()
        runs = runs_of(store)
        n_val = 0 if train_size == 1 else max(round((validation_size or 1 - train_size) * len(runs)), 1)
        n_train = (
            len(runs) - n_val if validation_size is None else min(round(train_size * len(runs)), len(runs) - n_val)
        )
        order = np.random.default_rng(seed).permutation(len(runs))
        val, train, _ = np.split(order, [n_val, n_val + n_train])
        self.train_runs, self.val_runs = runs[np.sort(train)], runs[np.sort(val)]
        self.n_train, self.n_val = (int(np.diff(part).sum()) for part in (self.train_runs, self.val_runs))
        if self.n_train < 2:
            raise ValueError(
                f"Contrastive training needs at least 2 cells, found {self.n_train} (n_obs={store.n_obs}, {train_size=})."
            )
        self._store, self.seed = store, seed

    def bind(
        self, *, residents: Residents | None, augmentation: Compose, sampling: Sampling, batch_size: int
    ) -> StoreSplitter:
        """Say what loaders are made with, see :class:`StoreLoader`."""
        self._how: dict[str, Any] = {"residents": residents, "augmentation": augmentation, "batch_size": batch_size}
        self._sampling = sampling
        return self

    @property
    def steps_per_epoch(self) -> int:
        """Number of minibatches of a whole epoch of training."""
        return self._loader(self.train_runs, self._sampling).steps_per_epoch

    def train_dataloader(self) -> StoreLoader:
        """Return the loader of training cells, at the epoch that the trainer has come to."""
        if self.trainer and self.trainer.strategy.broadcast(self.seed) != self.seed:
            raise ValueError(
                "Several processes, each with another seed, would read other cells: begin all with the same, `scvi.settings.seed = 0`."
            )
        loader = self._loader(self.train_runs, self._sampling)
        epoch = self.trainer.current_epoch if self.trainer else 0
        if self.n_steps is not None:
            loader.n_steps = self.n_steps
            epoch = min(epoch, (self.n_steps - 1) // loader.steps_per_epoch)
        loader.set_epoch(epoch)
        return loader

    def val_dataloader(self) -> StoreLoader | list[Any]:
        """Return the loader of validation cells, which keep their order and their views in every epoch."""
        return self._loader(self.val_runs, None) if self.n_val else []

    def _loader(self, runs: np.ndarray, sampling: Sampling | None) -> StoreLoader:
        return StoreLoader(self._store, runs, sampling=sampling, seed=self.seed, sparse=self.sparse, **self._how)

"""Training and validation cells, each with its loader."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.dataloaders import DataSplitter

from sccl.dataloaders.loader import TwoViewDataLoader
from sccl.dataloaders.requests import RequestSampler

if TYPE_CHECKING:
    import torch

    from sccl.augment import Compose
    from sccl.dataloaders.manager import CellManager
    from sccl.dataloaders.sampling import Sampling


class TwoViewDataSplitter(DataSplitter):
    """A :class:`~scvi.dataloaders.DataSplitter` whose loaders give two views.

    Parameters
    ----------
    adata_manager
        The registered data.
    train_size
        Fraction of the cells to train on, in ``(0, 1]``.
    validation_size
        Fraction of the cells to validate on; all others if None.
    batch_size, sampling, augmentation
        See :class:`TwoViewDataLoader`. The validation cells keep their order and their views in every epoch, so that
        validation losses can be compared.
    seed
        Decides the split, the minibatches and the views.
    **kwargs
        Further arguments of :class:`TwoViewDataLoader`.

    Attributes
    ----------
    seed
        That of the first process, where there are several, once training has begun.
    n_steps
        Number of minibatches after which training ends, if it is to end within an epoch; else None.
    sparse
        See :class:`TwoViewCollate`.

    Raises
    ------
    ValueError
        If fewer than two cells are left to train on.
    """

    data_loader_cls = TwoViewDataLoader
    n_steps: int | None = None
    sparse: bool = False

    def __init__(
        self,
        adata_manager: CellManager,
        train_size: float,
        validation_size: float | None = None,
        *,
        batch_size: int,
        sampling: Sampling,
        augmentation: Compose,
        seed: int,
        **kwargs: Any,
    ) -> None:
        how: dict[str, Any] = {
            "batch_size": batch_size,
            "sampling": sampling,
            "augmentation": augmentation,
            "seed": seed,
        }
        # `drop_last` keeps the base class from moving left-over cells about: here there are none.
        super().__init__(adata_manager, train_size, validation_size, drop_last=True, **how, **kwargs)
        self._how, self.seed = how, seed
        if self.n_train < 2:
            raise ValueError(
                f"Contrastive training needs at least 2 cells, found {self.n_train} "
                f"(n_obs={adata_manager.adata.n_obs}, train_size={train_size})."
            )

    def setup(self, stage: str | None = None) -> None:
        """Split the cells at random."""
        if self.trainer is not None:
            self.seed = self._how["seed"] = self.trainer.strategy.broadcast(self.seed)  # the first process's
            self.data_loader_kwargs |= {"rank": self.trainer.global_rank, "n_ranks": self.trainer.world_size}
        self.data_loader_kwargs |= {"seed": self.seed, "sparse": self.sparse}
        order = np.random.default_rng(self.seed).permutation(self.adata_manager.adata.n_obs)
        self.val_idx, self.train_idx, self.test_idx = np.split(order, [self.n_val, self.n_val + self.n_train])

    @cached_property
    def steps_per_epoch(self) -> int:
        """Number of minibatches of a whole epoch of training."""
        self.setup()
        batch = np.asarray(self.adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)).ravel()[self.train_idx]
        return RequestSampler(self.train_idx, batch, **self._how).steps_per_epoch

    def train_dataloader(self) -> TwoViewDataLoader:
        """Return the loader of training cells, at the epoch that the trainer has come to."""
        loader = super().train_dataloader()
        epoch = self.trainer.current_epoch if self.trainer else 0
        if self.n_steps is not None:
            loader.sampler.n_steps = self.n_steps
            # of a training that is over: its last one
            epoch = min(epoch, (self.n_steps - 1) // loader.sampler.steps_per_epoch)
        loader.sampler.set_epoch(epoch)
        return loader

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a minibatch to the accelerator; on the CPU it is where it should be."""
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

"""The data loader of contrastive training."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.dataloaders import AnnDataLoader

from sccl.dataloaders.collate import TwoViewCollate
from sccl.dataloaders.requests import RequestSampler

if TYPE_CHECKING:
    import torch

    from sccl.augment import Compose
    from sccl.augment.sparse import SparseRows
    from sccl.dataloaders.manager import CellManager
    from sccl.dataloaders.sampling import Sampling


class TwoViewDataLoader(AnnDataLoader):
    """An :class:`~scvi.dataloaders.AnnDataLoader` whose batches are two views of the same cells.

    Parameters
    ----------
    adata_manager
        The registered data.
    indices
        Row numbers of the cells to load, shape ``(n_cells,)``; all if None.
    batch_size
        Size that minibatches do not exceed (but each has at least two cells, if there are two).
    shuffle
        False: the cells keep their order, and their views are the same in every epoch.
    augmentation
        What the views are.
    sampling
        Which cells share a minibatch, if they are shuffled.
    seed
        Source of all randomness, together with the epoch.
    sparse
        See :class:`TwoViewCollate`.
    rank, n_ranks
        Which process of how many this is: each loads its share of every minibatch. None: what ``torch.distributed`` says.
    **kwargs
        Further arguments of :class:`~torch.utils.data.DataLoader`.
    """

    def __init__(
        self,
        adata_manager: CellManager,
        indices: np.ndarray | None = None,
        batch_size: int = 256,
        shuffle: bool = True,
        *,
        augmentation: Compose,
        sampling: Sampling,
        seed: int = 0,
        sparse: bool = False,
        rank: int | None = None,
        n_ranks: int | None = None,
        **kwargs: Any,
    ) -> None:
        cells = np.arange(adata_manager.adata.n_obs) if indices is None else np.asarray(indices, dtype=np.int64)
        batch = np.asarray(adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)).ravel()[cells]
        sampler = RequestSampler(
            cells,
            batch,
            augmentation=augmentation,
            sampling=sampling if shuffle else None,
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            n_ranks=n_ranks,
        )
        super().__init__(adata_manager, indices=cells, sampler=sampler, **kwargs)
        # The base class deep-copies its keyword arguments; a collate function must be set afterwards.
        self.collate_fn = TwoViewCollate(augmentation, sparse=sparse)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor | SparseRows]]:
        """Make the next minibatch while the network learns from this one."""
        batches = super().__iter__()
        if self.num_workers or not self.collate_fn.augmentation.is_fused:
            # Worker processes run ahead by themselves; a torch function would share the generator of the network.
            yield from batches
            return
        with ThreadPoolExecutor(max_workers=1) as ahead:
            upcoming = ahead.submit(next, batches, None)
            while (batch := upcoming.result()) is not None:
                upcoming = ahead.submit(next, batches, None)
                yield batch

"""Two views per batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sccl.dataloaders.requests import N_VIEWS

if TYPE_CHECKING:
    from sccl.augment import Compose
    from sccl.augment.sparse import SparseRows
    from sccl.dataloaders.request import CellBatch


class TwoViewCollate:
    """Turn the rows of one batch into two views.

    Parameters
    ----------
    augmentation
        What the views are.
    sparse
        Whether to leave out their zeros, if the augmentation makes no more of the other values than there are.
    """

    def __init__(self, augmentation: Compose, *, sparse: bool = False) -> None:
        self.augmentation, self.sparse = augmentation, sparse and augmentation.is_sparse

    def __call__(self, batches: list[CellBatch]) -> dict[str, torch.Tensor | SparseRows]:
        """Make the views.

        Returns
        -------
        ``views``: float32, 2 × cells × genes, sharing memory with nothing else, or sparse rows, those of the first view and then
        those of the second; ``cells``: row numbers; ``batch``: codes of the experimental batches.
        """
        (batch,) = batches  # a request is a whole minibatch
        return {
            "views": self._sparse_views(batch) if self.sparse else self._views(batch),
            "cells": torch.from_numpy(batch.cells),
            "batch": torch.from_numpy(batch.batch),
        }

    def _views(self, batch: CellBatch) -> torch.Tensor:
        rows = batch.request.cells
        views_vng = torch.empty(N_VIEWS, rows.size, batch.csr.shape[1])
        for view_ng, steps in zip(views_vng, batch.request.steps, strict=True):
            self.augmentation.fill(view_ng, batch.csr, rows, steps)
        return views_vng

    def _sparse_views(self, batch: CellBatch) -> SparseRows:
        return self.augmentation.fill_sparse(batch.csr, batch.request.cells, batch.request.steps)

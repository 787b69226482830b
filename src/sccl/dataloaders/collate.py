"""Two views per batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from sccl.dataloaders.modalities import views_of
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

    def __call__(self, batches: list[CellBatch]) -> dict[str, Any]:
        """Make the views.

        Returns
        -------
        ``views``: float32, 2 × cells × genes, sharing memory with nothing else; or sparse rows, those of the first view and then
        those of the second; or a tensor for each modality, see :func:`sccl.dataloaders.modalities.views_of`. ``cells``: row
        numbers; ``batch``: codes of the experimental batches.
        """
        (batch,) = batches  # a request is a whole minibatch
        return {
            "views": self._views(batch),
            "cells": torch.from_numpy(batch.cells),
            "batch": torch.from_numpy(batch.batch),
        }

    def _views(self, batch: CellBatch) -> torch.Tensor | SparseRows | dict[str, torch.Tensor]:
        if batch.proteins is not None:
            return views_of(batch, self.augmentation)
        if self.sparse:
            return self.augmentation.fill_sparse(batch.csr, batch.request.cells, batch.request.steps)
        rows = batch.request.cells
        views_vng = torch.empty(N_VIEWS, rows.size, batch.csr.shape[1])
        for view_ng, steps in zip(views_vng, batch.request.steps, strict=True):
            self.augmentation.fill(view_ng, batch.csr, rows, steps)
        return views_vng

"""Two views per batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from sccl.dataloaders.modalities import views_of
from sccl.dataloaders.requests import N_VIEWS

if TYPE_CHECKING:
    from sccl.augment import Compose
    from sccl.dataloaders.request import CellBatch


class TwoViewCollate:
    """Turn the rows of one batch into two views.

    Parameters
    ----------
    augmentation
        What the views are.
    """

    def __init__(self, augmentation: Compose) -> None:
        self.augmentation = augmentation

    def __call__(self, batches: list[CellBatch]) -> dict[str, Any]:
        """Make the views.

        Returns
        -------
        ``views``: float32, 2 × cells × genes, sharing memory with nothing else, or such a tensor for each modality, see
        :func:`sccl.dataloaders.modalities.views_of`; ``cells``: row numbers; ``batch``: codes of the experimental batches.
        """
        (batch,) = batches  # a request is a whole minibatch
        if batch.proteins is not None:
            return self._with(batch, views_of(batch, self.augmentation))
        rows = batch.request.cells
        views_vng = torch.empty(N_VIEWS, rows.size, batch.csr.shape[1])
        for view_ng, steps in zip(views_vng, batch.request.steps, strict=True):
            self.augmentation.fill(view_ng, batch.csr, rows, steps)
        return self._with(batch, views_vng)

    def _with(self, batch: CellBatch, views: Any) -> dict[str, Any]:
        return {
            "views": views,
            "cells": torch.from_numpy(batch.cells),
            "batch": torch.from_numpy(batch.batch),
        }

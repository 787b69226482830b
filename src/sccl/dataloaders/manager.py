"""The registered data as a dataset of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

from sccl.dataloaders.rows import CellDataset

if TYPE_CHECKING:
    from sccl.inputs.fingerprint import Registered


class CellManager(AnnDataManager):
    """An :class:`~scvi.data.AnnDataManager` whose torch dataset knows which cells it returns.

    Attributes
    ----------
    registered
        What the expression was like when it was registered.
    """

    registered: Registered

    def create_torch_dataset(
        self,
        indices: Sequence[int] | Sequence[bool] | None = None,
        data_and_attributes: list[str] | dict[str, np.dtype] | None = None,
        load_sparse_tensor: bool = False,
    ) -> CellDataset:
        """Return the rows of all registered cells; requests name them by their number in the data."""
        return CellDataset(
            self.get_from_registry(REGISTRY_KEYS.X_KEY),
            self.get_from_registry(REGISTRY_KEYS.BATCH_KEY),
        )

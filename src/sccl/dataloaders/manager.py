"""The registered data as a dataset of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

from sccl.dataloaders.rows import CellDataset

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    from sccl.inputs.fingerprint import Registered


class CellManager(AnnDataManager):
    """An :class:`~scvi.data.AnnDataManager` whose torch dataset knows which cells it returns.

    It remembers which batch and label each cell had when it was registered: all setups, those of other models too, write to
    the same columns of ``obs``. And it does not keep the data alive, for scvi-tools never forgets a manager.

    Attributes
    ----------
    registered
        What the expression was like when it was registered.
    proteins
        Proteins of the cells as they were registered, float32; None: there are none.
    """

    registered: Registered
    proteins: csr_matrix | None = None
    _adata: ref[AnnData] | None = None
    _codes: dict[str, np.ndarray]

    @property
    def adata(self) -> Any:
        """The registered data. None before :meth:`register_fields`, and when nobody else holds them any more."""
        return None if self._adata is None else self._adata()

    @adata.setter
    def adata(self, adata: AnnData | None) -> None:
        self._adata = None if adata is None else ref(adata)

    def register_fields(self, adata: AnnData, source_registry: dict | None = None, **transfer_kwargs: Any) -> None:
        """Register the data, and remember what the columns of ``obs`` say."""
        super().register_fields(adata, source_registry, **transfer_kwargs)
        self._codes = {
            key: np.array(super(CellManager, self).get_from_registry(key))
            for key, where in self.data_registry.items()
            if where["attr_name"] == "obs"
        }

    def get_from_registry(self, registry_key: str) -> Any:
        """Return registered data; columns of ``obs`` as they were registered."""
        return self._codes[registry_key] if registry_key in self._codes else super().get_from_registry(registry_key)

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
            self.proteins,
        )

    def __getstate__(self) -> dict[str, Any]:
        # A copy of a model holds a copy of the data, and its manager refers to that one.
        return {**self.__dict__, "_adata": self.adata}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "_adata": None})
        self.adata = state["_adata"]

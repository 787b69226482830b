"""One registration of the data for all models."""

from __future__ import annotations

from typing import Any

from scvi.model.base._base_model import BaseModelMetaClass


class SharedSetup(BaseModelMetaClass):
    """Let all subclasses share what ``setup_anndata`` registered, whichever of them it was called on."""

    _setup_adata_manager_store: dict[str, Any]

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        for base in bases:
            if isinstance(base, SharedSetup):
                cls._setup_adata_manager_store = base._setup_adata_manager_store

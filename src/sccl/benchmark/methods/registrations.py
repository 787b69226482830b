"""What scvi-tools keeps of the cells that its models were set up with."""

from __future__ import annotations

from typing import Any


def forget(*models: Any) -> None:
    """Let go of the cells of models that are no longer needed: scvi-tools keeps each registered AnnData for good."""
    for model in models:
        model.deregister_manager(model.adata)

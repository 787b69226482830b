"""The models as options of the group ``model``."""

from __future__ import annotations

from hydra.core.config_store import ConfigStore

from sccl.catalogue import models


def offer_models() -> None:
    """Let hydra know each model by its name in small letters, with its hyper-parameters."""
    store = ConfigStore.instance()
    for name, hyper_parameters in models().items():
        store.store(group="model", name=name.lower(), node={"name": name, **hyper_parameters}, provider="sccl")

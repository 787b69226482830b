"""CLEAR, a recipe."""

from __future__ import annotations

from typing import Any, ClassVar

from sccl.model.moco import MoCo


class CLEAR(MoCo):
    """CLEAR (Han et al., Briefings in Bioinformatics 2022): MoCo, with the paper's settings, on the preset ``"clear"``.

    Trained by default on minibatches of 512, sampled uniformly.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_projection, temperature, memory_bank_size, momentum, symmetric
        See :class:`~sccl.MoCo`; here 128, 0.2, 1024, 0.99 and False.

    Examples
    --------
    >>> sccl.CLEAR.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.CLEAR(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_defaults: ClassVar[dict[str, Any]] = {
        "n_projection": 128,
        "temperature": 0.2,
        "memory_bank_size": 1024,
    }
    _train_defaults: ClassVar[dict[str, Any]] = {"batch_size": 512}

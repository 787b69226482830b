"""The recommended recipe for other needs."""

from __future__ import annotations

from typing import Any, ClassVar

from sccl.model.clmodel import CLModel


class CLModelFast(CLModel):
    """When seconds count: a third of the training of :class:`~sccl.CLModel`.

    For about the same, but clearly less where many batches differ little: those want the steps.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate, n_projection, temperature
        See :class:`~sccl.CLModel`.

    Examples
    --------
    >>> sccl.CLModelFast.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.CLModelFast(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _train_defaults: ClassVar[dict[str, Any]] = {"max_steps": 300}

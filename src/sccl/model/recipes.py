"""The recommended recipe for other needs."""

from __future__ import annotations

from typing import Any, ClassVar

from sccl.model.clmodel import CLModel


class CLModelFine(CLModel):
    """When many cell types are in some batches only, also such as resemble others: it mixes batches a little less.

    As :class:`~sccl.CLModel`, but minibatches hold any cells, so that all types are contrasted across batches, and the
    positives of all cells are of other batches, where they have such neighbours.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate, n_projection, temperature
        See :class:`~sccl.CLModel`.

    Examples
    --------
    >>> sccl.CLModelFine.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.CLModelFine(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _augmentation: ClassVar[str | dict[str, Any]] = {"cross_batch_positive": {"p": 1.0}, "mask": {"fraction": 0.4}}
    _sampling: ClassVar[str | dict[str, Any]] = "uniform"


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

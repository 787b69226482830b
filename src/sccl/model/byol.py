"""BYOL as a model."""

from __future__ import annotations

from typing import ClassVar

from sccl import module
from sccl.model.published import PublishedModel


class BYOL(PublishedModel):
    """BYOL (Grill et al., NeurIPS 2020): a view predicts what a slow copy of the network makes of the other.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_hidden_head
        Width of the hidden layers of projector and predictor, ≥ 1.
    n_projection
        Width of their outputs, ≥ 1.
    momentum
        Of the slow copy at the first step, in ``[0, 1]``; 1 at the last. Reference: 0.996, for
        trainings of many thousand steps; default: 0.99.

    See Also
    --------
    sccl.module.BYOL : the paper's and the reference's values.

    Examples
    --------
    >>> sccl.BYOL.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.BYOL(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_cls: ClassVar = module.BYOL

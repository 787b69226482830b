"""TiCo as a model."""

from __future__ import annotations

from typing import ClassVar

from sccl import module
from sccl.model.published import PublishedModel


class TiCo(PublishedModel):
    """TiCo (Zhu et al., 2022): a view meets its target and avoids the directions that recent cells have taken.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_hidden_projector
        Width of the projector's hidden layer, ≥ 1.
    n_projection
        Width of its output, ≥ 1.
    memory
        How much of the covariance is kept at each step, in ``[0, 1]``.
    covariance_weight
        Weight of avoiding those directions, ≥ 0.
    momentum
        Of the target at the first step, in ``[0, 1]``; 1 at the last.

    See Also
    --------
    sccl.module.TiCo : the paper's and the reference's values.

    Examples
    --------
    >>> sccl.TiCo.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.TiCo(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_cls: ClassVar = module.TiCo

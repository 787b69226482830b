"""DCL as a model."""

from __future__ import annotations

from typing import ClassVar

from sccl import module
from sccl.model.published import PublishedModel


class DCL(PublishedModel):
    """DCL (Yeh et al., ECCV 2022): SimCLR without the positive pair in the denominator.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_projection
        Width of the projector, ≥ 1.
    temperature
        Of the contrast, > 0. Paper: 0.1; default as for SimCLR: 0.5.

    See Also
    --------
    sccl.module.DCL : the paper's and the reference's values.

    Examples
    --------
    >>> sccl.DCL.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.DCL(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_cls: ClassVar = module.DCL

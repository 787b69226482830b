"""MoCo as a model."""

from __future__ import annotations

from typing import ClassVar

from sccl import module
from sccl.model.published import PublishedModel


class MoCo(PublishedModel):
    """MoCo (He et al., CVPR 2020): a cell's query finds its key, from a slow encoder, among those of many recent cells.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_projection
        Width of the projector, Linear · ReLU · Linear, ≥ 1.
    temperature
        Of the contrast, > 0. Papers: 0.07 and 0.2; reference and default: 0.5.
    memory_bank_size
        Number of keys in the queue, ≥ 1.
    momentum
        Of the slow encoder at the first step, in ``[0, 1]``; 1 at the last. Reference: 0.996, for
        trainings of many thousand steps; default: 0.99.
    symmetric
        Let both views be queries and both be keys.

    See Also
    --------
    sccl.module.MoCo : the paper's and the reference's values.

    Examples
    --------
    >>> sccl.MoCo.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.MoCo(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_cls: ClassVar = module.MoCo

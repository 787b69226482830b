"""Concerto as a model."""

from __future__ import annotations

from typing import ClassVar

from sccl import module
from sccl.model.published import PublishedModel


class Concerto(PublishedModel):
    """Concerto (Yang et al., Nature Machine Intelligence 2022): the encoder and a teacher that attends to genes agree.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_projection
        Width of the two projectors, ≥ 1.
    n_embedding
        Width of the teacher's gene embedding, ≥ 1.
    projection_dropout
        Dropout before the projectors, in ``[0, 1)``.
    temperature
        Of the contrast, > 0.

    See Also
    --------
    sccl.module.Concerto : the paper's and the reference's values.

    Examples
    --------
    >>> sccl.Concerto.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.Concerto(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_cls: ClassVar = module.Concerto

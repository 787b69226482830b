"""SimSiam as a model."""

from __future__ import annotations

from typing import Any, ClassVar

from sccl import module
from sccl.model.published import PublishedModel


class SimSiam(PublishedModel):
    """SimSiam (Chen & He, CVPR 2021): a view predicts the other, which gets no gradient.

    Trained by default on minibatches of 128 cells and twice as wide as in the reference. On 1500 cells, in 60 epochs, the
    reference's 256 cells and heads left it with less of the cell types (neighbour purity .79 in place of .82 to .84).

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate
        See :class:`~sccl.CLModel`.
    n_hidden_projector
        Width of the projector's hidden layers, ≥ 1.
    n_projection
        Width of its output, ≥ 1.
    n_hidden_predictor
        Width of the predictor's hidden layer, ≥ 1.

    See Also
    --------
    sccl.module.SimSiam : the paper's and the reference's values.

    Examples
    --------
    >>> sccl.SimSiam.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.SimSiam(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_cls: ClassVar = module.SimSiam
    _train_defaults: ClassVar[dict[str, Any]] = {"batch_size": 128}

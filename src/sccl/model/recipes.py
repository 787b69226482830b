"""Recipes: an architecture with settings, an augmentation and a sampling of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from sccl.model.architectures import MoCo
from sccl.model.clmodel import CLModel
from sccl.module import Integrate

if TYPE_CHECKING:
    from anndata import AnnData


class CLModelFast(CLModel):
    """When seconds count: a third of the training of :class:`~sccl.CLModel`.

    For about the same, but clearly less where many batches differ little: those want the steps.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate, integrate, n_projection, temperature
        See :class:`~sccl.CLModel`.

    Examples
    --------
    >>> sccl.CLModelFast.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.CLModelFast(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _train_defaults: ClassVar[dict[str, Any]] = {"max_steps": 300}


class CLEAR(MoCo):
    """CLEAR (Han et al., Briefings in Bioinformatics 2022): MoCo, with the paper's settings, on the preset ``"clear"``.

    Trained by default on minibatches of 512, sampled uniformly.

    Parameters
    ----------
    adata, n_hidden, n_latent, dropout_rate, integrate
        See :class:`~sccl.CLModel`.
    n_projection, temperature, memory_bank_size, momentum, symmetric
        See :class:`~sccl.MoCo`; here the paper's.

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


class CLAIRE(MoCo):
    """CLAIRE (Yan et al., Bioinformatics 2023): MoCo whose positives are mutual nearest neighbours of other batches.

    View 1 is a cell, view 2 its mutual nearest neighbour in another batch, each mixed with a near cell of its own batch:
    the preset ``"claire"``. Every 5 epochs the mutual neighbours that are not alike in the embedding are put aside.

    Parameters
    ----------
    adata, dropout_rate, integrate
        See :class:`~sccl.CLModel`.
    n_hidden
        Widths of the encoder's hidden layers. The paper's are a quarter and an eighth of the number of genes; the default
        is that of its 2000 variable genes.
    n_latent
        Width of the embedding; paper and default: 128.
    n_projection, temperature, memory_bank_size, momentum, symmetric
        See :class:`~sccl.MoCo`; here the paper's.

    Notes
    -----
    The paper trains for 120 epochs on minibatches of 256, with a learning rate of 1e-4. Without ``max_epochs`` this model
    trains for about 1000 steps like any other, at 1e-3. For so few a momentum of 0.99 keeps types apart and mixes
    batches somewhat better than the paper's.

    Examples
    --------
    >>> sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=2000)
    >>> sccl.CLAIRE.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.CLAIRE(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    _architecture_defaults: ClassVar[dict[str, Any]] = {
        "n_projection": 128,
        "temperature": 0.07,
        "memory_bank_size": 2048,
        "momentum": 0.999,
        "symmetric": True,
    }
    _augmentation: ClassVar = "claire"

    def __init__(
        self,
        adata: AnnData | None = None,
        *,
        registry: dict[str, Any] | None = None,
        n_hidden: int | Sequence[int] = (500, 250),
        n_latent: int = 128,
        dropout_rate: float = 0.0,
        integrate: Integrate = "add",
        **architecture_kwargs: Any,
    ) -> None:
        super().__init__(
            adata,
            registry=registry,
            n_hidden=n_hidden,
            n_latent=n_latent,
            dropout_rate=dropout_rate,
            integrate=integrate,
            **architecture_kwargs,
        )

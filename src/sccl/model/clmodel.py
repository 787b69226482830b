"""The recommended recipe, and what all models are made of."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from scvi.data._constants import _MODEL_NAME_KEY

from sccl import module
from sccl.dataloaders.modalities import PROTEIN, RNA
from sccl.inputs import check_anndata, check_choice
from sccl.inputs.mudata import is_mudata
from sccl.model.joined import registered_for
from sccl.model.modalities import protein_names
from sccl.model.query import ReferenceModel
from sccl.model.signature import check_hyperparameters, show_signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


class CLModel(ReferenceModel):
    """Contrastive model of single cells; as it stands the recommended recipe.

    That is SimCLR, half of whose positives are mutual nearest neighbours in other batches (of populations that both batches
    hold), masked, on minibatches of one experimental batch each: what two batches agree on attracts, and contrasts cannot use
    the batch effect. Only cells of a population that is one batch's alone also come in minibatches of others, so that they
    stay apart (:class:`sccl.dataloaders.BatchSampling`). Afterwards each axis of the embedding is scaled by how well those
    neighbours agree on it (:class:`sccl.module.Readout`).

    Parameters
    ----------
    adata
        Log-expression, registered with :meth:`setup_anndata`; or a MuData, with :meth:`setup_mudata`.
    registry
        What was registered, in place of ``adata``: how :meth:`load` builds a model without its cells.
    n_hidden
        Width of the encoder's hidden layer, or one width for each of several.
    n_latent
        Width of the embedding.
    dropout_rate
        Dropout on the embedding while training, in ``[0, 1)``.
    integrate
        How RNA and proteins become one representation, if proteins were registered: ``"add"``, ``"mean"``, ``"concat"`` (which is
        twice ``n_latent`` wide) or ``"clip"``, see :class:`sccl.module.MultimodalModule`.
    **architecture_kwargs
        Hyper-parameters of the architecture, see :class:`sccl.SimCLR`.

    Raises
    ------
    ValueError
        If ``adata`` was not registered or an argument is out of range.
    TypeError
        If ``adata`` is no AnnData, or if the architecture has no such hyper-parameter.

    Notes
    -----
    The weights are drawn from torch's default generator, and the seed of each training, too: after
    ``scvi.settings.seed = 0`` or ``torch.manual_seed(0)`` the same calls give the same embedding, bit for bit.

    Examples
    --------
    >>> sccl.pp.preprocess(adata, batch_key="batch")
    >>> sccl.CLModel.setup_anndata(adata, batch_key="batch")
    >>> model = sccl.CLModel(adata)
    >>> model.train()
    >>> adata.obsm["X_cl"] = model.get_latent_representation()
    """

    # What a recipe is made of: a subclass sets those in which it differs.
    _architecture_cls: ClassVar[type[module.Architecture]] = module.SimCLR
    _architecture_defaults: ClassVar[dict[str, Any]] = {"temperature": 0.4}
    _augmentation: ClassVar[str | dict[str, Any]] = "cross_batch"
    _sampling: ClassVar[str | dict[str, Any]] = {"batch": {"min_shared": 0.3}}
    _train_defaults: ClassVar[dict[str, Any]] = {
        "batch_size": 256,
        "lr": 5e-3,
        "max_epochs": 50,
        "max_steps": 1000,
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._train_defaults = {**super(cls, cls)._train_defaults, **cls._train_defaults}
        show_signature(cls)

    def __init__(
        self,
        adata: AnnData | None = None,
        *,
        registry: dict[str, Any] | None = None,
        n_hidden: int | Sequence[int] = 128,
        n_latent: int = 64,
        dropout_rate: float = 0.0,
        integrate: module.Integrate = "add",
        **architecture_kwargs: Any,
    ) -> None:
        if is_mudata(adata):
            adata, self.mudata_ = registered_for(adata)
        if adata is not None:
            check_anndata(adata)
        super().__init__(adata, registry)
        # The registry is shared with other models of the same data; its model's name is not.
        self.registry_: dict[str, Any] = {**self.registry_, _MODEL_NAME_KEY: type(self).__name__}
        check_hyperparameters(type(self), architecture_kwargs)
        architecture_kwargs = {**self._architecture_defaults, **architecture_kwargs}
        check_choice(integrate, "integrate", get_args(module.Integrate))
        encoder = partial(module.Encoder, n_hidden=n_hidden, n_latent=n_latent, dropout_rate=dropout_rate)
        architecture = partial(self._architecture_cls, **architecture_kwargs)
        proteins = protein_names(self.registry_)
        if proteins is None:
            self.module = module.ContrastiveModule(encoder(self.summary_stats.n_vars), architecture(n_latent))
        else:
            encoders = {RNA: encoder(self.summary_stats.n_vars), PROTEIN: encoder(len(proteins))}
            self.module = module.MultimodalModule(encoders, architecture, integrate=integrate)
        self.init_params_ = self._get_init_params(locals())
        both = {} if proteins is None else {"integrate": integrate}
        self._description = {"n_hidden": n_hidden, "n_latent": n_latent, **both, **architecture_kwargs}

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={value!r}" for name, value in self._description.items())
        stats = self.summary_stats
        return (
            f"{type(self).__name__}({parameters}), {'trained' if self.is_trained else 'not trained'}: "
            f"{stats.n_cells} cells × {stats.n_vars} genes{self._proteins()}, {stats.n_batch} batches"
        )

    def _proteins(self) -> str:
        names = protein_names(self.registry_)
        return "" if names is None else f" and {len(names)} proteins"


show_signature(CLModel)

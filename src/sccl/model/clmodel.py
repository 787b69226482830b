"""The workflow that all models share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.data import fields
from scvi.data._constants import _MODEL_NAME_KEY

from sccl import graph, module
from sccl.augment import Compose, as_compose
from sccl.dataloaders import RowReader, TwoViewDataSplitter, as_sampling
from sccl.dataloaders.manager import CellManager
from sccl.inputs import as_count, check_anndata, find_column
from sccl.model.cells import check_attached, own_cells, read_cells
from sccl.model.checks import as_row_numbers, check_setup
from sccl.model.fields import TextObsField, check_batches
from sccl.model.genes import align_genes
from sccl.model.history import clean_history
from sccl.model.query import ReferenceModel
from sccl.model.registration import RegisteredModel, check_setup_arguments
from sccl.model.saved import find_model
from sccl.model.signature import check_hyperparameters, show_signature
from sccl.model.training import Training, check_representation, check_training
from sccl.train import ContinuedRunner, ContrastiveTrainingPlan, RefreshNeighbors, quiet
from sccl.train.judgement import judge_embedding, judge_genes, judge_pairs, sample_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from sccl.augment import Augmentation
    from sccl.dataloaders import Sampling
    from sccl.train.plan import Schedule


# More pairs say nothing new about the readout's few axes.
MAX_PAIRS = 100_000


class CLModel(ReferenceModel, RegisteredModel):
    """Contrastive model of single cells; as it stands the recommended recipe.

    That is SimCLR, half of whose positives are mutual nearest neighbours in other batches (of populations that both batches
    hold), masked, on minibatches of one experimental batch each: what two batches agree on attracts, and contrasts cannot use
    the batch effect. Only cells of a population that is one batch's alone also come in minibatches of others, so that they
    stay apart (:class:`sccl.dataloaders.BatchSampling`). Afterwards each axis of the embedding is scaled by how well those
    neighbours agree on it (:class:`sccl.module.Readout`).

    Parameters
    ----------
    adata
        Log-expression, registered with :meth:`setup_anndata`.
    registry
        What was registered, in place of ``adata``: how :meth:`load` builds a model without its cells.
    n_hidden
        Width of the encoder's hidden layer, or one width for each of several.
    n_latent
        Width of the embedding.
    dropout_rate
        Dropout on the embedding while training, in ``[0, 1)``.
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
    _sampling: ClassVar[str | dict[str, Any]] = {"batch": {"min_shared": 0.5}}
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
        **architecture_kwargs: Any,
    ) -> None:
        if adata is not None:
            check_anndata(adata)
        super().__init__(adata, registry)
        # The registry is shared with other models of the same data; its model's name is not.
        self.registry_: dict[str, Any] = {**self.registry_, _MODEL_NAME_KEY: type(self).__name__}
        check_hyperparameters(type(self), architecture_kwargs)
        architecture_kwargs = {**self._architecture_defaults, **architecture_kwargs}
        self.module = module.ContrastiveModule(
            module.Encoder(self.summary_stats.n_vars, n_hidden=n_hidden, n_latent=n_latent, dropout_rate=dropout_rate),
            self._architecture_cls(n_latent, **architecture_kwargs),
        )
        self.init_params_ = self._get_init_params(locals())
        self._description = {"n_hidden": n_hidden, "n_latent": n_latent, **architecture_kwargs}

    @classmethod
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        layer: str | None = None,
        batch_key: str | None = None,
        labels_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Register the data. One call serves all models.

        Adds to ``adata``: ``obs["_scvi_batch"]``, ``obs["_scvi_labels"]`` and scvi-tools' identifiers in ``uns``.

        Parameters
        ----------
        adata
            Cells with log-expression, dense or sparse, in memory or backed; see :func:`sccl.pp.preprocess`.
        layer
            Layer with log-expression; ``X`` if None.
        batch_key
            Column of ``obs`` with the experimental batches. One batch if None. Batches are compared as text: 1, 1.0 and
            ``"1"`` are one.
        labels_key
            Column of ``obs`` with cell types, for those cells that have one; the others are -1 in ``obs["_scvi_labels"]``.
            Kept with the data for later use; training never sees them.

        Raises
        ------
        TypeError
            If ``adata`` is no AnnData, or if an argument is unknown.
        KeyError
            If ``layer``, ``batch_key`` or ``labels_key`` do not exist.
        ValueError
            If the data are a view, empty, hold NaN, infinite or negative values, raw counts or other values that are no
            log-expression, names that are not unique, cells without a batch, or if ``batch_key`` names cells instead of
            batches.
        """
        if isinstance(batch_key, list | tuple) and len(batch_key) == 1:
            (batch_key,) = batch_key
        setup_method_args = cls._get_setup_method_args(**locals())
        check_anndata(adata)
        check_setup_arguments(kwargs)
        source = kwargs.get("source_registry")
        # No model ever saw the labels, so new cells need none.
        takes_labels = source is None or (
            REGISTRY_KEYS.LABELS_KEY in source["field_registries"] and labels_key in (None, *adata.obs)
        )
        if batch_key is not None:
            check_batches(adata, batch_key, is_new=source is None)
        if labels_key is not None and takes_labels:
            find_column(adata.obs, labels_key, "labels_key")
        as_registered = check_setup(adata, layer=layer)
        registered = [
            # The rows are brought into form as they are read: the user's matrix stays as it is.
            fields.LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=False, correct_data_format=False),
            TextObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
        ]
        if takes_labels:
            registered.append(TextObsField(REGISTRY_KEYS.LABELS_KEY, labels_key))
        manager = CellManager(fields=registered, setup_method_args=setup_method_args)
        with cls._undone_if_it_fails(adata):
            manager.register_fields(adata, source)
            manager.registered = as_registered
            cls.register_manager(manager)

    def train(
        self,
        max_epochs: int | None = None,
        *,
        max_steps: int | None = None,
        augmentation: Compose | Augmentation | str | dict[str, Any] | None = None,
        sampling: Sampling | str | dict[str, Any] | None = None,
        use_rep: str | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        weight_decay: float = 1e-6,
        schedule: Schedule = "cosine",
        warmup: float = 0.05,
        train_size: float | None = None,
        validation_size: float | None = None,
        early_stopping: bool = False,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        **trainer_kwargs: Any,
    ) -> None:
        """Train the model.

        Parameters
        ----------
        max_epochs
            Number of passes over the training cells, at least 1.
        max_steps
            Number of minibatches to train on, at least 1, rounded up to whole passes. Training ends with whichever of the
            two comes first. Neither: 1000 steps, which is what training needs however many cells there are, but no more
            than 50 epochs, after which few cells are learned by heart; if the model's documentation names no others.
        augmentation
            What the two views are: the name of a preset, an augmentation or a composition, a torch function over
            cells × genes, or a mapping (see :func:`sccl.augment.from_config`). None: ``"cross_batch"``, if the
            model's documentation names no other. Where it takes positives from other batches, they determine the readout.
        sampling
            Which cells share a minibatch: ``"uniform"``, ``"batch"``, ``"neighbor"``, ``"batch+neighbor"``, a mapping or an
            object (see :func:`sccl.dataloaders.as_sampling`). None: ``{"batch": {"min_shared": 0.5}}``, if the model's
            documentation names no other: with minibatches of one experimental batch, contrasts cannot use the batch effect,
            and populations of one batch alone are contrasted with other batches, too.
        use_rep
            Key of ``obsm`` with the space in which augmentation and sampling look for neighbours, if they do. None: 50
            principal components.
        batch_size
            Size that minibatches do not exceed, at least 2. None: 256, if the model's documentation names no other.
        lr
            Largest learning rate, > 0. None: 5e-3, if the model's documentation names no other.
        weight_decay, schedule, warmup
            See :class:`sccl.train.ContrastiveTrainingPlan`.
        train_size
            Fraction of the cells to train on, in ``(0, 1]``. None: 0.9 if something asks for validation
            (``validation_size``, ``early_stopping``, ``enable_checkpointing``, ``check_val_every_n_epoch``), else all.
        validation_size
            Fraction of the cells to validate on, in ``(0, 1)``. None: all that are not trained on.
        early_stopping
            Stop when ``validation_loss`` no longer falls.
        accelerator, devices, **trainer_kwargs
            Passed to :class:`scvi.train.Trainer`.

        Raises
        ------
        ValueError, KeyError
            If an argument is out of range or unknown, or if there are fewer than two cells to train on.
        FloatingPointError
            If the loss is no longer finite.
        """
        if self.adata is None:
            raise ValueError("The model was loaded without cells: load it with `adata` to train it further.")
        asked = check_training(
            self._train_defaults,
            max_epochs=max_epochs,
            max_steps=max_steps,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            warmup=warmup,
            train_size=train_size,
            validation_size=validation_size,
            early_stopping=early_stopping,
            trainer=trainer_kwargs,
        )
        own_cells(self)
        views, minibatches, batch = self._bind(augmentation, sampling, use_rep)
        splitter = self._split(asked, views, minibatches)
        self._fit(asked, splitter, views, minibatches, accelerator=accelerator, devices=devices)
        if self._may_move:
            self._fit_readout(views.pairs, splitter.train_idx)
        self._judge(views, batch, splitter.train_idx, lr=asked.optimisation["lr"])

    def _bind(self, augmentation: Any, sampling: Any, use_rep: str | None) -> tuple[Compose, Sampling, np.ndarray]:
        """Return views and minibatches that know their neighbours, and the batches of the cells."""
        check_representation(self.adata, use_rep)
        views = as_compose(self._augmentation if augmentation is None else augmentation)
        minibatches = as_sampling(self._sampling if sampling is None else sampling)
        batch = np.asarray(self.adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY)).ravel()
        if views.needs_neighbors or minibatches.needs_neighbors:
            space = graph.CellSpace(self._neighbor_space(use_rep), batch)
            views, minibatches = views.bind(space), minibatches.bind(space)
        return views, minibatches, batch

    def _split(self, asked: Training, views: Compose, minibatches: Sampling) -> TwoViewDataSplitter:
        splitter = TwoViewDataSplitter(
            self.adata_manager,
            asked.train_size,
            asked.validation_size,
            seed=int(torch.randint(2**31, ())),
            batch_size=asked.batch_size,
            augmentation=views,
            sampling=minibatches,
        )
        if asked.validates and splitter.n_val == 0:
            raise ValueError(
                f"Validation was asked for, but `train_size={asked.train_size}` of {self.adata.n_obs} cells leaves none "
                "for it."
            )
        return splitter

    def _fit(
        self, asked: Training, splitter: TwoViewDataSplitter, views: Compose, minibatches: Sampling, **device: Any
    ) -> None:
        steps_per_epoch = splitter.steps_per_epoch
        n_epochs = asked.n_epochs(steps_per_epoch)
        plan = ContrastiveTrainingPlan(self.module, n_steps=n_epochs * steps_per_epoch, **asked.optimisation)
        self._before_training()
        trainer = dict(asked.trainer)
        if views.refresh_every or minibatches.refresh_every:
            embed = partial(self._embed, RowReader(self._expression()), np.arange(self.adata.n_obs))
            trainer["callbacks"] = [*trainer["callbacks"], RefreshNeighbors(embed)]
        with quiet():
            runner = ContinuedRunner(
                self, training_plan=plan, data_splitter=splitter, max_epochs=n_epochs, **device, **trainer
            )
            self.module.train()
            try:
                runner()
            except FloatingPointError:
                self.is_trained_ = False  # also if it was before
                raise

    def _judge(self, views: Compose, batch: np.ndarray, cells: np.ndarray, *, lr: float) -> None:
        """Look at what came out, as the user will."""
        reader, cells = RowReader(self._expression()), sample_cells(cells)
        try:
            judge_embedding(self._embed(reader, cells, readout=False), lr=lr)
        except FloatingPointError:
            self.is_trained_ = False
            raise
        if views.n_pairs is not None:
            judge_pairs(views.n_pairs, batch)
            csr, rows = reader.read(cells)
            names = self.adata_manager.get_state_registry(REGISTRY_KEYS.BATCH_KEY)["categorical_mapping"]
            judge_genes(csr[rows], batch[cells], list(names))

    def get_latent_representation(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
        *,
        projection: bool = False,
        readout: bool = True,
    ) -> np.ndarray:
        """Return the embedding of cells. It does not depend on which other cells are embedded.

        Parameters
        ----------
        adata
            Cells, normalised like those that the model was trained on; those if None. Genes are matched by name, further
            genes are left out, and batches need not be known. All genes must be there; :meth:`map_query` does without some.
            Left as it is.
        indices
            Row numbers, in any order and repeated if wanted, or a boolean mask. All cells if None.
        batch_size
            Cells per forward pass; changes nothing but memory use. None: 1024.
        projection
            Return what the loss sees, the output of the projector, instead.
        readout
            Scale the axes by how well cells agree on them with their positives of other batches, see
            :class:`sccl.module.Readout`; the last ones may be zero for all cells. False: return the encoder's output; the same
            where training knew no such positives.

        Returns
        -------
        float32, shape ``(n_cells, n_latent)``.

        Raises
        ------
        RuntimeError
            If the model was not trained.
        ValueError
            If genes are missing; if values cannot be log-expression, or were preprocessed differently from those that the
            model was trained on; if the model's own cells were changed since they were registered; or if there are none.
        IndexError
            If an index lies outside of the data.
        """
        self._check_if_trained(warn=False)
        reader = RowReader(own_cells(self) if adata is None else read_cells(self, adata)[0])
        cells = as_row_numbers(indices, reader.shape[0])
        return self._embed(reader, cells, batch_size=batch_size, projection=projection, readout=readout)

    @property
    def history(self) -> dict[str, pd.DataFrame] | None:
        """What was logged in training: for each metric a float column, indexed by epoch. None before training."""
        return None if self.history_ is None else clean_history(self.history_)

    @classmethod
    def load(cls, dir_path: str, adata: AnnData | None = None, **kwargs: Any) -> Self:
        """Load a saved model; its embeddings are those of the model that was saved, bit for bit on the same kind of device.

        Parameters
        ----------
        dir_path
            Directory that ``save`` wrote.
        adata
            Cells to attach. Genes are matched by name: where they stand in another order, or there are more of them, a
            copy with the model's genes is attached. None: those saved with the model, if any. False: none.
        **kwargs
            See :meth:`scvi.model.base.BaseModelClass.load`.

        Raises
        ------
        ValueError
            If no model was saved there, if genes are missing, or if the model is of another class.
        """
        if kwargs.get("backup_url") is None:
            find_model(dir_path, kwargs.get("prefix"))
        if adata is None or adata is False:
            with quiet():
                return check_attached(super().load(dir_path, adata, **kwargs))
        check_anndata(adata)
        registry = cls.load_registry(dir_path, prefix=kwargs.get("prefix"))
        aligned = align_genes(adata, registry["field_registries"]["X"]["state_registry"]["column_names"])
        adata = aligned.copy() if aligned is not adata else adata
        with quiet(), cls._undone_if_it_fails(adata):
            return check_attached(super().load(dir_path, adata, **kwargs))

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={value!r}" for name, value in self._description.items())
        stats = self.summary_stats
        return (
            f"{type(self).__name__}({parameters}), {'trained' if self.is_trained else 'not trained'}: "
            f"{stats.n_cells} cells × {stats.n_vars} genes, {stats.n_batch} batches"
        )

    @torch.inference_mode()
    def _embed(
        self, reader: RowReader, cells: np.ndarray, *, batch_size: int | None = None, **output: bool
    ) -> np.ndarray:
        batch_size = as_count(1024 if batch_size is None else batch_size, "batch_size")
        self.module.eval()
        parts = []
        for start in range(0, max(cells.size, 1), batch_size):
            csr, rows = reader.read(cells[start : start + batch_size])
            x_ng = Compose([]).fill(torch.empty(rows.size, reader.shape[1]), csr, rows, [])
            parts.append(self.module.represent(x_ng.to(self.device), **output).cpu().numpy())
        return np.concatenate(parts)

    def _fit_readout(self, pairs: np.ndarray, cells: np.ndarray) -> None:
        cells = np.sort(cells)
        pairs = pairs[np.isin(pairs, cells).all(axis=1)]
        if len(pairs) > MAX_PAIRS:
            drawn = torch.randperm(len(pairs))[:MAX_PAIRS]
            pairs = pairs[np.sort(drawn.numpy())]
        if len(pairs):
            h_nd = self._embed(RowReader(self._expression()), cells)
            self.module.readout.fit(h_nd, np.searchsorted(cells, pairs))

    def _neighbor_space(self, use_rep: str | None) -> np.ndarray:
        if use_rep is not None:
            return graph.representation(self.adata, use_rep=use_rep)
        csr, _ = RowReader(self._expression()).read(np.arange(self.adata.n_obs))
        # one cell, or one gene, has no components
        return graph.representation(AnnData(csr)) if min(csr.shape) > 1 else csr.toarray()

    def _expression(self) -> Any:
        return self.adata_manager.get_from_registry(REGISTRY_KEYS.X_KEY)


show_signature(CLModel)

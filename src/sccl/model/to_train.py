"""The cells that a training reads, in memory or on disk: what each way has to say for itself."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scvi import REGISTRY_KEYS

from sccl import graph
from sccl.augment import ModalityCompose, as_compose
from sccl.dataloaders import RowReader, TwoViewDataSplitter, as_sampling
from sccl.dataloaders.store import Residents, StoreSplitter
from sccl.dataloaders.store.runs import draw_runs, rows_of
from sccl.inputs.store import CellStore
from sccl.model.cells import own_cells
from sccl.model.neighbors import neighbor_space
from sccl.model.outcome import MAX_CELLS, fit_readout, judge, judge_rows, some_pairs
from sccl.model.registration import OUTER_BATCH_KEY
from sccl.model.store_embedding import check_genes, describe_store
from sccl.model.training import check_representation

if TYPE_CHECKING:
    from sccl.augment import Compose
    from sccl.dataloaders import Sampling
    from sccl.model.training import Training


class Cells(Protocol):
    """What a training asks of its cells."""

    @property
    def identity(self) -> list[Any]:
        """What tells them from other cells."""

    def choose(self, augmentation: Any, sampling: Any, use_rep: str | None, protein_augmentation: Any) -> None:
        """Say what the views are and which cells share a minibatch; what the cells cannot do is refused."""

    def load(self, asked: Training, *, seed: int) -> tuple[Compose, Sampling, Any]:
        """Return views and minibatches that know their neighbours, and what loads cells to train and to validate."""

    def fit_readout(self, views: Compose) -> None:
        """Fit the readout, if it may move."""

    def judge(self, views: Compose, *, lr: float) -> None:
        """Look at what came out."""


class OwnCells:
    """Those that the model, a :class:`sccl.model.learning.LearningModel`, was registered with."""

    def __init__(self, model: Any) -> None:
        if model.adata is None:
            raise ValueError(
                "The model was loaded without cells: load it with `adata` to train it further, or pass `datamodule`."
            )
        own_cells(model)
        self._model = model

    @property
    def identity(self) -> list[Any]:
        """See :class:`Cells`."""
        manager = self._model.adata_manager
        shape, checksum, _ = manager.registered.fingerprint
        batch = np.asarray(manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY), dtype=np.int64)
        return [*shape, checksum, zlib.crc32(batch.tobytes())]

    def choose(self, augmentation: Any, sampling: Any, use_rep: str | None, protein_augmentation: Any) -> None:
        """See :class:`Cells`."""
        model, manager = self._model, self._model.adata_manager
        check_representation(model.adata, use_rep)
        views = as_compose(model._augmentation if augmentation is None else augmentation)
        if manager.proteins is not None:
            views = ModalityCompose(views, None if protein_augmentation is None else as_compose(protein_augmentation))
        elif protein_augmentation is not None:
            raise ValueError(
                "`protein_augmentation`: the model reads RNA alone; register proteins, `protein_obsm_key=...`."
            )
        minibatches = as_sampling(model._sampling if sampling is None else sampling)
        inner, self._batch = (
            manager.get_from_registry(key).ravel() for key in (REGISTRY_KEYS.BATCH_KEY, self._outer_key)
        )
        if views.needs_neighbors or minibatches.needs_neighbors:
            space = graph.CellSpace(neighbor_space(model, use_rep), self._batch, inner)
            views, minibatches = views.bind(space), minibatches.bind(space)
        self._views, self._minibatches = views, minibatches

    def load(self, asked: Training, *, seed: int) -> tuple[Compose, Sampling, TwoViewDataSplitter]:
        """See :class:`Cells`."""
        model = self._model
        self._splitter = TwoViewDataSplitter(
            model.adata_manager,
            asked.train_size,
            asked.validation_size,
            seed=seed,
            batch_size=asked.batch_size,
            augmentation=self._views,
            sampling=self._minibatches,
        )
        if asked.validates and self._splitter.n_val == 0:
            raise ValueError(
                f"Validation was asked for, but `train_size={asked.train_size}` of {model.adata.n_obs} cells leaves none "
                "for it."
            )
        return self._views, self._minibatches, self._splitter

    def fit_readout(self, views: Compose) -> None:
        """See :class:`Cells`."""
        if self._model._may_move:
            fit_readout(self._model, views.pairs, self._splitter.train_idx)

    def judge(self, views: Compose, *, lr: float) -> None:
        """See :class:`Cells`."""
        model, cells = self._model, self._splitter.train_idx
        names = list(model.adata_manager.get_state_registry(self._outer_key)["categorical_mapping"])
        judge(model, views, self._batch, cells, names=names, lr=lr)

    @property
    def _outer_key(self) -> str:
        """Where the batches are registered that pairs are looked for across."""
        registered = self._model.adata_manager.data_registry
        return OUTER_BATCH_KEY if OUTER_BATCH_KEY in registered else REGISTRY_KEYS.BATCH_KEY


class StoredCells:
    """Those of a store on disk. Of each batch some are in memory, its residents: pairs are looked for among them."""

    def __init__(self, model: Any, store: CellStore) -> None:
        check_genes(store, model.get_var_names())
        if model.adata is not None:
            raise ValueError(
                "`datamodule`: the model has cells of its own already; make one of the store, `CLModel(registry=store.registry)`."
            )
        self._model, self._store = model, store

    @property
    def identity(self) -> list[Any]:
        """See :class:`Cells`."""
        return [*self._store.shape, zlib.crc32(self._store.codes.tobytes())]

    def choose(self, augmentation: Any, sampling: Any, use_rep: str | None, protein_augmentation: Any) -> None:
        """See :class:`Cells`."""
        self._views = as_compose(self._model._augmentation if augmentation is None else augmentation)
        self._minibatches = as_sampling(self._model._sampling if sampling is None else sampling)
        if protein_augmentation is not None:
            raise ValueError("`protein_augmentation`: a store holds RNA alone.")
        _check_parts(self._views, self._minibatches, use_rep)

    def load(self, asked: Training, *, seed: int) -> tuple[Compose, Sampling, StoreSplitter]:
        """See :class:`Cells`."""
        model, store, views, minibatches = self._model, self._store, self._views, self._minibatches
        splitter = StoreSplitter(store, asked.train_size, asked.validation_size, seed=seed)
        self._residents = Residents.draw(store, splitter.train_runs, np.random.default_rng(0))
        is_bound = views.needs_neighbors or minibatches.needs_neighbors
        if is_bound:
            views, minibatches = views.bind(self._residents.space), minibatches.bind(self._residents.space)
        self._runs = splitter.train_runs
        splitter.bind(
            residents=self._residents if is_bound else None,
            augmentation=views,
            sampling=minibatches,
            batch_size=asked.batch_size,
        )
        if model.input_ is None:
            model.input_ = describe_store(store)
        return views, minibatches, splitter

    def fit_readout(self, views: Compose) -> None:
        """See :class:`Cells`."""
        model, reader = self._model, RowReader(self._residents.csr)
        pairs = some_pairs(views.pairs)
        if model._may_move and len(pairs):
            rows = rows_of(draw_runs(self._runs, MAX_CELLS, np.random.default_rng(0)))
            paired, place = np.unique(pairs, return_inverse=True)
            h_nd = np.concatenate(
                [
                    model.get_latent_representation(self._store, rows, readout=False),
                    model._embed(reader, paired, readout=False),
                ]
            )
            pairs = rows.size + place.reshape(pairs.shape)
            model.module.readout.fit(h_nd, pairs, any_cells=np.arange(rows.size))

    def judge(self, views: Compose, *, lr: float) -> None:
        """See :class:`Cells`."""
        reader, batch = RowReader(self._residents.csr), self._residents.outer
        judge_rows(self._model, views, reader, batch, np.arange(batch.size), names=self._store.outer_batches, lr=lr)


def cells_to_train(model: Any, datamodule: CellStore | str | os.PathLike[str] | None) -> Cells:
    """Return the cells of a training.

    Raises
    ------
    ValueError
        If the model has no cells, or if they were changed; if a store has other genes than the model, or is none.
    TypeError
        If ``datamodule`` is something else.
    """
    if datamodule is None:
        return OwnCells(model)
    if isinstance(datamodule, str | os.PathLike):
        datamodule = CellStore(Path(datamodule))
    if not isinstance(datamodule, CellStore):
        raise TypeError(
            f"`datamodule` must be a store of preprocessed cells, found {type(datamodule).__name__}: write one, "
            "`sccl.pp.preprocess_to(store, files, ...)`, or open it, `sccl.pp.CellStore(store)`."
        )
    return StoredCells(model, datamodule)


def _check_parts(views: Compose, minibatches: Sampling, use_rep: str | None) -> None:
    """Refuse what needs all cells in memory."""
    if use_rep is not None:
        raise ValueError(
            "`use_rep`: a store has no `obsm`; leave it out, neighbours are looked for in principal components."
        )
    for name, part in (("augmentation", views), ("sampling", minibatches)):
        if part.refresh_every or hasattr(part, "p_knn"):
            raise ValueError(
                f"`{name}`: {part!r} looks at the neighbours of all cells, which are not in memory: choose another one, for "
                'example "cross_batch" and "batch", or load the cells.'
            )

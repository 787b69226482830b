"""What is done with a model once it has learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from sccl.dataloaders import RowReader
from sccl.train.judgement import judge_embedding, judge_genes, judge_pairs, sample_cells

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from sccl.augment import Compose
    from sccl.model.embedding import EmbeddingModel

# More pairs say nothing new about the readout's few axes, nor do more cells about how all of them vary.
MAX_PAIRS = MAX_CELLS = 100_000


def some_pairs(pairs: np.ndarray) -> np.ndarray:
    """Return pairs, at random no more than there is a use for."""
    if len(pairs) <= MAX_PAIRS:
        return pairs
    return pairs[np.sort(torch.randperm(len(pairs))[:MAX_PAIRS].numpy())]


def fit_readout(model: EmbeddingModel, pairs: np.ndarray, cells: np.ndarray) -> None:
    """Fit the readout to pairs of cells that were trained on."""
    pairs = some_pairs(pairs[np.isin(pairs, cells).all(axis=1)])
    if not len(pairs):
        return
    if cells.size > MAX_CELLS:
        cells = np.random.default_rng(0).choice(cells, MAX_CELLS, replace=False)
    asked = np.union1d(cells, pairs)
    h_nd = model._embed(model._own_reader(), asked)
    any_cells = np.searchsorted(asked, np.sort(cells))
    model.module.readout.fit(h_nd, np.searchsorted(asked, pairs), any_cells=any_cells)


def share_outcome(model: EmbeddingModel, trainer: pl.Trainer) -> None:
    """Give all processes of a training the network, the readout among it, and the history of the first one."""
    state, history = trainer.strategy.broadcast((model.module.state_dict(), model.history_))
    model.module.load_state_dict(state)
    model.history_ = history


def judge(
    model: EmbeddingModel, views: Compose, batch: np.ndarray, cells: np.ndarray, *, names: list[str], lr: float
) -> None:
    """Look at what came out, as the user will; see :mod:`sccl.train.judgement`."""
    judge_rows(model, views, model._own_reader(), batch, cells, names=names, lr=lr)


def judge_rows(
    model: EmbeddingModel,
    views: Compose,
    reader: RowReader,
    batch: np.ndarray,
    cells: np.ndarray,
    *,
    names: list[str],
    lr: float,
) -> None:
    """Look at some of the cells of a matrix, whose batches are ``batch``."""
    cells = sample_cells(cells)
    judge_embedding(model._embed(reader, cells, readout=False), lr=lr)
    is_one_batch_of_several = np.unique(batch).size == 1 < model.summary_stats.n_batch  # new cells, of a reference
    if views.n_pairs is not None and not is_one_batch_of_several:
        judge_pairs(views.n_pairs, batch)
        csr, rows = reader.read(cells)
        judge_genes(csr[rows], batch[cells], names)

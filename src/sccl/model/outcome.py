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

# More pairs say nothing new about the readout's few axes.
MAX_PAIRS = 100_000


def fit_readout(model: EmbeddingModel, pairs: np.ndarray, cells: np.ndarray) -> None:
    """Fit the readout to pairs of cells that were trained on."""
    cells = np.sort(cells)
    pairs = pairs[np.isin(pairs, cells).all(axis=1)]
    if len(pairs) > MAX_PAIRS:
        drawn = torch.randperm(len(pairs))[:MAX_PAIRS]
        pairs = pairs[np.sort(drawn.numpy())]
    if len(pairs):
        h_nd = model._embed(RowReader(model._expression()), cells)
        model.module.readout.fit(h_nd, np.searchsorted(cells, pairs))


def share_outcome(model: EmbeddingModel, trainer: pl.Trainer) -> None:
    """Give all processes of a training the network, the readout among it, and the history of the first one."""
    state, history = trainer.strategy.broadcast((model.module.state_dict(), model.history_))
    model.module.load_state_dict(state)
    model.history_ = history


def judge(
    model: EmbeddingModel, views: Compose, batch: np.ndarray, cells: np.ndarray, *, names: list[str], lr: float
) -> None:
    """Look at what came out, as the user will; see :mod:`sccl.train.judgement`."""
    reader, cells = RowReader(model._expression()), sample_cells(cells)
    judge_embedding(model._embed(reader, cells, readout=False), lr=lr)
    is_one_batch_of_several = np.unique(batch).size == 1 < model.summary_stats.n_batch  # new cells, of a reference
    if views.n_pairs is not None and not is_one_batch_of_several:
        judge_pairs(views.n_pairs, batch)
        csr, rows = reader.read(cells)
        judge_genes(csr[rows], batch[cells], names)

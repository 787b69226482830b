"""Views for anybody's training loop: plain torch datasets, no model needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sccl import graph, pp
from sccl.augment.compose import Compose
from sccl.augment.config import from_config
from sccl.inputs.csr import as_csr
from sccl.inputs.names import unknown

if TYPE_CHECKING:
    from anndata import AnnData

    from sccl.augment.reference import Semantics

DATA_KEYS = ("data_path", "batch_key", "n_hvgs", "holdout_batch")


class CellsDataset(Dataset):
    """Cells as they are.

    Items are ``(x, cell)``: log-expression, float32, shape ``(n_genes,)``, and the row number.

    Parameters
    ----------
    x
        Log-expression, cells × genes, dense or sparse.
    """

    def __init__(self, x: Any) -> None:
        self.csr = as_csr(x)

    def __len__(self) -> int:
        return self.csr.shape[0]

    def __getitem__(self, cell: int) -> Any:
        return self.__getitems__([cell])[0]

    def __getitems__(self, cells: Sequence[int]) -> list[Any]:
        """Fetch a batch at once, as torch's data loader asks for it."""
        rows = self._rows(cells)
        x_ng = Compose([]).fill(torch.empty(rows.size, self.csr.shape[1]), self.csr, rows, [])
        return list(zip(x_ng, cells, strict=True))

    def _rows(self, cells: Sequence[int]) -> np.ndarray:
        rows = np.asarray(cells, dtype=np.int64)
        for cell in rows[(rows < 0) | (rows >= len(self))]:
            raise IndexError(f"There is no cell {cell}: the data set has cells 0 to {len(self) - 1}.")
        return rows


class TwoViewDataset(CellsDataset):
    """Two views of each cell.

    Items are ``((view_1, view_2), cell)``: float32, shape ``(n_genes,)`` each, and the row number. The views are new each
    time; they are drawn from torch's default generator, so that worker processes differ and ``torch.manual_seed``
    repeats them.

    Parameters
    ----------
    x
        Log-expression, cells × genes, dense or sparse.
    augmentation
        What the views are. If it borrows from neighbours, bind it first.
    """

    def __init__(self, x: Any, augmentation: Compose) -> None:
        super().__init__(x)
        self.augmentation = augmentation

    def __getitems__(self, cells: Sequence[int]) -> list[Any]:
        """Fetch a batch at once, as torch's data loader asks for it."""
        rows, pool = self._rows(cells), np.arange(len(self))
        seed = int(torch.randint(2**63 - 1, ()))
        views = []
        for view in range(2):
            steps = self.augmentation.draw(rows, pool=pool, seed=seed, epoch=0, view=view)
            views.append(self.augmentation.fill(torch.empty(rows.size, self.csr.shape[1]), self.csr, rows, steps))
        return list(zip(zip(*views, strict=True), cells, strict=True))


def load_data(
    config: Mapping[str, Any], *, semantics: Semantics = "corrected"
) -> tuple[TwoViewDataset, CellsDataset, AnnData]:
    """Load cells and augmentations as the reference benchmark configures them.

    Parameters
    ----------
    config
        ``data``: ``data_path`` (an ``.h5ad`` file with raw counts in ``X``), ``batch_key`` (column of ``obs``; default
        ``"batch"``), ``n_hvgs`` (genes to keep; default 2000) and ``holdout_batch`` (a batch, or several, to leave out).
        ``augmentation``: see :func:`from_config`.
    semantics
        See :func:`from_config`.

    Returns
    -------
    Two views of each cell, the cells as they are, and the preprocessed cells. The genes are chosen on the cells that
    are not held out.

    Raises
    ------
    KeyError
        If a key is missing or unknown.
    ValueError
        If the file does not exist, does not hold counts, or nothing is left of it.

    Examples
    --------
    >>> config = {"data": {"data_path": "pbmc.h5ad"}, "augmentation": {"mask": {"fraction": 0.4}}}
    >>> train_dataset, val_dataset, adata = load_data(config)
    >>> for (view_1, view_2), cells in DataLoader(train_dataset, batch_size=256, shuffle=True):
    ...     loss = ntxent(network(view_1), network(view_2))
    """
    import anndata as ad

    for part in ("data", "augmentation"):
        if part not in config:
            raise KeyError(f"`config` lacks {part!r}; it has {list(config)}.")
    augmentation = from_config(config["augmentation"], semantics=semantics)
    data = config["data"]
    for key in data:
        if key not in DATA_KEYS:
            raise KeyError(unknown("key of `config['data']`", key, DATA_KEYS))
    if "data_path" not in data:
        raise KeyError(f"`config['data']` lacks 'data_path'; it has {list(data)}.")
    path = Path(data["data_path"])
    if not path.is_file():
        raise ValueError(f"`data_path`: {str(path)!r} is not a file.")
    batch_key = data.get("batch_key", "batch")
    adata = ad.read_h5ad(path)
    if batch_key not in adata.obs:
        raise KeyError(f"`batch_key`: {batch_key!r} is not in adata.obs, which holds {list(adata.obs)}.")
    held_out = data.get("holdout_batch")
    if held_out is not None:
        held_out = list(held_out) if isinstance(held_out, Iterable) and not isinstance(held_out, str) else [held_out]
        absent = set(held_out) - set(adata.obs[batch_key])
        if absent:
            raise ValueError(f"`holdout_batch`: {sorted(map(str, absent))} are no batches of adata.obs[{batch_key!r}].")
        adata = adata[~adata.obs[batch_key].isin(held_out)].copy()
    pp.preprocess(adata, batch_key=batch_key, n_top_genes=data.get("n_hvgs", 2000))
    if augmentation.needs_neighbors:
        augmentation = augmentation.bind(graph.CellSpace(graph.representation(adata), adata.obs[batch_key].to_numpy()))
    return TwoViewDataset(adata.X, augmentation), CellsDataset(adata.X), adata

"""RNA and proteins of the same cells, read and changed together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sccl.augment import Compose, ModalityCompose
from sccl.augment.sparse import SparseRows, rows_of
from sccl.dataloaders.rows import RowReader

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from sccl.dataloaders.request import CellBatch

#: What the modalities are called.
RNA, PROTEIN = "rna", "protein"
MODALITIES = (RNA, PROTEIN)


class ModalityReader(RowReader):
    """Read rows of RNA as a :class:`RowReader` does, and of proteins beside it.

    Parameters
    ----------
    x
        Expression, cells × genes.
    proteins
        Float32, cells × proteins; a row without values has not been measured.
    modality
        ``"rna"`` or ``"protein"``: read that alone. None: both.
    """

    def __init__(self, x: Any, proteins: csr_matrix, modality: str | None = None) -> None:
        super().__init__(x)
        self.proteins, self.modality = proteins, modality


def as_inputs(
    reader: RowReader, cells: np.ndarray, *, sparse: bool = False
) -> torch.Tensor | SparseRows | dict[str, torch.Tensor]:
    """Return cells as a network reads them.

    Returns
    -------
    Float32, cells × genes, or the same without its zeros, ``sparse``. From a :class:`ModalityReader` such a tensor for each modality, with rows of NaN for the cells of
    which it was not measured.
    """
    if not isinstance(reader, ModalityReader):
        csr, rows = reader.read(cells)
        return rows_of(csr, rows) if sparse else _as_tensor(csr, rows)
    inputs = {}
    if reader.modality in (None, RNA):
        inputs[RNA] = _with_nan(*reader.read(cells))
    if reader.modality in (None, PROTEIN):
        inputs[PROTEIN] = _with_nan(reader.proteins, cells)
    return inputs


def views_of(batch: CellBatch, augmentation: Compose) -> dict[str, torch.Tensor]:
    """Return the two views of a minibatch in each modality, 2 × cells × features, with the same partners in both."""
    assert isinstance(augmentation, ModalityCompose) and batch.proteins is not None
    return {
        name: torch.stack(
            [augmentation.views(csr, request.cells, steps, of_protein=name == PROTEIN) for steps in request.steps]
        )
        for name, csr, request in ((RNA, batch.csr, batch.request), (PROTEIN, *batch.proteins))
    }


def _as_tensor(csr: csr_matrix, rows: np.ndarray) -> torch.Tensor:
    return Compose([]).fill(torch.empty(rows.size, csr.shape[1]), csr, rows, [])


def _with_nan(csr: csr_matrix, rows: np.ndarray) -> torch.Tensor:
    x_ng = _as_tensor(csr, rows)
    x_ng[torch.from_numpy(np.diff(csr.indptr)[rows] == 0)] = torch.nan
    return x_ng

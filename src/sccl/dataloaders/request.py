"""What is asked of the data for one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from sccl.augment.plan import Step


class Reader(Protocol):
    """What reads rows, see :class:`sccl.dataloaders.RowReader`."""

    def read(self, rows: np.ndarray) -> tuple[csr_matrix, np.ndarray]:
        """Return a matrix that holds the rows, and where in it each of them stands."""


class Request(NamedTuple):
    """The cells of a batch and what was drawn for its views, before any value is read.

    Attributes
    ----------
    cells
        Row numbers, int64, shape ``(n_cells,)``.
    steps
        For each view, what :meth:`sccl.augment.Compose.draw` gave.
    """

    cells: np.ndarray
    steps: tuple[list[Step], ...]

    def read(self, reader: Reader) -> tuple[csr_matrix, Request]:
        """Read the cells and all that they borrow in one go.

        Returns
        -------
        The matrix that holds the rows, and this request with rows counted in that matrix.
        """
        drawn = [step.partners for steps in self.steps for step in steps]
        rows = np.concatenate([self.cells, *(partners.ravel() for partners in drawn)])
        borrows = rows >= 0
        csr, position = reader.read(rows[borrows])
        rows[borrows] = position
        cells, *partners = np.split(rows, np.cumsum([self.cells.size, *(p.size for p in drawn)])[:-1])
        local = iter(p.reshape(shape.shape) for p, shape in zip(partners, drawn, strict=True))
        return csr, Request(
            cells, tuple([step._replace(partners=next(local)) for step in steps] for steps in self.steps)
        )


class CellBatch(NamedTuple):
    """The rows that a request asked for.

    Attributes
    ----------
    request
        The request, with rows counted in ``csr``.
    cells
        Row numbers of the cells in the data.
    batch
        Codes of the cells' experimental batches, int64, shape ``(n_cells,)``.
    csr
        Float32 matrix that holds the rows.
    proteins
        The request with rows counted in a matrix of proteins, and that matrix; None: there are no proteins.
    """

    request: Request
    cells: np.ndarray
    batch: np.ndarray
    csr: csr_matrix
    proteins: tuple[csr_matrix, Request] | None = None

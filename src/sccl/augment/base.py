"""The contract of an augmentation: what it borrows, and what it does to a row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from sccl.augment.view import make_view
from sccl.inputs.arguments import lies_in

if TYPE_CHECKING:
    import torch

    from sccl.graph import CellSpace


class Operation(NamedTuple):
    """One instruction of the fused CPU pass.

    Attributes
    ----------
    function
        The row function, see :func:`sccl.augment.row_function`.
    parameters
        Its parameters.
    is_sparse
        Whether a row has no more non-zeros afterwards than before, on average, and none where neither it nor a row that it
        borrows has one. Where that is so of all instructions, views are kept as sparse rows.
    """

    function: Any
    parameters: tuple[float, ...]
    is_sparse: bool = False


class Augmentation(ABC):
    """A random change of cells, declared once and run in two places.

    Subclasses are frozen dataclasses whose fields are the whole configuration. They give a torch
    implementation over whole batches (:meth:`apply`), which runs on any device, and, if they are to be part of
    the fused pass over sparse rows on the CPU, an :meth:`operation`.

    Attributes
    ----------
    p
        Chance in ``[0, 1]`` that a cell is changed, drawn anew for each cell and view.
    needs_neighbors
        Whether it must know who is near whom (:meth:`bind`) before it can choose partners.
    refresh_every
        Number of epochs after which it wants to see the embedding that is being learned (:meth:`refresh`), or None.
    """

    p: float
    needs_neighbors: ClassVar[bool] = False
    refresh_every: int | None = None

    @property
    def n_partners(self) -> int:
        """How many other cells each cell borrows from."""
        return 0

    @property
    def pairs(self) -> np.ndarray:
        """Cells that it holds to be of one kind, row numbers, shape ``(n_pairs, 2)``; none before :meth:`bind`."""
        return np.empty((0, 2), np.int32)

    @property
    def n_pairs(self) -> int | None:
        """Number of pairs of cells of two batches that :meth:`bind` found to be alike; None if it looks for none."""
        return None

    @abstractmethod
    def apply(self, x_ng: torch.Tensor, partners_png: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Change every cell (``p`` is none of its business).

        Parameters
        ----------
        x_ng
            Log-expression, cells × genes. Not to be written to.
        partners_png
            The borrowed rows, ``n_partners`` × cells × genes.
        generator
            Source of randomness, on the device of ``x_ng``.

        Returns
        -------
        The changed cells, of the shape of ``x_ng``.
        """

    def partners(self, cells: np.ndarray, keys: np.ndarray, *, view: int, pool: np.ndarray) -> np.ndarray:
        """Choose the rows that the cells borrow from.

        Parameters
        ----------
        cells
            Row numbers of the cells, shape ``(n_cells,)``.
        keys
            One key per cell to draw with, see :mod:`sccl.augment.keys`.
        view
            0 or 1.
        pool
            Row numbers that may be borrowed from.

        Returns
        -------
        int64 row numbers, shape ``(n_partners, n_cells)``; a cell that lacks one, -1, is not changed.
        """
        raise NotImplementedError(
            f"{type(self).__name__} declares n_partners={self.n_partners} but does not choose them."
        )

    def bind(self, space: CellSpace) -> Self:
        """Return this augmentation with the neighbours that it borrows from.

        Parameters
        ----------
        space
            All cells where neighbours are looked for, usually in 50 principal components, and their batches.
        """
        return self

    def refresh(self, latent_nd: np.ndarray) -> Self:
        """Return this augmentation with neighbours as the learned embedding, all cells × dimensions, has them."""
        return self

    def operation(self) -> Operation | None:
        """Return the instruction of the fused CPU pass, or None: then :meth:`apply` runs there, too."""
        return None

    def __call__(self, x_ng: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
        """Change each cell of a tensor with chance ``p``; see :meth:`sccl.augment.Compose.__call__`."""
        return make_view([self], x_ng, generator)


def check_interval(augmentation: Augmentation, interval: str, *names: str) -> None:
    """Raise a ValueError unless the named fields are numbers in an interval, such as ``"[0, 1]"``."""
    for name in names:
        value = getattr(augmentation, name)
        if not lies_in(value, interval):
            raise ValueError(f"{type(augmentation).__name__}: `{name}` must be in {interval}, found {value!r}.")

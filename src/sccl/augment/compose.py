"""Augmentations in a row: what a view is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sccl.augment.base import Augmentation, Operation
from sccl.augment.function import Function
from sccl.augment.fused import run_fused
from sccl.augment.plan import Step, draw_steps
from sccl.augment.sparse import SparseRows, run_sparse
from sccl.augment.view import apply_step, apply_steps, make_view

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix

    from sccl.graph import CellSpace


@dataclass(frozen=True, init=False)
class Compose:
    """Apply augmentations one after the other; the order is free.

    Parameters
    ----------
    augmentations
        :class:`Augmentation` objects, other compositions, or plain torch functions that take cells × genes and
        return a tensor of the same shape. A function draws from torch's default generator, which is seeded for it.

    Examples
    --------
    >>> pipeline = sccl.augment.Compose([sccl.augment.Mask(0.2), lambda x: x.clamp(max=3.0)])
    >>> view = pipeline(torch.rand(8, 100))
    """

    augmentations: tuple[Augmentation, ...]

    def __init__(
        self, augmentations: Iterable[Augmentation | Compose | Callable[[torch.Tensor], torch.Tensor]]
    ) -> None:
        flat: list[Augmentation] = []
        for item in augmentations:
            if isinstance(item, Compose):
                flat.extend(item.augmentations)
            elif isinstance(item, Augmentation):
                flat.append(item)
            elif callable(item):
                flat.append(Function(item))
            else:
                raise ValueError(
                    f"`augmentations` must hold augmentations or functions of a tensor, found {type(item).__name__}."
                )
        object.__setattr__(self, "augmentations", tuple(flat))

    @property
    def needs_neighbors(self) -> bool:
        """Whether :meth:`bind` must be called before views are drawn."""
        return any(augmentation.needs_neighbors for augmentation in self.augmentations)

    @property
    def n_pairs(self) -> int | None:
        """Number of pairs of cells of two batches that it found; None if it looks for none."""
        found = [one.n_pairs for one in self.augmentations if one.n_pairs is not None]
        return sum(found) if found else None

    def bind(self, space: CellSpace) -> Compose:
        """Return this composition with the neighbours that it borrows from, see :meth:`Augmentation.bind`."""
        return Compose([augmentation.bind(space) for augmentation in self.augmentations])

    @property
    def pairs(self) -> np.ndarray:
        """Cells that its augmentations hold to be of one kind, see :attr:`Augmentation.pairs`."""
        return np.concatenate([np.empty((0, 2), np.int32), *(one.pairs for one in self.augmentations)])

    @property
    def refresh_every(self) -> int | None:
        """Number of epochs after which :meth:`refresh` is to be called; the shortest that one of them asks for."""
        return min((one.refresh_every for one in self.augmentations if one.refresh_every), default=None)

    def refresh(self, latent_nd: np.ndarray) -> Compose:
        """Let those that asked for it follow the learned embedding, see :meth:`Augmentation.refresh`."""
        return Compose([one.refresh(latent_nd) if one.refresh_every else one for one in self.augmentations])

    @property
    def is_fused(self) -> bool:
        """Whether all of it runs in the fused CPU pass, which needs no torch and releases the GIL."""
        return all(augmentation.operation() is not None for augmentation in self.augmentations)

    @property
    def is_sparse(self) -> bool:
        """Whether a view has no more non-zeros than a cell, on average, so that it pays to keep these alone."""
        operations = [augmentation.operation() for augmentation in self.augmentations]
        return all(operation is not None and operation.is_sparse for operation in operations)

    def draw(self, cells: np.ndarray, *, pool: np.ndarray, seed: int, epoch: int, view: int) -> list[Step]:
        """Draw one view of the given cells: which of them change, and which rows they borrow.

        Parameters
        ----------
        cells
            Row numbers, shape ``(n_cells,)``.
        pool
            Row numbers that may be borrowed from.
        seed, epoch, view
            The key: the same numbers give every cell the same view, whatever the other cells are.
        """
        return draw_steps(self.augmentations, cells, pool=pool, seed=seed, epoch=epoch, view=view)

    def fill(self, out: torch.Tensor, csr: csr_matrix, rows: np.ndarray, steps: list[Step]) -> torch.Tensor:
        """Write a view on the CPU, in one pass over sparse rows.

        Parameters
        ----------
        out
            Float32 CPU tensor, cells × genes, overwritten.
        csr
            Float32 matrix that holds the cells and the rows they borrow.
        rows
            Rows of ``csr`` that the cells are, shape ``(n_cells,)``.
        steps
            What :meth:`draw` gave, with partners as rows of ``csr``.
        """
        view = out.numpy()
        pending: np.ndarray | None = rows
        program: list[tuple[Operation, Step]] = []
        for augmentation, step in zip(self.augmentations, steps, strict=True):
            operation = augmentation.operation()
            if operation is not None:
                program.append((operation, step))
                continue
            run_fused(csr, pending, program, view)
            pending, program = None, []
            partners_png = out.new_empty((len(step.partners), *out.shape))
            for partner_ng, partner_rows in zip(partners_png, step.partners, strict=True):
                run_fused(csr, partner_rows, [], partner_ng.numpy())
            out.copy_(apply_step(augmentation, out, partners_png, step))
        run_fused(csr, pending, program, view)
        return out

    def fill_sparse(self, csr: csr_matrix, rows: np.ndarray, steps: Sequence[list[Step]]) -> SparseRows:
        """Make views whose zeros are left out, if :attr:`is_sparse`; the same as :meth:`fill` makes.

        Parameters
        ----------
        csr, rows
            See :meth:`fill`.
        steps
            What :meth:`draw` gave for each view, with partners as rows of ``csr``.

        Returns
        -------
        The rows of the first view, then those of the second, and so on.
        """
        programs = [
            [
                (operation, step)
                for one, step in zip(self.augmentations, of_view, strict=True)
                if (operation := one.operation())
            ]
            for of_view in steps
        ]
        return run_sparse(csr, rows, programs)

    def apply(self, x_ng: torch.Tensor, partners: list[torch.Tensor], steps: list[Step]) -> torch.Tensor:
        """Make a view of dense cells on any device, from what :meth:`draw` gave.

        Parameters
        ----------
        x_ng
            Cells × genes; left as it is.
        partners
            For each augmentation the borrowed rows, ``n_partners`` × cells × genes.
        steps
            What :meth:`draw` gave.
        """
        return apply_steps(self.augmentations, x_ng, partners, steps)

    def __call__(self, x_ng: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return a view of a tensor, on its device; the tensor is left as it is.

        Parameters
        ----------
        x_ng
            Log-expression, float, cells × genes. Cells borrow from each other.
        generator
            CPU source of randomness; torch's default one if None.
        """
        return make_view(self.augmentations, x_ng, generator)

"""The views of cells of which RNA and proteins were measured: what each of the two is changed by, drawn together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sccl.augment.compose import Compose
from sccl.augment.keys import derive

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix

    from sccl.augment.plan import Step
    from sccl.graph import CellSpace


@dataclass(frozen=True, init=False)
class ModalityCompose(Compose):
    """Augmentations of RNA, and those of proteins.

    What borrows from other cells acts on both, so that RNA and proteins of a view come from the same cells.

    Parameters
    ----------
    rna
        What RNA is changed by.
    protein
        What proteins are changed by, in place of those of ``rna`` that borrow from no cell. None: those, too.

    Raises
    ------
    ValueError
        If ``protein`` borrows from other cells.
    """

    n_own: int

    def __init__(self, rna: Compose, protein: Compose | None = None) -> None:
        own = [] if protein is None else list(protein.augmentations)
        for one in own:
            if one.n_partners:
                raise ValueError(
                    f"`protein_augmentation`: {type(one).__name__} borrows from other cells, and a cell's partners are the same "
                    "for RNA and proteins: name it in `augmentation`, which both follow."
                )
        super().__init__([*rna.augmentations, *own])
        object.__setattr__(self, "n_own", -1 if protein is None else len(own))

    @property
    def rna(self) -> Compose:
        """What RNA is changed by."""
        return Compose(self.augmentations[: self._n_rna])

    @property
    def protein(self) -> Compose:
        """What proteins are changed by."""
        return Compose([self.augmentations[i] for i in self._of_protein])

    def bind(self, space: CellSpace) -> ModalityCompose:
        """Return this composition with the neighbours that it borrows from."""
        return self._with(super().bind(space))

    def refresh(self, latent_nd: np.ndarray) -> ModalityCompose:
        """Let those that asked for it follow the learned embedding."""
        return self._with(super().refresh(latent_nd))

    def views(self, csr: csr_matrix, rows: np.ndarray, steps: list[Step], *, of_protein: bool) -> torch.Tensor:
        """Return one view of one modality: float32, cells × features; NaN for cells of which it was not measured.

        Parameters
        ----------
        csr
            Holds the cells and the rows they borrow. A row without values has not been measured; it lends nothing.
        rows
            Rows of ``csr`` that the cells are.
        steps
            What :meth:`draw` gave, with partners as rows of ``csr``.
        of_protein
            Which of the two it is.
        """
        import torch

        measured = np.append(np.diff(csr.indptr) > 0, True)  # the last one is that of row -1, which is none
        pipeline = self.protein if of_protein else self.rna
        own = [steps[i] for i in (self._of_protein if of_protein else range(self._n_rna))]
        own = [
            step._replace(
                applied=step.applied & measured[rows] & measured[step.partners].all(axis=0),
                # drawn anew for what happens within the row
                keys=derive(step.keys, 1) if of_protein else step.keys,
            )
            for step in own
        ]
        view_ng = pipeline.fill(torch.empty(rows.size, csr.shape[1]), csr, rows, own)
        view_ng[~torch.from_numpy(measured[rows])] = torch.nan
        return view_ng

    @property
    def _n_rna(self) -> int:
        return len(self.augmentations) - max(self.n_own, 0)

    @property
    def _of_protein(self) -> list[int]:
        if self.n_own < 0:
            return list(range(len(self.augmentations)))
        borrowing = [i for i, one in enumerate(self.augmentations[: self._n_rna]) if one.n_partners]
        return [*borrowing, *range(self._n_rna, len(self.augmentations))]

    def _with(self, both: Compose) -> ModalityCompose:
        other: Any = object.__new__(ModalityCompose)
        object.__setattr__(other, "augmentations", both.augmentations)
        object.__setattr__(other, "n_own", self.n_own)
        return other

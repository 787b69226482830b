"""Cells of several batches in one space: what neighbours, and kin, are looked for in."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sccl.graph.inputs import as_codes, as_matrix
from sccl.graph.kinship import batch_kinship


@dataclass(frozen=True, eq=False)
class CellSpace:
    """All cells, where they can be compared, and their batches: what augmentations and samplings are bound to.

    Parameters
    ----------
    embedding_nd
        Cells, dense, shape (n_cells, n_dims); usually 50 principal components.
    batch
        Label of each cell's batch, shape (n_cells,).

    Raises
    ------
    ValueError
        If the embedding is empty or not finite, if a label is missing or lengths differ.
    """

    embedding_nd: np.ndarray
    batch: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "embedding_nd", as_matrix(self.embedding_nd, "embedding_nd"))
        object.__setattr__(self, "batch", np.asarray(self.batch))
        self.codes  # noqa: B018 (says what is wrong with the batches)

    @cached_property
    def codes(self) -> np.ndarray:
        """Batch of each cell as a number, in sorted order of the labels."""
        codes, _ = as_codes(self.batch, len(self.embedding_nd), "batch")
        return codes

    @property
    def n_batches(self) -> int:
        """Number of different labels."""
        return int(self.codes.max()) + 1

    @cached_property
    def kinship_nb(self) -> np.ndarray:
        """The cells' kinship with every batch, cells × batches, see `batch_kinship`; computed when first asked for."""
        return batch_kinship(self.embedding_nd, self.batch)

"""Cells of several batches in one space: what neighbours, and kin, are looked for in."""

from dataclasses import dataclass, field
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

    Attributes
    ----------
    codes
        Batch of each cell as a number, in sorted order of the labels.
    n_batches
        Number of different labels.

    Raises
    ------
    ValueError
        If the embedding is empty or not finite, if a label is missing or lengths differ.
    """

    embedding_nd: np.ndarray
    batch: np.ndarray
    codes: np.ndarray = field(init=False, repr=False)
    n_batches: int = field(init=False)

    def __post_init__(self) -> None:
        embedding_nd = as_matrix(self.embedding_nd, "embedding_nd")
        codes, n_batches = as_codes(self.batch, len(embedding_nd), "batch")
        known = {"embedding_nd": embedding_nd, "batch": np.asarray(self.batch), "codes": codes, "n_batches": n_batches}
        for name, value in known.items():
            object.__setattr__(self, name, value)

    @cached_property
    def kinship_nb(self) -> np.ndarray:
        """The cells' kinship with every batch, cells × batches, see `batch_kinship`; computed when first asked for."""
        return batch_kinship(self.embedding_nd, self.batch)

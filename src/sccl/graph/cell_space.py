"""Cells of several batches in one space: what neighbours, and shared populations, are looked for in."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sccl.graph.inputs import as_codes, as_matrix
from sccl.graph.shared_populations import SharedPopulations, shared_populations


@dataclass(frozen=True, eq=False)
class CellSpace:
    """All cells, where they can be compared, and their batches: what augmentations and samplings are bound to.

    Parameters
    ----------
    embedding_nd
        Cells, dense, shape (n_cells, n_dims); usually 50 principal components.
    batch
        Label of each cell's batch, shape (n_cells,): of what is compared, which is the outer one where there are batches
        within batches.
    inner
        Label of each cell's batch within that batch, such as the donor within the technology: of what shares a minibatch. No
        two of different outer batches have the same. None: the batches themselves.

    Attributes
    ----------
    codes
        Batch of each cell as a number, in sorted order of the labels.
    n_batches
        Number of different labels.

    Raises
    ------
    ValueError
        If the embedding is empty or not finite, if a label is missing, lengths differ, or an inner batch has two outer ones.
    """

    embedding_nd: np.ndarray
    batch: np.ndarray
    inner: np.ndarray | None = None
    codes: np.ndarray = field(init=False, repr=False)
    n_batches: int = field(init=False)

    def __post_init__(self) -> None:
        embedding_nd = as_matrix(self.embedding_nd, "embedding_nd")
        codes, n_batches = as_codes(self.batch, len(embedding_nd), "batch")
        inner = self.batch if self.inner is None else self.inner
        inner_codes, n_inner = as_codes(inner, len(embedding_nd), "inner")
        if np.unique(inner_codes + codes * n_inner).size != n_inner:
            raise ValueError(
                "`inner`: a batch within batches lies in two of `batch`; give the two parts different labels."
            )
        known = {
            "embedding_nd": embedding_nd,
            "batch": np.asarray(self.batch),
            "inner": np.asarray(inner),
            "codes": codes,
            "n_batches": n_batches,
        }
        for name, value in known.items():
            object.__setattr__(self, name, value)

    @cached_property
    def shared(self) -> SharedPopulations:
        """Which of the cells' populations other batches hold, see `shared_populations`; computed when first asked for."""
        return shared_populations(self.embedding_nd, self.batch)

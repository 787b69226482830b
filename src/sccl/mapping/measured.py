"""Cells of a reference and of a query, compared by what was measured of both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, diags_array, hstack

from sccl.dataloaders import RowReader
from sccl.dataloaders.modalities import PROTEIN, RNA, ModalityReader
from sccl.inputs.csr import as_csr
from sccl.model.cells import Modality, read_cells
from sccl.model.joined import as_anndata
from sccl.model.modalities import check_modality, has_proteins, read_modalities

if TYPE_CHECKING:
    from anndata import AnnData

    from sccl.model import CLModel


class Cells(NamedTuple):
    """What was measured of cells, with the features of a model.

    Attributes
    ----------
    parts
        Float32, cells × features, by modality; a row without values has not been measured.
    measured
        Which features were measured at all, by modality, bool ``(n_features,)``.
    is_multimodal
        Whether the model reads more than expression.
    """

    parts: dict[str, csr_matrix]
    measured: dict[str, np.ndarray]
    is_multimodal: bool

    @property
    def has(self) -> np.ndarray:
        """Which modalities of which cells were measured, bool ``(n_modalities, n_cells)``."""
        return np.stack([np.diff(part.indptr) > 0 for part in self.parts.values()])


class Compared(NamedTuple):
    """Cells of both sides of which the same modalities were measured.

    Attributes
    ----------
    rows_ref, rows_query
        Their row numbers.
    x_ref, x_query
        All features that both have, side by side, cells × features.
    readers
        What a model embeds, of the reference and of the query.
    """

    rows_ref: np.ndarray
    rows_query: np.ndarray
    x_ref: csr_matrix
    x_query: csr_matrix
    readers: tuple[RowReader, ...]


def read_measured(
    model: CLModel, adata: AnnData, *, min_overlap: float | None, modality: Modality | None, what: str
) -> Cells:
    """Read cells with the features of a model; see :func:`sccl.model.cells.read_cells` for what is refused.

    Parameters
    ----------
    model, adata, min_overlap, what
        See :func:`sccl.model.cells.read_cells`.
    modality
        What is read of them; None: all that the model reads.
    """
    check_modality(model.registry, modality)
    proteins = read_modalities(model.registry, adata, what=what, min_overlap=min_overlap, modality=modality)
    parts, measured = {}, {}
    if modality != PROTEIN:
        x, genes = read_cells(model, adata, min_overlap=min_overlap, what=what, proteins=proteins)
        parts[RNA], measured[RNA] = as_csr(x), genes
    if proteins is not None and modality != RNA:
        parts[PROTEIN], measured[PROTEIN] = proteins, has_proteins(model.registry, adata)
    return Cells(parts, measured, proteins is not None)


def compare(reference: Cells, query: Cells) -> Iterator[Compared]:
    """Give query cells of which the same was measured, with the reference cells of which at least that was.

    A query cell of which nothing was measured comes with those of which all was.

    Parameters
    ----------
    reference, query
        Cells of one model.

    Raises
    ------
    ValueError
        If there is no reference cell to compare some of them with.
    """
    names = list(query.parts)
    if len(names) == 1:
        (name,) = names
        yield _compared(
            reference, query, names, np.arange(reference.parts[name].shape[0]), np.arange(query.parts[name].shape[0])
        )
        return
    has_ref, has = reference.has, query.has
    has[:, ~has.any(axis=0)] = True
    for pattern in np.unique(has, axis=1).T:
        rows = np.flatnonzero((has == pattern[:, None]).all(axis=0))
        rows_ref = np.flatnonzero(has_ref[pattern].all(axis=0))
        seen = [name for name, is_seen in zip(names, pattern, strict=True) if is_seen]
        if not rows_ref.size:
            raise ValueError(
                f"{rows.size} query cells have {' and '.join(seen)}, but no reference cell has: pass `modality=`, one of "
                f"{names}, that both have."
            )
        yield _compared(reference, query, seen, rows_ref, rows)


def _compared(
    reference: Cells, query: Cells, seen: list[str], rows_ref: np.ndarray, rows_query: np.ndarray
) -> Compared:
    every_ref, every_query, columns_ref, columns_query = {}, {}, [], []
    for name, part in query.parts.items():
        kept = query.measured[name]
        # As if the features that the query lacks had not been measured in the reference, either.
        x_ref = reference.parts[name] if kept.all() else reference.parts[name] @ diags_array(kept.astype(np.float32))
        every_ref[name], every_query[name] = (
            _rows(as_csr(x), rows) for x, rows in ((x_ref, rows_ref), (part, rows_query))
        )
        if name in seen:
            columns_ref.append(every_ref[name] if kept.all() else every_ref[name][:, kept])
            columns_query.append(every_query[name] if kept.all() else every_query[name][:, kept])
    x_ref, x_query = (
        columns[0] if len(columns) == 1 else hstack(columns, format="csr") for columns in (columns_ref, columns_query)
    )
    readers = tuple(
        _reader(every, seen) if query.is_multimodal else RowReader(every[RNA]) for every in (every_ref, every_query)
    )
    return Compared(rows_ref, rows_query, as_csr(x_ref), as_csr(x_query), readers)


def _rows(x: csr_matrix, rows: np.ndarray) -> csr_matrix:
    return x if rows.size == x.shape[0] else x[rows]


def _reader(parts: dict[str, csr_matrix], seen: list[str]) -> RowReader:
    one = parts[seen[0]]
    # of a single modality the other matrix is not read
    return ModalityReader(parts.get(RNA, one), parts.get(PROTEIN, one), seen[0] if len(seen) == 1 else None)


def joined(model: CLModel, data: AnnData, what: str) -> AnnData:
    """Return cells as an AnnData, those of a MuData with what the model reads."""
    return as_anndata(data, model.registry, model.mudata_, own=model.adata, what=what)

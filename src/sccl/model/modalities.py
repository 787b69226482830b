"""Proteins of the cells of a model: registered, and read for new cells."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse
from scvi import REGISTRY_KEYS
from scvi.data.fields import BaseAnnDataField

from sccl.inputs import check_choice
from sccl.inputs.blocks import blocks
from sccl.inputs.proteins import Proteins, check_normalized, find_proteins, how_to_normalize

if TYPE_CHECKING:
    from anndata import AnnData

PROTEINS_KEY = REGISTRY_KEYS.PROTEIN_EXP_KEY
_NAMES, _NAMED = "column_names", "named"


class ProteinField(BaseAnnDataField):
    """Proteins in ``obsm``, which further data may lack.

    Parameters
    ----------
    attr_key
        The key of ``obsm``.
    found
        What it holds.
    """

    def __init__(self, attr_key: str, found: Proteins) -> None:
        super().__init__()
        self._attr_key = attr_key
        n_proteins = found.x.shape[1]
        names = np.array([str(i) for i in range(n_proteins)], dtype=object) if found.names is None else found.names
        self._state = {_NAMES: names, _NAMED: found.names is not None}

    @property
    def registry_key(self) -> str:
        """What scvi-tools calls it."""
        return PROTEINS_KEY

    @property
    def attr_name(self) -> str:
        """Where it is."""
        return "obsm"

    @property
    def attr_key(self) -> str:
        """Its key there."""
        return self._attr_key

    @property
    def is_empty(self) -> bool:
        """It is never left out."""
        return False

    def validate_field(self, adata: AnnData) -> None:
        """Nothing: it was checked when it was read, and may be missing."""

    def register_field(self, adata: AnnData) -> dict[str, Any]:
        """Return what the proteins are called."""
        return dict(self._state)

    def transfer_field(self, state_registry: dict[str, Any], adata_target: AnnData, **kwargs: Any) -> dict[str, Any]:
        """Return what they are called in the model."""
        return dict(state_registry)

    def get_summary_stats(self, state_registry: dict[str, Any]) -> dict[str, int]:
        """Count them."""
        return {f"n_{PROTEINS_KEY}": len(state_registry[_NAMES])}

    def view_state_registry(self, state_registry: dict[str, Any]) -> None:
        """Show nothing but that they are there."""


def protein_names(registry: dict[str, Any]) -> np.ndarray | None:
    """Return the names of a model's proteins, object array of str; None: it reads expression alone."""
    field = registry["field_registries"].get(PROTEINS_KEY)
    return None if field is None else np.asarray(field["state_registry"][_NAMES], dtype=object)


def register_proteins(adata: AnnData, key: str, source: dict[str, Any] | None) -> Proteins:
    """Return the proteins that a model is to read, all of whose values are right.

    Parameters
    ----------
    adata
        Cells.
    key
        Key of ``obsm``.
    source
        The registry of the model that these cells are attached to, whose proteins they get; None: a model to come.

    Raises
    ------
    TypeError, KeyError, ValueError
        See :func:`sccl.inputs.proteins.find_proteins`; and if they are raw counts, or none was measured.
    """
    if source is not None:
        return Proteins(_aligned(adata, key, source, what="adata", min_overlap=1.0), protein_names(source))
    found = find_proteins(adata, key)
    name = f"adata.obsm[{key!r}]"
    if not found.x.nnz:
        raise ValueError(f"{name} holds no values: all are 0 or NaN. Check the key, or leave `protein_obsm_key` out.")
    check_normalized(found.x, name=name, advice=how_to_normalize(key))
    return found


def read_modalities(
    registry: dict[str, Any], adata: AnnData, *, what: str, min_overlap: float | None, modality: str | None = None
) -> sparse.csr_matrix | None:
    """Return the proteins of cells, those of a model in its order; rows without values where they were not measured.

    None: the model reads expression alone.

    Raises
    ------
    ValueError
        If too few of the model's proteins are there, if they are raw counts, or cannot be read.

    Warns
    -----
    UserWarning
        If some of them are missing: how many. And if there are none where the model looks for them, but elsewhere.
    """
    names = protein_names(registry)
    if names is None:
        return None
    key = registry["setup_args"]["protein_obsm_key"]
    if modality == "rna":
        return sparse.csr_matrix((adata.n_obs, len(names)), dtype=np.float32)
    if modality == "protein" and key not in adata.obsm:
        find_proteins(adata, key, what=what)  # says what is there
    return _aligned(adata, key, registry, what=what, min_overlap=1.0 if min_overlap is None else min_overlap)


def has_proteins(registry: dict[str, Any], adata: AnnData) -> np.ndarray:
    """Return which of a model's proteins the cells were measured for, bool ``(n_proteins,)``: all, if they have no names."""
    names, stored = protein_names(registry), adata.obsm.get(registry["setup_args"]["protein_obsm_key"])
    assert names is not None
    if stored is None or not isinstance(stored, pd.DataFrame):
        return np.full(len(names), stored is not None)
    return np.isin(names, stored.columns.map(str))


def n_without_any(x: Any, proteins: sparse.csr_matrix) -> int:
    """Return the number of cells of which nothing was measured: no expression and no protein."""
    n_cells = 0
    without = np.diff(proteins.indptr) == 0
    for cell, _, block in blocks(x if getattr(x, "format", "csr") != "csc" or not sparse.issparse(x) else x.tocsr()):
        rows = slice(cell, cell + block.shape[0])
        n_cells += int((without[rows] & (np.asarray(abs(block).sum(axis=1)).ravel() == 0)).sum())
    return n_cells


def check_modality(registry: dict[str, Any], modality: Any) -> None:
    """Raise a ValueError unless a model has a modality of this name; None is all."""
    if modality is None:
        return
    check_choice(modality, "modality", ("rna", "protein"))
    if modality == "protein" and protein_names(registry) is None:
        raise ValueError(
            "`modality`: the model reads RNA alone. Register proteins, `setup_anndata(adata, protein_obsm_key=...)`, and train "
            "a new one."
        )


def _aligned(adata: AnnData, key: str, registry: dict[str, Any], *, what: str, min_overlap: float) -> sparse.csr_matrix:
    names = protein_names(registry)
    assert names is not None
    if key not in adata.obsm:
        _look_elsewhere(adata, key, names, what)
        return sparse.csr_matrix((adata.n_obs, len(names)), dtype=np.float32)
    found = find_proteins(adata, key, what=what)
    name = f"{what}.obsm[{key!r}]"
    check_normalized(found.x, name=name, advice=how_to_normalize(key))
    if found.names is None or not registry["field_registries"][PROTEINS_KEY]["state_registry"][_NAMED]:
        if found.x.shape[1] != len(names):
            raise ValueError(
                f"{name} has {found.x.shape[1]} columns without names, where the model has {len(names)} proteins: store them as a "
                f"DataFrame, whose columns name the proteins."
            )
        return found.x
    places = pd.Index(found.names).get_indexer(pd.Index(names))
    here = np.flatnonzero(places >= 0)
    if len(here) < len(names):
        lacking = names[places < 0]
        text = (
            f"{name} lacks {len(lacking)} of the {len(names)} proteins that the model was trained on, for example "
            f"{', '.join(map(str, lacking[:3]))}"
        )
        if len(here) < max(1, min_overlap * len(names)):
            raise ValueError(
                f"{text}. Check their names. `map_query` with a lower `min_overlap` takes them as not found on the cells; "
                '`modality="rna"` leaves proteins out.'
            )
        warnings.warn(f"{text}: they count as not found on the cells.", stacklevel=4)
    chosen = found.x[:, places[here]]
    return sparse.csr_matrix((chosen.data, here[chosen.indices], chosen.indptr), shape=(adata.n_obs, len(names)))


def _look_elsewhere(adata: AnnData, key: str, names: np.ndarray, what: str) -> None:
    """Say so if the proteins seem to be there, but under another key."""
    for other, stored in adata.obsm.items():
        if isinstance(stored, pd.DataFrame) and 2 * np.isin(names, stored.columns.map(str)).sum() > len(names):
            warnings.warn(
                f"{what}.obsm[{key!r}] is not there, so that the cells count as without proteins; but {what}.obsm[{other!r}] holds "
                f'the model\'s proteins. Normalise them, `sccl.pp.normalize_protein`, under that key; or pass `modality="rna"`.',
                stacklevel=5,
            )
            return

"""The modalities of a MuData as one AnnData: expression in ``X``, proteins in ``obsm``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sccl.inputs.expression import matrix_of
from sccl.inputs.names import unknown
from sccl.inputs.proteins import check_normalized, read_proteins

#: Under which key of ``obsm`` the proteins are found.
JOINED = "protein"
_PARTS = ("rna_layer", "protein_layer", "batch_key", "labels_key")
_USUAL = {"rna_layer": ("rna", "gex", "GEX"), "protein_layer": ("protein", "prot", "adt", "ADT", "ab")}


def is_mudata(data: Any) -> bool:
    """Whether something is a MuData, by what it holds: mudata itself need not be there."""
    return (
        not isinstance(data, AnnData) and isinstance(getattr(data, "mod", None), Mapping) and hasattr(data, "obs_names")
    )


def find_modalities(mdata: Any, modalities: Mapping[str, str | None] | None) -> dict[str, str | None]:
    """Return which modality holds what; see :func:`join_modalities`.

    Raises
    ------
    KeyError
        If one is not there, or an entry is unknown.
    ValueError
        If it is not said which is RNA and which proteins, and the names do not say it either.
    """
    named = dict(modalities or {})
    for part, modality in named.items():
        if part not in _PARTS:
            raise KeyError(unknown("entry of `modalities`", part, _PARTS))
        if modality is not None and modality not in mdata.mod:
            raise KeyError(unknown("modality", modality, mdata.mod))
    for part, usual in _USUAL.items():
        if named.get(part) is None:
            found = [name for name in usual if name in mdata.mod]
            if not found:
                raise ValueError(
                    f"`modalities`: which of {list(mdata.mod)} is {part.partition('_')[0]}? Say it: "
                    'modalities={"rna_layer": ..., "protein_layer": ...}.'
                )
            named[part] = found[0]
    return {part: named.get(part) for part in _PARTS}


def join_modalities(
    mdata: Any,
    *,
    rna_layer: str | None,
    protein_layer: str | None,
    columns: Mapping[str, str | list[str] | None],
    modalities: Mapping[str, str | None],
    optional: bool = False,
) -> AnnData:
    """Return the cells of a MuData, in its order, as an AnnData.

    Expression is in ``X``; a cell that is not in that modality has no values. Proteins are a DataFrame in ``obsm["protein"]``, with
    rows of NaN for cells that are not in theirs.

    Parameters
    ----------
    mdata
        Left as it is. What need not be copied is shared.
    rna_layer, protein_layer
        Layers of the two modalities; ``X`` if None.
    columns
        Columns of ``obs`` that are wanted: by what they are (``batch_key``, ``labels_key``), their names, or None.
    modalities
        Which modality is RNA (``rna_layer``) and which proteins (``protein_layer``), and whose ``obs`` has a column; None: that of
        the MuData, else that of whichever modality has it.
    optional
        Whether a modality, or a column, may be missing.

    Raises
    ------
    KeyError, ValueError
        If a layer or a column is not there, or if a matrix cannot be read.
    """
    names = pd.Index(mdata.obs_names)
    rna, protein = (mdata.mod.get(modalities[part]) for part in ("rna_layer", "protein_layer"))
    if not optional and (rna is None or protein is None):
        raise KeyError(f"The MuData holds {list(mdata.mod)}; its RNA and its proteins are wanted: {dict(modalities)}.")
    obs = pd.DataFrame(index=names)
    for part, keys in columns.items():
        for key in [] if keys is None else keys if isinstance(keys, list | tuple) else [keys]:
            values = _column(mdata, key, modalities.get(part), names)
            if values is None and not optional:
                raise KeyError(f"`{part}`: {key!r} is in no `obs` of the MuData, nor in that of its modalities.")
            if values is not None:
                obs[key] = values
    if rna is None:
        joined = AnnData(obs=obs)
    else:
        x, _ = matrix_of(rna, rna_layer, what=f"mdata[{modalities['rna_layer']!r}]")
        joined = AnnData(_rows(x, names.get_indexer(rna.obs_names), len(names)), obs=obs, var=rna.var.copy())
        if "sccl" in rna.uns:
            joined.uns["sccl"] = rna.uns["sccl"]
    if protein is not None:
        y, name = matrix_of(protein, protein_layer, what=f"mdata[{modalities['protein_layer']!r}]")
        called = np.array(list(map(str, protein.var_names)), dtype=object)
        found = read_proteins(y, called, name=name, obs_names=protein.obs_names)
        call = f"`sccl.pp.normalize_protein(mdata[{modalities['protein_layer']!r}], None)` on the raw counts"
        check_normalized(found.x, name=name, advice=call)
        values = np.full((len(names), len(called)), np.nan, dtype=np.float32)
        measured = np.diff(found.x.indptr) > 0
        values[names.get_indexer(protein.obs_names[measured])] = found.x[measured].toarray()
        joined.obsm[JOINED] = pd.DataFrame(values, index=names, columns=called)
    return joined


def _rows(x: Any, places: np.ndarray, n_cells: int) -> Any:
    """Return the rows at their places among all cells; those that are not there are zero."""
    if np.array_equal(places, np.arange(n_cells)):
        return x
    select = sparse.csr_matrix(
        (np.ones(len(places), np.float32), (places, np.arange(len(places)))), (n_cells, len(places))
    )
    return sparse.csr_matrix(select @ (x if sparse.issparse(x) else np.asarray(x)))


def _column(mdata: Any, key: str, modality: str | None, names: pd.Index) -> pd.Series | None:
    """Return a column of ``obs``, completed from one ``obs`` after the other; None: none has it."""
    holders = [mdata.obs] if modality is None else []
    holders += [mdata.mod[modality].obs] if modality in mdata.mod else []
    holders += [part.obs for name, part in mdata.mod.items() if name != modality]
    found = [holder[key].astype(object).reindex(names) for holder in holders if key in holder]
    if not found:
        return None
    column = found[0]
    for other in found[1:]:
        column = column.where(column.notna(), other)
    return column

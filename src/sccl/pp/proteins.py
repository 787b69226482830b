"""From raw protein counts to what the models read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sccl.inputs.anndata import check_anndata, record_of
from sccl.inputs.arguments import check_choice
from sccl.inputs.expression import matrix_of
from sccl.inputs.names import unknown
from sccl.inputs.proteins import find_proteins, read_proteins

Method = Literal["clr", "log1p"]

_ISOTYPE = re.compile(
    r"isotype|(mouse|rat|hamster)[\W_]*ig[gma]|\bigg\d[a-c]?\b[\W_]*(ctrl|control|k\b|kappa)", re.IGNORECASE
)


def normalize_protein(
    adata: AnnData,
    protein_obsm_key: str | None = "protein",
    *,
    method: Method = "clr",
    isotypes: Sequence[str] | Literal["auto"] | None = None,
    key_added: str | None = None,
) -> None:
    """Normalise counts of surface proteins (ADT), each cell by itself, beside the counts.

    The counts stay where they are, and nothing is written to ``X``, unless they are ``X``.

    Parameters
    ----------
    adata
        Cells, in memory and not a view.
    protein_obsm_key
        Key of ``obsm`` with raw counts: a DataFrame, whose columns name the proteins, an array or a sparse matrix. A row of NaN
        or of zeros is a cell whose proteins were not measured. None: ``X``, of an AnnData of proteins, such as a
        modality of a MuData; its counts are kept in ``layers["counts"]`` then.
    method
        ``"clr"``: centred log-ratio within the cell, ``log1p(count / exp(mean(log1p(counts))))``, the mean over its proteins. It
        needs no total, which a few abundant proteins determine. ``"log1p"``: ``log1p(count / total * 10000)``.
    isotypes
        Isotype controls, which are left out: their names; or ``"auto"``, those that :func:`isotype_controls` finds. None: all
        proteins stay.
    key_added
        Key of ``obsm`` for the result. None: ``f"{protein_obsm_key}_{method}"``.

    Returns
    -------
    None. Sets these fields:

    ``adata.obsm[key_added]``
        Float32, cells × proteins, of the kind of the counts; ≥ 0, and NaN for cells whose proteins were not measured (0 if
        sparse).
    ``adata.uns["sccl"]["normalize_protein"]``
        For each key that was added the method, the key of the counts, and the isotype controls that were left out.

    Raises
    ------
    KeyError
        If ``protein_obsm_key`` or an isotype control does not exist.
    ValueError
        If the values are no counts (NaN in part of a cell, infinite, negative, not whole), if ``adata`` is a view or backed, or an
        argument is out of range. Nothing was changed then.
    TypeError
        If ``adata`` is not an AnnData.

    References
    ----------
    Stoeckius et al., *Simultaneous epitope and transcriptome measurement in single cells*, Nature Methods 2017; Hao et al.,
    *Integrated analysis of multimodal single-cell data*, Cell 2021 (the form with log1p).

    Examples
    --------
    >>> sccl.pp.normalize_protein(adata, "protein")
    >>> sccl.CLModel.setup_anndata(adata, batch_key="batch", protein_obsm_key="protein_clr")
    """
    check_anndata(adata)
    check_choice(method, "method", get_args(Method))
    if adata.is_view or adata.isbacked:
        what = "a view of another AnnData" if adata.is_view else "backed by a file"
        raise ValueError(f"`adata` is {what}, and would be changed: pass a copy in memory.")
    record_of(adata)  # may find that uns["sccl"] is not ours
    if protein_obsm_key is None:
        stored, name = matrix_of(adata, None)
        columns = np.array(list(map(str, adata.var_names)), dtype=object)
        found = read_proteins(stored, columns, name=name, obs_names=adata.obs_names)
        if isotypes is not None or key_added is not None:
            raise ValueError(
                "`isotypes` and `key_added` are for proteins in `obsm`; of an AnnData of proteins take `adata[:, names]`."
            )
    else:
        found = find_proteins(adata, protein_obsm_key)
        stored, name = adata.obsm[protein_obsm_key], f"adata.obsm[{protein_obsm_key!r}]"
    _check_counts(found.x, name)
    dropped = _dropped(found.names, isotypes)
    measured = np.diff(found.x.indptr) > 0
    counts = found.x.astype(np.float64)
    if dropped:
        assert found.names is not None
        kept = ~np.isin(found.names, dropped)
        counts = counts[:, kept]
    normalized = _normalized(counts, method).astype(np.float32)
    if protein_obsm_key is None:
        adata.layers["counts"], adata.X = adata.X, normalized if sparse.issparse(stored) else normalized.toarray()
        note: dict[str, Any] = {"X": {"method": method, "counts": "layers['counts']", "isotypes": []}}
    else:
        key_added = key_added or f"{protein_obsm_key}_{method}"
        adata.obsm[key_added] = _like(stored, normalized, measured, found.names, dropped, adata.obs_names)
        note = {key_added: {"method": method, "counts": protein_obsm_key, "isotypes": dropped}}
    ours = adata.uns.get("sccl", {})
    adata.uns["sccl"] = {**ours, "normalize_protein": {**ours.get("normalize_protein", {}), **note}}


def isotype_controls(names: Iterable[str]) -> list[str]:
    """Return those of the names that are isotype controls: that say so, or have an animal's IgG, IgA or IgM.

    Examples
    --------
    >>> import sccl
    >>> sccl.pp.isotype_controls(["CD3", "IgD", "Rat_IgG2b", "IgG1_control"])
    ['Rat_IgG2b', 'IgG1_control']
    """
    return [name for name in names if _ISOTYPE.search(name.replace("_", " "))]


def _dropped(names: np.ndarray | None, isotypes: Sequence[str] | str | None) -> list[str]:
    if isotypes is None:
        return []
    if names is None:
        raise ValueError("`isotypes`: the proteins have no names; store them as a DataFrame, whose columns name them.")
    if isinstance(isotypes, str):
        if isotypes != "auto":
            raise ValueError(f"`isotypes` must be a list of names, 'auto' or None, found {isotypes!r}.")
        dropped = isotype_controls(names)
    else:
        dropped = list(isotypes)
        for one in dropped:
            if one not in names:
                raise KeyError(unknown("isotype control", one, names))
    if len(dropped) == len(names):
        raise ValueError("`isotypes` names all proteins: none would be left.")
    return dropped


def _check_counts(x: sparse.csr_matrix, name: str) -> None:
    if x.nnz and x.data.min() < 0:
        raise ValueError(f"{name} holds negative values: it looks normalised already. Pass raw counts.")
    if not (x.data == np.rint(x.data)).all():
        raise ValueError(f"{name} holds values that are not whole: it looks normalised already. Pass raw counts.")


def _normalized(counts: sparse.csr_matrix, method: Method) -> sparse.csr_matrix:
    """Return the logarithms, float64; zeros stay zero, cells without counts, too."""
    cell = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    if method == "clr":
        center = np.bincount(cell, weights=np.log1p(counts.data), minlength=counts.shape[0]) / counts.shape[1]
        factor = np.exp(-center)
    else:
        total = np.bincount(cell, weights=counts.data, minlength=counts.shape[0])
        factor = 1e4 / np.maximum(total, 1)
    return sparse.csr_matrix((np.log1p(counts.data * factor[cell]), counts.indices, counts.indptr), shape=counts.shape)


def _like(
    stored: Any,
    normalized: sparse.csr_matrix,
    measured: np.ndarray,
    names: np.ndarray | None,
    dropped: list[str],
    obs_names: pd.Index,
) -> Any:
    """Return the values in the form in which the counts were stored."""
    if sparse.issparse(stored):
        return normalized
    dense = normalized.toarray()
    dense[~measured] = np.nan
    if names is None:
        return dense
    return pd.DataFrame(dense, index=obs_names, columns=[name for name in names if name not in dropped])

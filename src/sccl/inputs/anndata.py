"""The object that holds the cells."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from anndata import AnnData


def check_anndata(adata: Any, name: str = "adata") -> None:
    """Refuse what is no AnnData.

    Parameters
    ----------
    adata
        What was passed.
    name
        The argument's name, for the message.

    Raises
    ------
    TypeError
        Naming what was found, and how to make an AnnData of it.
    """
    if isinstance(adata, AnnData):
        return
    found = type(adata).__name__
    if isinstance(adata, str | os.PathLike):
        path = os.fspath(adata)
        raise TypeError(
            f"`{name}` must be an AnnData, found the {found} {path!r}: read it first, for example "
            f"`anndata.read_h5ad({path!r})`."
        )
    if isinstance(modalities := getattr(adata, "mod", None), Mapping):  # a MuData
        names = list(map(str, modalities))
        example = "rna" if "rna" in names or not names else names[0]
        raise TypeError(
            f"`{name}` must be an AnnData, found a {found} of the modalities {names}: pass one of them, for example "
            f'`mdata["{example}"]`.'
        )
    raise TypeError(
        f"`{name}` must be an AnnData, found {found}: `anndata.AnnData(x)` makes one of a matrix of cells × genes."
    )


def check_shape_and_names(adata: AnnData) -> None:
    """Refuse data without cells or genes, and names that are not unique.

    Raises
    ------
    ValueError
        Saying what repeats and what to do.
    """
    if 0 in adata.shape:
        raise ValueError(
            f"adata is empty: {adata.n_obs} cells and {adata.n_vars} genes; at least one of each is needed."
        )
    for axis, names in (("obs", adata.obs_names), ("var", adata.var_names)):
        if not names.is_unique:
            repeated = names[names.duplicated()].unique()
            raise ValueError(
                f"adata.{axis}_names must be unique; {len(repeated)} repeat, e.g. {str(repeated[0])!r}. "
                f"Call adata.{axis}_names_make_unique()."
            )


def record_of(adata: AnnData) -> dict[str, Any] | None:
    """Return what :func:`sccl.pp.preprocess` noted in ``adata.uns["sccl"]``; None: it was not there.

    Raises
    ------
    ValueError
        If ``uns["sccl"]``, or the note, is something else.
    """
    ours = adata.uns.get("sccl", {})
    record = ours.get("preprocess") if isinstance(ours, Mapping) else ours
    if record is not None and not isinstance(record, Mapping):
        where = "['sccl']['preprocess']" if isinstance(ours, Mapping) else "['sccl']"
        raise ValueError(
            f"adata.uns{where} is a {type(record).__name__}, but sccl keeps a mapping there: rename it, or `del adata.uns{where}`."
        )
    return None if record is None else dict(record)

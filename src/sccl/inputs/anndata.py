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

"""Files of cells, read a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem, sparse_dataset

from sccl.inputs.columns import as_text, find_column


@dataclass(frozen=True, eq=False)
class CellFile:
    """A file of cells, what is said of them in memory, their expression in the file.

    Attributes
    ----------
    path
        Where it is.
    layer
        Layer with the counts; None: ``X``.
    obs
        One row per cell.
    var
        One row per gene.
    """

    path: Path
    layer: str | None
    obs: pd.DataFrame
    var: pd.DataFrame

    @classmethod
    def read(cls, path: Path, layer: str | None) -> CellFile:
        """Read what a file says of its cells and genes, and check that it can be read by cells.

        Raises
        ------
        ValueError, KeyError
            If it is no such file: naming it, what was found and what to do.
        """
        if not path.exists():
            raise ValueError(f"`files`: {path} is not there.")
        with _opened(path) as root:
            where = "X" if layer is None else f"layers/{layer}"
            if "obs" not in root or "var" not in root:
                raise ValueError(f"`files`: {path} holds no AnnData: name files that `AnnData.write_h5ad` wrote.")
            if where not in root:
                layers = list(root["layers"]) if "layers" in root else []
                raise KeyError(f"`layer`: {path} has no {where}; its layers are {layers}.")
            held = root[where]
            kind = held.attrs.get("encoding-type", "array")
            if kind == "csc_matrix":
                raise ValueError(
                    f"`files`: {path} stores {where} by genes (CSC), where reading some cells means reading everything: write "
                    "it by cells, `adata.X = adata.X.tocsr()`."
                )
            file = cls(path, layer, read_elem(root["obs"]), read_elem(root["var"]))
        for axis, names in (("obs", file.obs.index), ("var", file.var.index)):
            if not names.is_unique:
                raise ValueError(
                    f"`files`: {axis}_names of {path} must be unique; {str(names[names.duplicated()][0])!r} repeats."
                )
        if not len(file.obs):
            raise ValueError(f"`files`: {path} holds no cells; leave it out.")
        return file

    @contextmanager
    def rows(self) -> Iterator[Any]:
        """Open the file and give its counts, to be cut by rows."""
        with _opened(self.path) as root:
            held = root["X" if self.layer is None else f"layers/{self.layer}"]
            yield sparse_dataset(held) if held.attrs.get("encoding-type") == "csr_matrix" else held

    @property
    def fingerprint(self) -> list[Any]:
        """What tells it from another file, or from what it was before."""
        parts = [self.path, *sorted(self.path.rglob("zarr.json"))] if self.path.is_dir() else [self.path]
        return [str(self.path.resolve()), *(max(getattr(part.stat(), of) for part in parts) for of in _OF)]


_OF = ("st_size", "st_mtime_ns")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if path.is_dir():
        import zarr

        yield zarr.open_group(path, mode="r")
        return
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"`files`: {path} cannot be read as h5ad ({error}); write it again.") from error
    with file:
        yield file


def join_obs(files: Sequence[CellFile], keys: Sequence[str]) -> pd.DataFrame:
    """Return the columns that all files have, one file after the other; text as categories.

    Raises
    ------
    KeyError
        If a file lacks one of the keys.
    ValueError
        If names of cells repeat.
    """
    for file in files:
        for key in keys:
            find_column(file.obs, key, "batch_key", owner=str(file.path))
    columns = [name for name in files[0].obs if all(name in file.obs for file in files)]
    joined: dict[str, Any] = {}
    for name in columns:
        parts = [file.obs[name] for file in files]
        is_text = any(not pd.api.types.is_numeric_dtype(part) for part in parts)
        joined[name] = (
            pd.Categorical(np.concatenate([as_text(part) for part in parts]))
            if is_text
            else pd.concat(parts).to_numpy()
        )
    index = pd.Index(np.concatenate([file.obs.index.to_numpy() for file in files]))
    if not index.is_unique:
        raise ValueError(
            f"`files`: obs_names must be unique across files; {str(index[index.duplicated()][0])!r} repeats. Name the cells by "
            "their sample, too."
        )
    return pd.DataFrame(joined, index=index)

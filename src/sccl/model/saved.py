"""The directory in which a model is saved: which files, and what they hold. None of them can hold code."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from sccl.storage import (
    decode,
    encode,
    forget_leftovers,
    hold,
    is_leftover,
    leftover_name,
    read_tensors,
    sync_file,
    write_tensors,
)

if TYPE_CHECKING:
    from anndata import AnnData

#: What a model's files are called, after their prefix.
MODEL, CELLS = "model.safetensors", "adata.h5ad"
#: How scvi-tools, and sccl before this form, called theirs.
_PICKLED = "model.pt"
_WEIGHTS = "module."


class SavedModel(NamedTuple):
    """What the file of a model says.

    Attributes
    ----------
    attributes
        Of the model: those whose names end with an underscore.
    weights
        The network's ``state_dict``.
    cells_sha256
        Checksum of the file with the cells that were saved with it; None: there are none.
    """

    attributes: dict[str, Any]
    weights: dict[str, torch.Tensor]
    cells_sha256: str | None


def find_model(dir_path: str | Path, prefix: str | None = None) -> Path:
    """Return the file of a saved model.

    Raises
    ------
    ValueError
        If it is not there: what is there instead.
    """
    folder, name = Path(dir_path), f"{prefix or ''}{MODEL}"
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"`dir_path`: {str(folder)!r} {what}; give the directory that `model.save` wrote.")
    if not (folder / name).is_file():
        others = sorted(path.parent.name for path in folder.glob(f"*/{name}"))
        found = sorted(path.name for path in folder.glob(f"*{MODEL}"))
        pickled = sorted(path.name for path in folder.glob(f"*{_PICKLED}"))
        hint = (
            f"there are models in its folders {others}"
            if others
            else f"it holds {found}: pass the `prefix` they were saved with"
            if found
            else f"it holds {pickled}, as scvi-tools saves models, and sccl did before: pickles, which run whatever code is "
            "in them when they are read, so that they are not. Where it comes from somebody whom you trust, load it with "
            "the version that wrote it, and train and save the model anew with this one"
            if pickled
            else "give the directory that `model.save` wrote"
        )
        raise ValueError(f"`dir_path`: there is no {name!r} in {str(folder)!r}; {hint}.")
    return folder / name


def write_model(
    dir_path: str | Path,
    prefix: str | None,
    attributes: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    *,
    adata: AnnData | None,
    overwrite: bool,
    **how_to_write: Any,
) -> None:
    """Save a model, with its cells or without: all of it, or nothing is changed.

    The cells get a hidden name first, by their checksum, which the model's file tells; then that file is replaced, in one step; then the
    cells get their usual name. Broken off before that step the old model and its cells are there, and after it the new ones.

    Raises
    ------
    ValueError
        If something is there and ``overwrite`` is False.
    TypeError
        If an attribute cannot be saved.
    OSError
        If something cannot be written.
    """
    folder, prefix = Path(dir_path), prefix or ""
    if "/" in prefix:
        raise ValueError(f"`prefix` must be the beginning of a file's name, found {prefix!r}.")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`dir_path`: {str(folder)!r} is a file; name a directory.")
    # what an interrupted save left does not count
    if not overwrite and folder.exists() and not all(map(is_leftover, folder.iterdir())):
        raise ValueError(
            f"`dir_path`: {str(folder)!r} exists and is not empty. Name another directory, or pass `overwrite=True`."
        )
    arrays = {f"{_WEIGHTS}{name}": tensor.detach().cpu().numpy() for name, tensor in weights.items()}
    content = {"attributes": encode(dict(attributes), arrays, name="attributes"), "cells_sha256": None}
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder, wait=True):
        forget_leftovers(folder)
        cells: Path | None = None
        if adata is not None:
            cells, content["cells_sha256"] = _write_cells(folder, prefix, adata, **how_to_write)
        path = folder / f"{prefix}{MODEL}"
        try:
            write_tensors(path, arrays, content, kind="model")
        except BaseException:
            if cells is not None and not _tells(path, content["cells_sha256"]):
                cells.unlink(missing_ok=True)
            raise
        if cells is not None:
            os.replace(cells, folder / f"{prefix}{CELLS}")
        for other in folder.glob(glob.escape(_cells_name(prefix, "")).replace(".h5ad", "*.h5ad")):
            other.unlink(missing_ok=True)


def read_model(dir_path: str | Path, prefix: str | None = None) -> SavedModel:
    """Read what :func:`write_model` wrote, without the cells.

    Raises
    ------
    ValueError
        If there is no model, or if it is damaged or none that sccl saved.
    """
    path = find_model(dir_path, prefix)
    arrays, content, _ = read_tensors(path, kind="model")
    try:
        attributes = decode(content["attributes"], arrays, as_tensor=torch.from_numpy)
        cells_sha256 = content["cells_sha256"]
        weights = {
            name.removeprefix(_WEIGHTS): torch.from_numpy(array)
            for name, array in arrays.items()
            if name.startswith(_WEIGHTS)
        }
        # only names that `save` would choose are set again
        attributes = {key: value for key, value in attributes.items() if key.endswith("_") and not key.startswith("_")}
        known = {"registry_", "init_params_"} <= set(attributes)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no model that sccl saved: {error}.") from error
    if not known:
        raise ValueError(f"{path} is no model that sccl saved: it does not say how the model was made.")
    return SavedModel(attributes, weights, cells_sha256)


def read_cells_of(dir_path: str | Path, prefix: str | None, sha256: str) -> AnnData:
    """Return the cells that were saved with a model.

    Raises
    ------
    ValueError
        If they are not there, or not those.
    """
    from anndata import read_h5ad

    folder, prefix = Path(dir_path), prefix or ""
    path = folder / f"{prefix}{CELLS}"
    # the second: `save` was broken off at its very end
    for candidate in (path, folder / _cells_name(prefix, sha256)):
        if candidate.is_file() and _sha256(candidate) == sha256:
            return read_h5ad(candidate)
    what = "other cells than those that were saved with the model, or is damaged" if path.is_file() else "not there"
    raise ValueError(f"{path} is {what}: pass the cells as `adata`, or `adata=False` to load the model without.")


def _write_cells(folder: Path, prefix: str, adata: AnnData, **how: Any) -> tuple[Path, str]:
    """Write cells under a hidden name that their checksum is part of; return it and the checksum."""
    temporary = folder / leftover_name()
    try:
        adata.write_h5ad(temporary, **how)
        sha256 = _sha256(temporary)
        sync_file(temporary)
        cells = folder / _cells_name(prefix, sha256)
        os.replace(temporary, cells)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return cells, sha256


def _tells(path: Path, sha256: str) -> bool:
    """Whether the file of a model says that its cells have this checksum."""
    try:
        return read_tensors(path, kind="model").content["cells_sha256"] == sha256
    except (OSError, ValueError):
        return False


def _cells_name(prefix: str, sha256: str) -> str:
    return leftover_name(f"{prefix}{sha256[:16]}.h5ad")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

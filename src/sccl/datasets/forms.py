"""Which form does a file of cells have? Told by its content, without importing what reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

#: What :func:`sccl.datasets.read` reads, for messages.
READABLE = "h5ad, zarr, loom, CellRanger's .h5, or a folder with CellRanger's matrix.mtx(.gz), barcodes and features"

_HDF5 = b"\x89HDF\r\n\x1a\n"
_GZIP = b"\x1f\x8b"
_MATRIX = re.compile(r"(?P<prefix>.*)matrix\.mtx(\.gz)?$")
_INSTEAD = {
    ".rds": "It is an R object: in R, anndataR or zellkonverter write an h5ad file.",
    ".h5seurat": "It is a Seurat object: in R, anndataR or SeuratDisk write an h5ad file.",
    ".mtx": "Name its folder, which must hold barcodes and features as well.",
    ".h5mu": 'It holds several modalities: mudata.read_h5mu(FILE)["rna"].write_h5ad("rna.h5ad") makes a file of one.',
} | dict.fromkeys(
    (".csv", ".tsv", ".txt", ".xlsx"), "Make an AnnData of the table, cells as rows, and write it with .write_h5ad."
)


def check_readable(path: str | PathLike[str]) -> str:
    """Tell what form a file has, without importing what reads it: a file that is none is refused at once.

    Returns
    -------
    ``"h5ad"``, ``"zarr"``, ``"loom"``, ``"10x"`` or ``"10x folder"``.

    Raises
    ------
    FileNotFoundError, ValueError
        See :func:`sccl.datasets.read`.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        form = _form_of_folder(path) if path.is_dir() else _form_of_file(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be opened: {str(error).partition(chr(10))[0]}.") from error
    if form is None:
        suffix = path.suffixes[-2] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix
        advice = _INSTEAD.get(suffix.lower(), "")
        raise ValueError(f"{path} is nothing that can be read: {READABLE}. {advice}".rstrip())
    return form


def find_matrix(folder: Path) -> tuple[Path, Path, Path] | None:
    """Return the matrix, barcodes and features files in a folder of CellRanger's form, None if it is none.

    Raises
    ------
    ValueError
        If the folder holds several matrices.
    """
    names = {path.name: path for path in folder.iterdir()}
    found = []
    for name in names:
        if match := _MATRIX.fullmatch(name):
            tables = [
                next(
                    (
                        names[f"{match['prefix']}{stem}.tsv{end}"]
                        for end in ("", ".gz")
                        if f"{match['prefix']}{stem}.tsv{end}" in names
                    ),
                    None,
                )
                for stem in ("barcodes", "features", "genes")
            ]
            if tables[0] and (tables[1] or tables[2]):
                found.append((names[name], tables[0], tables[1] or tables[2]))
    if len(found) > 1:
        listed = ", ".join(matrix.name for matrix, *_ in found)
        raise ValueError(f"{folder} holds several matrices: {listed}. Give each of them a folder of its own.")
    return found[0] if found else None  # type: ignore[return-value]


def _form_of_folder(folder: Path) -> str | None:
    if find_matrix(folder) is not None:
        return "10x folder"
    attributes: Mapping[str, Any]
    for name in ("zarr.json", ".zattrs"):
        if (folder / name).is_file():
            attributes = json.loads((folder / name).read_text())
            attributes = attributes.get("attributes", {}) if name == "zarr.json" else attributes
            if attributes.get("encoding-type") == "anndata" or {"obs", "var"} <= {
                path.name for path in folder.iterdir()
            }:
                return "zarr"
    return None


def _form_of_file(path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(len(_HDF5))
    if start != _HDF5:
        if start.startswith(_GZIP) and path.suffixes[-2:-1] in ([".h5ad"], [".h5"], [".loom"]):
            raise ValueError(f"{path} is compressed: gunzip it first.")
        return None
    import h5py

    with h5py.File(path) as file:
        if file.attrs.get("encoding-type") == "anndata" or {"obs", "var"} <= set(file):
            return "h5ad"
        if {"matrix", "row_attrs", "col_attrs"} <= set(file):
            return "loom"
        if any("barcodes" in group and "indptr" in group for group in file.values() if isinstance(group, h5py.Group)):
            return "10x"
        if "barcode_idx" in file:
            raise ValueError(f"{path} holds molecules, not a matrix: take filtered_feature_bc_matrix.h5 instead.")
    return None

"""Arrays and text in one file that cannot hold code, and that no changed bit goes unnoticed in.

The form is that of safetensors: eight bytes with the length of a header, the header (JSON: type, shape and place of each
array, and texts under ``__metadata__``), and the arrays. Every program that reads safetensors reads it. Beyond that the texts
hold what kind of file it is, the version of its form, the version of sccl that wrote it, and a checksum of every byte of the
file, itself taken as zeros.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sccl.storage.replace import replacing

#: Of the files that are written; those of all versions up to this one are read.
FORMAT_VERSION = 1

_DTYPES = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}
_ZEROS = "0" * 64
_METADATA = "__metadata__"
# of the header, in bytes: what is larger is no header
_LARGEST_HEADER = 2**28

# How files of other kinds begin.
_KINDS = (
    (b"PK\x03\x04", "a zip archive, such as torch.save and numpy.savez write; those of torch.save hold pickles"),
    (b"\x80", "a pickle"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a compressed file"),
    (b"\x93NUMPY", "a numpy array"),
    (b"<", "a web page or XML"),
    (b"{", "JSON"),
)


class TensorFile(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    arrays
        By their names.
    content
        What JSON can say.
    version
        Of sccl, which wrote it.
    """

    arrays: dict[str, np.ndarray]
    content: Any
    version: str


def write_tensors(path: Path, arrays: Mapping[str, np.ndarray], content: Any, *, kind: str) -> None:
    """Write a file, whole or not at all.

    Parameters
    ----------
    path
        Where to.
    arrays
        Of numbers or truth values.
    content
        What JSON can say.
    kind
        What the file is, ``"model"`` for example; only as such it is read again.

    Raises
    ------
    TypeError
        If an array is of another type.
    OSError
        If it cannot be written, see :func:`sccl.storage.replacing`.
    """
    metadata = {
        "checksum": _ZEROS,
        "format": f"sccl {kind}",
        "format_version": str(FORMAT_VERSION),
        "sccl": version("sccl"),
        "content": json.dumps(content, allow_nan=False),
    }
    header: dict[str, Any] = {_METADATA: metadata}
    offset, parts = 0, []
    for name, array in arrays.items():
        if array.dtype.newbyteorder("=") not in _NAMES:
            raise TypeError(f"{name!r} is an array of {array.dtype}, which cannot be saved; convert it to numbers.")
        dtype = _NAMES[array.dtype.newbyteorder("=")]
        data = array.astype(_DTYPES[dtype], copy=False).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        parts.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    start = len(text).to_bytes(8, "little")
    digest = hashlib.sha256(start + text)
    for part in parts:
        digest.update(part)
    text = text.replace(_ZEROS.encode(), digest.hexdigest().encode(), 1)  # the first: nothing can precede it
    with replacing(path) as file:
        for part in (start, text, *parts):
            file.write(part)


def read_tensors(path: Path, *, kind: str) -> TensorFile:
    """Read a file that :func:`write_tensors` wrote.

    Raises
    ------
    ValueError
        If it is another file, damaged, or of a later version of the form: which of these, and what to do.
    OSError
        If it cannot be opened.
    """
    raw = path.read_bytes()
    header, start = _header(raw, path)
    metadata = header.pop(_METADATA, None)
    if not isinstance(metadata, dict) or metadata.get("format") != f"sccl {kind}":
        found = metadata.get("format") if isinstance(metadata, dict) else None
        what = f"a {found} file" if found else "a safetensors file that sccl did not write"
        raise ValueError(f"{path} is {what}, and not a {kind} that sccl saved.")
    number = metadata.get("format_version", "")
    if number.isdecimal() and int(number) > FORMAT_VERSION:
        raise ValueError(
            f"{path} was saved by sccl {metadata.get('sccl')} in version {number} of the form, and this is sccl "
            f"{version('sccl')}, which reads up to version {FORMAT_VERSION}: install a newer one."
        )
    stated = metadata.get("checksum", "")
    blank = raw[:start].replace(stated.encode(), _ZEROS.encode(), 1) if len(stated) == len(_ZEROS) else b""
    digest = hashlib.sha256(blank)
    digest.update(memoryview(raw)[start:])
    if digest.hexdigest() != stated:
        raise _damaged(path, "its checksum is wrong")
    try:
        arrays = {name: _array(memoryview(raw)[start:], **entry) for name, entry in header.items()}
        return TensorFile(arrays, json.loads(metadata["content"]), metadata["sccl"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error


def what_is(path: Path) -> str:
    """Say what a file seems to be that is none of ours."""
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        return "empty"
    return next((what for magic, what in _KINDS if start.startswith(magic)), "of an unknown kind")


def _header(raw: bytes, path: Path) -> tuple[dict[str, Any], int]:
    """Return the header, and where the arrays begin."""
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 16 or raw[8:9] != b"{" or length > _LARGEST_HEADER:
        raise ValueError(f"{path} is {what_is(path)}, or damaged: sccl reads only what it saved itself.")
    if 8 + length > len(raw):
        raise _damaged(path, "its end is missing")
    try:
        header = json.loads(raw[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its header cannot be read") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header cannot be read")
    return header, 8 + length


def _array(data: memoryview, *, dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
    kind = np.dtype(_DTYPES[dtype])
    first, last = data_offsets
    if min(first, *shape, 0) < 0 or last > len(data) or math.prod(shape) * kind.itemsize != last - first:
        raise ValueError("an array does not fit")
    return (
        np.frombuffer(data[first:last], kind).reshape(shape).astype(kind.newbyteorder("="))
    )  # a copy, to be written to


def _damaged(path: Path, why: str) -> ValueError:
    size = os.path.getsize(path)
    return ValueError(f"{path} ({size} bytes) is damaged, {why}: nothing was read. Use another copy of it.")

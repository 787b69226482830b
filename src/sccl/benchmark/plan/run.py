"""One run: what it is, where its directory is, and how it stands."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile
from zlib import error as zlib_error

#: Written last; a directory without it is not a run's.
STATUS = "status.json"
#: What the others hold that are read again.
_KEYS: dict[str, tuple[str, ...]] = {
    "config.json": ("config", "choices", "command"),
    "surroundings.json": ("versions",),
    "costs.json": ("seconds", "peak_memory_gib"),
    "metrics.json": (),
}


@dataclass(frozen=True, eq=False)
class Run:
    """One method on one data set with one seed.

    Parameters
    ----------
    config
        What determines the result: ``method``, ``data``, ``seed`` and ``score``, resolved to plain values.
    choices
        The options chosen, to be read: ``data``, ``method`` and, where the method has them, ``model``, ``augmentation``
        and ``sampling``.
    command
        Options of ``sccl-bench`` that make this run.
    results
        Directory of the study.
    threads
        Threads that numerical libraries may use.
    """

    config: dict[str, Any]
    choices: dict[str, str]
    command: tuple[str, ...]
    results: Path
    threads: int = 1

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits of a hash of `config`; a file counts by its content, not by its path."""
        identity = dict(self.config)
        if self.content is not None:
            identity["data"] = {**identity["data"], "path": self.content}
        # keys are not sorted: augmentations are applied in their order
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]

    @cached_property
    def content(self) -> str | None:
        """Hash of what the data's file holds, None for data that come from no file."""
        path = self.config["data"].get("path")
        return None if path is None else _sha256(path)

    @property
    def directory(self) -> Path:
        """Where the run is found once it is complete or failed."""
        return self.results / "runs" / self.id

    @property
    def state(self) -> str:
        """``"complete"``, ``"failed"``, ``"damaged"`` or ``"missing"``."""
        return state_of(self.directory)[0]

    @property
    def lock(self) -> Path:
        """File that the process holds which makes the run."""
        return self.results / "runs" / f".{self.id}.lock"

    @property
    def title(self) -> str:
        """The choices, the settings and the seed, in one line."""
        chosen = [f"{name}={value}" for name, value in self.choices.items()]
        said = (*self.choices, "seed", "+experiment", "sweep.grids")
        settings = [option for option in self.command if option.partition("=")[0] not in said]
        return " ".join([*chosen, *settings, f"seed={self.config['seed']}"])


def state_of(directory: Path) -> tuple[str, str]:
    """Say how a run stands.

    Returns
    -------
    state
        ``"complete"`` or ``"failed"``, as the last file of the directory says; ``"missing"`` if there is no such file;
        ``"damaged"`` if a file is not what it was when the run was made.
    damage
        Which file, and what is wrong with it.
    """
    try:
        status = json.loads((directory / STATUS).read_text())
        state, files = status["state"], dict(status.get("files", {}))
        if state not in ("complete", "failed"):
            return "damaged", f"{STATUS} says that the run is {state!r}"
    except (FileNotFoundError, NotADirectoryError):
        return "missing", ""
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return "damaged", f"{STATUS} cannot be read"
    names = _KEYS if state == "complete" else ("config.json",)
    for name in names if state == "failed" or not files else files:
        path = directory / name
        if not path.is_file():
            return "damaged", f"{name} is missing"
        if name in files and _sha256_of_file(path) != files[name]:
            return "damaged", f"{name} is not what was written"
        if name in names and not _has(path, _KEYS[name]):
            return "damaged", f"{name} cannot be read"
    if state == "complete" and not holds_plain_arrays(directory / "embedding.npz", is_checked=bool(files)):
        return "damaged", "embedding.npz cannot be read"
    return state, ""


def checksums(directory: Path) -> dict[str, str]:
    """Return the checksum of each file of a run."""
    return {path.name: _sha256_of_file(path) for path in sorted(directory.iterdir()) if path.is_file()}


def _has(path: Path, keys: tuple[str, ...]) -> bool:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and all(key in content for key in keys)


def holds_plain_arrays(path: Path, *, is_checked: bool) -> bool:
    """Whether a file is an archive of arrays without objects, which are never read; all of it is read unless it was checked."""
    from numpy.lib import format as npy

    try:
        with ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(file)]
                    if read(file)[2].hasobject:
                        return False
            return is_checked or archive.testzip() is None
    except (OSError, BadZipFile, EOFError, KeyError, ValueError, RuntimeError, zlib_error):
        return False


@lru_cache
def _sha256(path: str) -> str:
    """Return the hash of a file, or of the names and contents of a folder's files."""
    try:
        if not Path(path).is_dir():
            return _sha256_of_file(Path(path))
        files = sorted(file for file in Path(path).rglob("*") if file.is_file())
        listed = [f"{file.relative_to(path)} {_sha256_of_file(file)}" for file in files]
        return hashlib.sha256("\n".join(listed).encode()).hexdigest()
    except OSError:
        return f"no such file: {path}"  # the run itself will say so


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""One run: what it is, where its directory is, and how it stands."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

#: Written last; a directory without it is not a run's.
STATUS = "status.json"


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
        """``"complete"``, ``"failed"`` or ``"missing"``."""
        status = read_status(self.directory)
        return "missing" if status is None else status["state"]

    @property
    def title(self) -> str:
        """The choices, the settings and the seed, in one line."""
        chosen = [f"{name}={value}" for name, value in self.choices.items()]
        said = (*self.choices, "seed", "+experiment", "sweep.grids")
        settings = [option for option in self.command if option.partition("=")[0] not in said]
        return " ".join([*chosen, *settings, f"seed={self.config['seed']}"])


def read_status(directory: Path) -> dict[str, Any] | None:
    """Return what the last file of a run's directory says, None if it was not written."""
    try:
        return json.loads((directory / STATUS).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None


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

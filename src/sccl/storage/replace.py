"""A file under its name only when all of it is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from sccl.storage.lock import Taken, hold, lock_descriptor

# What is not finished is hidden.
_PREFIX, _SUFFIX = ".sccl-", ".part"


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside its place, and give it its name when it is whole and on the disk.

    Whatever ends the block or the process leaves what was there before, and at most a hidden file, which
    :func:`forget_leftovers` removes.

    Parameters
    ----------
    path
        Where the file is to be; its folder must exist.

    Yields
    ------
    The file, to be written and read.

    Raises
    ------
    OSError
        If it cannot be written, because the disk is full for example: the message names `path`.
    """
    try:
        temporary, file = _open_beside(path)
        with file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.replace(temporary, path)
            except BaseException:
                with suppress(FileNotFoundError):
                    temporary.unlink()
                raise
        sync_folder(path.parent)
    except OSError as error:
        # not one that the block raised about another file
        if error.filename not in (None, str(path), path) and not str(error.filename).endswith(_SUFFIX):
            raise
        raise type(error)(
            error.errno, f"{error.strerror or error}: it cannot be written, and what was there is as it was", str(path)
        ) from error


def _open_beside(path: Path) -> tuple[Path, BinaryIO]:
    while True:
        temporary = path.with_name(leftover_name())
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        # held as long as the file is open: others see that its owner lives
        with suppress(Taken):
            lock_descriptor(descriptor, wait=False, name=temporary.name)
            if temporary.exists():
                return temporary, os.fdopen(descriptor, "w+b")
        os.close(descriptor)  # another process took it for a leftover, in the moment before it was locked


def forget_leftovers(folder: Path) -> None:
    """Remove what processes that were killed left of files that they wrote with :func:`replacing`."""
    for leftover in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(Taken, FileNotFoundError), hold(leftover, wait=False):
            pass  # what is held is removed when it is let go


def leftover_name(ending: str | None = None) -> str:
    """Return a name for a file that is not finished; nobody else's, where the ending is not given."""
    return f"{_PREFIX}{ending or token_hex(8) + _SUFFIX}"


def is_leftover(path: Path) -> bool:
    """Whether a file's name says that it was not finished."""
    return path.name.startswith(_PREFIX)


def sync_file(path: Path) -> None:
    """Bring to the disk what a file holds."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring to the disk which names a folder holds."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)

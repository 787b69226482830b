"""One process at a time. The kernel forgets a lock when its owner ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

#: What a file system answers that knows no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EBADF)


class Taken(RuntimeError):
    """Another process, which lives, holds the lock."""


@contextmanager
def hold(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock while a block runs.

    Parameters
    ----------
    path
        A folder; or a file that stands for what is locked, made for it and removed after it. A link under a file's name is not
        followed.
    wait
        Whether to wait until another process has let go of it.

    Yields
    ------
    Whether it is held; False where the file system knows no locks.

    Raises
    ------
    Taken
        If another process holds it, and ``wait`` is False.
    OSError
        If the file cannot be made.
    """
    is_folder = path.is_dir()
    how = os.O_RDONLY if is_folder else os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    while True:
        descriptor = os.open(path, how | os.O_CLOEXEC, 0o666)
        try:
            is_held = lock_descriptor(descriptor, wait=wait, name=path.name)
            if is_folder or not is_held or is_at(descriptor, path):
                break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # who held it has removed it: another file may stand there by now
    try:
        yield is_held
    finally:
        if is_held and not is_folder:
            path.unlink(missing_ok=True)
        os.close(descriptor)


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one of a name."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def lock_descriptor(descriptor: int, *, wait: bool, name: str) -> bool:
    """Lock an open file, see :func:`hold`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise Taken(f"{name} is held by another process.") from error
        raise
    return True


def hold_file(path: Path, *, otherwise: Path, unless: Path) -> tuple[Path, FileIO] | None:
    """Open a file that becomes another one when it is finished, for this process alone.

    Parameters
    ----------
    path
        The file; kept if it is there. A link under its name is not followed.
    otherwise
        A name that nobody else has, taken where the file system knows no locks.
    unless
        What the file becomes.

    Returns
    -------
    Where it is and the file, held until it is closed; None if by then another process has finished it.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    how = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        descriptor = os.open(path, how, 0o666)
        is_held = lock_descriptor(descriptor, wait=True, name=path.name)
        is_still_there = is_at(descriptor, path)
        if is_held and is_still_there and not unless.exists():
            return path, FileIO(descriptor, "r+")
        if is_held and is_still_there:
            path.unlink()  # it was made after the other had finished
        os.close(descriptor)
        if unless.exists():
            return None
        if not is_held:
            return otherwise, FileIO(os.open(otherwise, how | os.O_EXCL, 0o666), "r+")

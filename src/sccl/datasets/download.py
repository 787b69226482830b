"""A file from the network, whole and what it should be, or not at all."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPException, HTTPResponse
from io import FileIO
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from sccl.storage import hold_file, leftover_name, replacing

_CHUNK = 1 << 20
#: Status codes that a second request may cure.
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_LOG = logging.getLogger(__name__)


class DownloadError(OSError):
    """A file could not be fetched; the message says from where, and where to put it by hand."""


class _Temporary(Exception):
    """What another attempt may cure."""


class _Refused(Exception):
    """What no other attempt cures."""


def cache_folder() -> Path:
    """Return the folder of downloads: ``SCCL_CACHE``, or ``sccl`` below ``XDG_CACHE_HOME`` or ``~/.cache``.

    Raises
    ------
    DownloadError
        If there is no home directory, and nothing that says where else.
    """
    if folder := os.environ.get("SCCL_CACHE"):
        return Path(folder)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sccl"
    except RuntimeError as error:
        raise DownloadError(
            "There is no home directory to keep downloads in: name a folder in the variable SCCL_CACHE."
        ) from error


def fetch(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    check: Callable[[Path], object] | None = None,
    record: bool = True,
    attempts: int = 4,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> Path:
    """Download a file, unless it is there.

    What has arrived is kept in ``path`` + ``.part``, so that a later attempt, in this call or another, asks for the rest
    only. The file gets its name once size, checksum and content are right. Where no checksum is given, that of the first
    download is written to ``path`` + ``.sha256``, and checked from then on. Of several processes that need one file, one
    downloads it and the others wait.

    Parameters
    ----------
    url, path
        From where, by http or https, and to where.
    size, sha256
        Bytes and checksum of the file, if known.
    check
        Looks at what arrived before it gets its name, and raises a ValueError if it is not what it should be.
    record
        Whether to keep the checksum where none is given.
    attempts
        How often to try where it may help: after a stall, an interruption, or an error of the server.
    timeout
        Seconds without a byte that make a stall.
    pause
        Seconds before the second attempt; twice as long before each further one.

    Returns
    -------
    `path`.

    Raises
    ------
    DownloadError
        If the file cannot be had.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"{url} is no address of http or https.")
    recorded = path.with_name(path.name + ".sha256")
    if sha256 is None and record and recorded.is_file():
        sha256 = recorded.read_text().strip()
    by_hand = f"Fetch {url} with other means and put it at {path}."
    with _part(path) as part:
        if part is None:
            if wrong := _wrong(path, size, sha256):
                raise DownloadError(
                    f"{path} {wrong}. Delete it (and {recorded.name}, if there is one) to fetch it anew."
                )
            return path
        where, file = part
        for attempt in range(attempts):
            try:
                is_whole = _fetch_rest(url, file, timeout=timeout, size=size)
                _check(where, file, size, sha256, check, is_whole=is_whole)
                break
            except _Refused as error:
                raise DownloadError(f"{url}: {error}. {by_hand}") from error
            except HTTPError as error:
                error.close()
                if error.code not in _TRANSIENT:
                    raise DownloadError(f"{url} answered {error.code} {error.reason}. {by_hand}") from error
                problem: Exception = error
            except (URLError, HTTPException, OSError, _Temporary) as error:
                problem = error
            if attempt + 1 == attempts:
                raise DownloadError(f"{url} failed {attempts} times, last with: {problem}. {by_hand}") from problem
            time.sleep(pause * 2**attempt)
        if sha256 is None and record:
            with replacing(recorded) as note:
                note.write(f"{_sha256(where)}\n".encode())
            _LOG.warning(
                "%s: nobody said what its checksum is; that of this first download is in %s and checked from now on. To pin it: "
                "size=%d, sha256=%r.",
                url, recorded, where.stat().st_size, _sha256(where),
            )  # fmt: skip
        where.replace(path)
    return path


@contextmanager
def _part(path: Path) -> Iterator[tuple[Path, FileIO] | None]:
    """Give what is there of a file, for this process alone; None if the whole file is there, or is by now."""
    if path.is_file():
        yield None
        return
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = hold_file(part, otherwise=path.with_name(leftover_name()), unless=path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DownloadError(f"{part} is a link, which is not followed: remove it.") from error
        raise DownloadError(
            f"{path.parent} cannot be written to ({error.strerror}): make room or name another folder in the variable "
            "SCCL_CACHE."
        ) from error
    if held is None:
        yield None
        return
    where, file = held
    with file:
        try:
            yield held
        finally:
            # what is worth nothing is not kept; nor is what no other call would find
            if where.exists() and (where != part or not where.stat().st_size):
                where.unlink()


class _SafeRedirects(HTTPRedirectHandler):
    """From https only to https."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise _Refused(f"it leads to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _fetch_rest(url: str, file: FileIO, *, timeout: float, size: int | None) -> bool:
    """Append to the file what it lacks, and return whether the server said how much that is."""
    have = file.seek(0, os.SEEK_END)
    request = Request(url, headers={"User-Agent": "sccl", **({"Range": f"bytes={have}-"} if have else {})})
    try:
        response: HTTPResponse = build_opener(_SafeRedirects).open(request, timeout=timeout)
    except HTTPError as error:
        if error.code != 416:  # nothing is left to send
            raise
        error.close()
        if error.headers.get("Content-Range") != f"bytes */{have}":
            file.truncate(0)
            raise _Temporary("the partial download did not fit the file") from error
        return True
    with response:
        expected = _place(response, file, have)
        while chunk := response.read1(_CHUNK):
            _write(file, chunk)
            if size is not None and file.tell() > size:
                file.truncate(0)
                raise _Temporary(f"more than {size} bytes arrived")
        if expected is not None and file.tell() != expected:
            raise _Temporary(f"{file.tell()} of {expected} bytes arrived")
        return expected is not None


def _write(file: FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise _Refused(f"what arrives cannot be written: {error.strerror}") from error


def _place(response: HTTPResponse, file: FileIO, have: int) -> int | None:
    """Go to where in the file the answer belongs, and return how large the file is to be, None if nothing says so."""
    length = response.headers.get("Content-Length")
    if response.status != 206:
        file.seek(0)
        file.truncate()
        return None if length is None else int(length)
    stated = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if stated is None or int(stated[1]) != have:
        file.truncate(0)
        raise _Temporary("the server sent another part than was asked for")
    return int(stated[3]) if stated[3] != "*" else int(stated[2]) + 1


def _check(
    where: Path,
    file: FileIO,
    size: int | None,
    sha256: str | None,
    check: Callable[[Path], object] | None,
    *,
    is_whole: bool,
) -> None:
    """Forget what arrived if it is not what it should be."""
    os.fsync(file.fileno())
    if wrong := _wrong(where, size, sha256):
        file.truncate(0)
        raise _Temporary(f"what arrived {wrong}")
    try:
        if check is not None:
            check(where)
    except ValueError as error:
        file.truncate(0)
        # it may have been cut off; if not, it would be the same again
        raise (_Refused if is_whole else _Temporary)(f"what arrived is not what it should be: {error}") from error


def _wrong(path: Path, size: int | None, sha256: str | None) -> str | None:
    """Say what is wrong with a file, None if nothing."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"has {found} bytes instead of {size}"
    if found == 0:
        return "is empty"
    if sha256 is not None and (other := _sha256(path)) != sha256:
        return f"has another checksum than expected, {other} instead of {sha256}"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

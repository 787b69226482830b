"""A file from the network, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import time
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

_CHUNK = 1 << 20
#: Status codes that a second request may cure.
_TRANSIENT = (408, 429, 500, 502, 503, 504)


class DownloadError(OSError):
    """A file could not be fetched; the message says from where, and where to put it by hand."""


class _Temporary(Exception):
    """What another attempt may cure."""


def cache_folder() -> Path:
    """Return the folder of downloads: ``SCCL_CACHE``, or ``sccl`` below ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if folder := os.environ.get("SCCL_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sccl"


def fetch(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    attempts: int = 4,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> Path:
    """Download a file, unless it is there.

    What has arrived is kept in ``path`` + ``.part``, so that a later attempt, in this call or another, asks for the rest
    only. The file gets its name once size and checksum are right. Where no checksum is given, that of the first download
    is written to ``path`` + ``.sha256``, and checked from then on.

    Parameters
    ----------
    url, path
        From where and to where.
    size, sha256
        Bytes and checksum of the file, if known.
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
    recorded = path.with_name(path.name + ".sha256")
    if sha256 is None and recorded.is_file():
        sha256 = recorded.read_text().strip()
    by_hand = f"Fetch {url} with other means and put it at {path}."
    if path.is_file():
        if wrong := _wrong(path, size, sha256):
            raise DownloadError(f"{path} {wrong}. Delete it (and {recorded.name}, if there is one) to fetch it anew.")
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for attempt in range(attempts):
        try:
            _fetch_rest(url, part, timeout=timeout)
            if wrong := _wrong(part, size, sha256):
                part.unlink()
                raise _Temporary(f"what arrived {wrong}")
            break
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
    recorded.write_text(_sha256(part) + "\n")
    part.replace(path)
    return path


def _fetch_rest(url: str, part: Path, *, timeout: float) -> None:
    """Append to `part` what it lacks."""
    have = part.stat().st_size if part.is_file() else 0
    request = Request(url, headers={"User-Agent": "sccl", **({"Range": f"bytes={have}-"} if have else {})})
    try:
        response: HTTPResponse = urlopen(request, timeout=timeout)
    except HTTPError as error:
        if error.code != 416:  # nothing is left to send
            raise
        error.close()
        part_is_whole = error.headers.get("Content-Range") == f"bytes */{have}"
        if not part_is_whole:
            part.unlink()
            raise _Temporary("the partial download did not fit the file") from error
        return
    with response:
        is_rest = response.status == 206
        length = response.headers.get("Content-Length")
        with part.open("ab" if is_rest else "wb") as file:
            while chunk := response.read1(_CHUNK):
                file.write(chunk)
        expected = None if length is None else int(length) + (have if is_rest else 0)
        if expected is not None and part.stat().st_size != expected:
            raise _Temporary(f"{part.stat().st_size} of {expected} bytes arrived")


def _wrong(path: Path, size: int | None, sha256: str | None) -> str | None:
    """Say what is wrong with a file, None if nothing."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"has {found} bytes instead of {size}"
    if found == 0:
        return "is empty"
    if sha256 is not None and _sha256(path) != sha256:
        return "has another checksum than expected"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

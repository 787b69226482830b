"""Functions that numba compiles once for all processes, wherever it can keep them and whatever became of what it kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


def compiled(**how: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function as ``numba.njit(nogil=True, cache=True, **how)`` does, but need no cache.

    Where none can be written, on a read-only system without a home directory for example, each process compiles for itself.
    What is damaged, or belongs to another user, is not read and made anew: what numba keeps are pickles.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(nogil=True, **how)(function)
        with suppress(RuntimeError):  # there is no place for a cache
            dispatcher._cache = _CarefulCache(function)
        return dispatcher

    return decorate


class _CarefulCache(FunctionCache):
    """A cache that is lost rather than that it stands in the way."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._is_ours():
            return None
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - what a damaged pickle raises can be anything
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        # what is there is read before it is added to; and the disk may be full, or read-only by now
        if self._is_ours():
            with suppress(OSError):
                super().save_overload(sig, data)

    def _is_ours(self) -> bool:
        folder = Path(self.cache_path)
        return all(map(_is_ours, [folder, *folder.glob(f"{self._impl.filename_base}*")]))


def _is_ours(path: Path) -> bool:
    try:
        return path.stat().st_uid in (os.geteuid(), 0)
    except FileNotFoundError:
        return True

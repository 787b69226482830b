"""What a run should be remembered with: versions, code, machine and memory."""

from __future__ import annotations

import ctypes
import gc
import hashlib
import os
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "sccl", "scvi-tools", "torch", "lightly", "lightning", "anndata", "scanpy", "scib-metrics", "jax", "numpy", "scipy",
    "scikit-learn", "pandas", "numba", "harmonypy",
    "scanorama", "concord-sc",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def code() -> str:
    """Return eight hexadecimal digits of a hash of this package's source and configuration."""
    root = Path(__file__).parents[2]
    files = sorted(path for path in root.rglob("*") if path.suffix in (".py", ".yaml"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:8]


def git_state() -> dict[str, Any] | None:
    """Return the commit of the package's source and whether it was changed, None where it is no git checkout."""
    source = Path(__file__).parent
    try:
        commit = _git("rev-parse", "HEAD", cwd=source)
        changed = _git("status", "--porcelain", "--untracked-files=no", cwd=source)
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit, "changed": bool(changed)}


def hardware() -> dict[str, Any]:
    """Return processor, cores, memory in GiB and, if torch sees one, the accelerator."""
    import torch

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
    }


def forget_peak_memory() -> None:
    """Start a new measurement of :func:`peak_memory_gib`, where the system can; what is free goes back to it."""
    gc.collect()
    with suppress(OSError, AttributeError):  # not every system's C library can
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak_memory_gib() -> float:
    """Return the most memory that the process held since :func:`forget_peak_memory`, in GiB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kib = peak // 1024 if sys.platform == "darwin" else peak
    return round(kib / 2**20, 3)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()

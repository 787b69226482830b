"""``python -m sccl``: what to add to a report of an error."""

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "sccl",
    "anndata",
    "annoy",
    "lightly",
    "lightning",
    "numba",
    "numpy",
    "pandas",
    "scanpy",
    "scib-metrics",
    "scikit-learn",
    "scipy",
    "scvi-tools",
    "torch",
)


def versions() -> dict[str, str]:
    """Return the versions of Python, the system and the packages below, without importing these."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


if __name__ == "__main__":
    for name, number in versions().items():
        print(f"{name:<14} {number}")

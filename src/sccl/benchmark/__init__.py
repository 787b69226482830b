"""Which architecture, augmentation and sampling is best here?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sccl.benchmark.scores import score

__all__ = ["score"]


def __getattr__(name: str) -> Any:
    # the commands' --help need not pay for pandas
    if name == "score":
        from sccl.benchmark.scores import score

        return score
    raise AttributeError(f"module 'sccl.benchmark' has no attribute {name!r}")

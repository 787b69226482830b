"""What goes in? Data to try things on."""

from sccl.datasets.simulate import simulate

__all__ = ["simulate"]

"""What goes in? Data to try things on, simulated and public."""

from sccl.datasets.download import DownloadError
from sccl.datasets.load import load
from sccl.datasets.simulate import simulate

__all__ = ["DownloadError", "load", "simulate"]

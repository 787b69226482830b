"""What goes in? Data to try things on, simulated and public, and what people have in files."""

# None of these imports anndata before it is called: a file that cannot be read is to be refused at once.
from sccl.datasets.download import DownloadError
from sccl.datasets.load import load
from sccl.datasets.read import read
from sccl.datasets.simulate import simulate

__all__ = ["DownloadError", "load", "read", "simulate"]

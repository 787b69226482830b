"""Cells from a file, in the forms in which people have them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from sccl.datasets.forms import check_readable

if TYPE_CHECKING:
    from anndata import AnnData


def read(path: str | PathLike[str]) -> AnnData:
    """Read cells from a file or folder.

    Parameters
    ----------
    path
        An h5ad file; a zarr folder; a loom file; CellRanger's ``.h5`` file; or a folder with CellRanger's matrix
        (``matrix.mtx``, ``barcodes.tsv`` and ``features.tsv`` or ``genes.tsv``, each also as ``.gz``, with or without a
        common prefix). It is told by its content, not by its name.

    Returns
    -------
    The AnnData. Of CellRanger's and loom's, ``X`` is CSR; CellRanger's cells have genes named by symbol (made unique)
    with ``var["gene_ids"]`` beside, and where there are other features than genes these are left out, and a warning says so.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read; the message says what can be.

    Examples
    --------
    >>> adata = sccl.datasets.read("cells.h5ad")
    """
    path = Path(path).expanduser()
    form = check_readable(path)
    try:
        if form == "h5ad":
            from anndata import read_h5ad

            return read_h5ad(path)
        if form == "zarr":
            from anndata.io import read_zarr

            return read_zarr(path)
        from sccl.datasets import exchange

        readers = {"10x": exchange.read_10x, "10x folder": exchange.read_10x_folder, "loom": exchange.read_loom}
        return readers[form](path)
    except Warning:  # which the user turned into errors
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ValueError(f"{path} looks like {form}, but cannot be read, is it damaged? {reason}") from error

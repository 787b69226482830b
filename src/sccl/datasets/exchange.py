"""Other programs' forms of a matrix: CellRanger's and loom's."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique
from scipy import sparse
from scipy.io import mmread

from sccl.datasets.forms import find_matrix

_GENES = "Gene Expression"
_BLOCK_ELEMENTS = 2**24
# names of cells and genes in loom files of velocyto, scanpy and others
_CELLS, _SYMBOLS = ("CellID", "obs_names", "cell_id", "Barcode"), ("Gene", "var_names", "gene_name", "Accession")


def read_10x(path: Path) -> AnnData:
    """Read CellRanger's HDF5 file, of version 3 and later (``/matrix``) or before (a group for each genome)."""
    with h5py.File(path) as file:
        genomes = [name for name, group in file.items() if "indptr" in group]
        if len(genomes) > 1:
            raise ValueError(f"it holds several genomes, {', '.join(genomes)}: write a file of each first")
        group = file[genomes[0]]
        n_genes, n_cells = group["shape"][:]
        # genes × cells by columns is cells × genes by rows
        counts = sparse.csr_matrix(
            (group["data"][:], group["indices"][:], group["indptr"][:]), shape=(n_cells, n_genes)
        )
        features = group["features"] if "features" in group else group
        ids, symbols = ("id", "name") if "features" in group else ("genes", "gene_names")
        var = pd.DataFrame({"symbol": _text(features[symbols]), "gene_ids": _text(features[ids])})
        if "feature_type" in features:
            var["feature_types"] = _text(features["feature_type"])
        return _as_cells(counts, _text(group["barcodes"]), var)


def read_10x_folder(folder: Path) -> AnnData:
    """Read CellRanger's matrix folder, compressed or not."""
    found = find_matrix(folder)
    assert found is not None  # that it is there is how the form was told
    matrix, barcodes, features = found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the kind of matrix it returns will change
        counts = sparse.csr_matrix(mmread(matrix).T)
    # names may be "NA", which is no missing value
    columns = pd.read_csv(features, sep="\t", header=None, dtype=str, keep_default_na=False, quoting=3)
    var = pd.DataFrame({"symbol": columns[min(1, columns.shape[1] - 1)], "gene_ids": columns[0]})
    if columns.shape[1] > 2:
        var["feature_types"] = columns[2]
    opened: Any = gzip.open if barcodes.suffix == ".gz" else open
    with opened(barcodes, "rt") as lines:
        names = [line.split("\t")[0].strip() for line in lines if line.strip()]
    if counts.shape != (len(names), len(var)):
        raise ValueError(
            f"the matrix is {counts.shape[1]} × {counts.shape[0]}, for {len(var)} features and {len(names)} barcodes"
        )
    return _as_cells(counts, names, var)


def read_loom(path: Path) -> AnnData:
    """Read a loom file: the matrix and its layers as CSR, attributes of one value per gene or cell."""
    with h5py.File(path) as file:
        obs, obs_names = _attributes(file["col_attrs"], _CELLS, file["matrix"].shape[1])
        var, var_names = _attributes(file["row_attrs"], _SYMBOLS, file["matrix"].shape[0])
        layers = {name: _transposed(layer) for name, layer in file.get("layers", {}).items()}
        names = make_index_unique(pd.Index(var_names, dtype=object))
        return AnnData(_transposed(file["matrix"]), obs=obs.set_axis(obs_names), var=var.set_axis(names), layers=layers)


def _as_cells(counts: sparse.csr_matrix, barcodes: Any, var: pd.DataFrame) -> AnnData:
    """Return cells with genes named by symbol; other features are left out, and a warning says so."""
    counts = counts.astype(np.float32)
    if "feature_types" in var and _GENES in set(var["feature_types"]):
        others = var.loc[var["feature_types"] != _GENES, "feature_types"].value_counts()
        if len(others):
            listed = ", ".join(f"{count} of {name}" for name, count in others.items())
            warnings.warn(f"Only genes are read; left out are features: {listed}.", stacklevel=4)
            rows = np.flatnonzero(var["feature_types"] == _GENES)
            counts, var = counts[:, rows], var.iloc[rows]
    names = make_index_unique(pd.Index(var["symbol"], dtype=object))
    obs = pd.DataFrame(index=pd.Index(barcodes, dtype=object))
    return AnnData(counts, obs=obs, var=var.drop(columns="symbol").set_axis(names))


def _text(values: h5py.Dataset) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values[:]]


def _attributes(group: h5py.Group, names: tuple[str, ...], n: int) -> tuple[pd.DataFrame, list[str]]:
    """Return the attributes with one value per row, and the names of the rows."""
    single = {name: values for name, values in group.items() if values.shape == (n,)}
    columns = {name: _text(values) if values.dtype.kind in "OS" else values[:] for name, values in single.items()}
    key = next((name for name in names if name in columns), None)
    index = list(map(str, columns.pop(key))) if key else list(map(str, range(n)))
    return pd.DataFrame(columns, index=pd.Index(index, dtype=object)), index


def _transposed(matrix: h5py.Dataset) -> sparse.csr_matrix:
    """Return cells × genes of genes × cells, reading blocks of cells."""
    n_genes, n_cells = matrix.shape
    step = max(1, _BLOCK_ELEMENTS // max(1, n_genes))
    blocks = [sparse.csr_matrix(matrix[:, start : start + step].T) for start in range(0, n_cells, step)]
    return sparse.csr_matrix(sparse.vstack(blocks, format="csr")) if blocks else sparse.csr_matrix((0, n_genes))

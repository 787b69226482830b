"""Cells from files: every form that people have, read back as it was, or refused at once."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.io import mmwrite

from sccl.datasets import read, simulate
from sccl.datasets.forms import READABLE, check_readable

#: Two genes have one symbol.
SYMBOLS = ["CD3E", "NKG7", "CD3E", *(f"G{i}" for i in range(9))]


@pytest.fixture(scope="module")
def cells() -> anndata.AnnData:
    adata = simulate(30, 12, n_types=2)
    adata.obs_names = [f"{'ACGT'[i % 4]}{i}-1" for i in range(30)]
    adata.var["gene_ids"] = [f"ENSG{i:03}" for i in range(12)]
    return adata


def write_10x(path: Path, adata, *, n_antibodies: int = 0) -> None:
    x = sparse.hstack([adata.X, sparse.csr_matrix(np.ones((adata.n_obs, n_antibodies)))], format="csr")
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"], group["indptr"] = x.data.astype(int), x.indices, x.indptr
        group["shape"], group["barcodes"] = x.shape[::-1], adata.obs_names.to_numpy().astype("S")
        names = [*SYMBOLS, *(f"anti-{i}" for i in range(n_antibodies))]
        group["features/name"] = np.array(names, "S")
        group["features/id"] = np.array([*adata.var["gene_ids"], *names[12:]], "S")
        types = ["Gene Expression"] * 12 + ["Antibody Capture"] * n_antibodies
        group["features/feature_type"] = np.array(types, "S")


def write_legacy_10x(path: Path, adata, genomes: tuple[str, ...] = ("hg19",)) -> None:
    with h5py.File(path, "w") as file:
        for genome in genomes:
            group = file.create_group(genome)
            group["data"], group["indices"], group["indptr"] = adata.X.data, adata.X.indices, adata.X.indptr
            group["shape"], group["barcodes"] = adata.X.shape[::-1], adata.obs_names.to_numpy().astype("S")
            group["gene_names"], group["genes"] = np.array(SYMBOLS, "S"), np.array(adata.var["gene_ids"], "S")


def write_folder(folder: Path, adata, *, zipped: bool, prefix: str = "", features: str = "features") -> None:
    folder.mkdir(exist_ok=True)
    barcodes = "".join(f"{name}\n" for name in adata.obs_names)
    extra = "\tGene Expression" if features == "features" else ""
    genes = "".join(f"{i}\t{s}{extra}\n" for i, s in zip(adata.var["gene_ids"], SYMBOLS, strict=True))
    mmwrite(folder / f"{prefix}matrix.mtx", adata.X.T.astype(int))
    (folder / f"{prefix}barcodes.tsv").write_text(barcodes)
    (folder / f"{prefix}{features}.tsv").write_text(genes)
    for path in list(folder.glob(f"{prefix}*")) if zipped else ():
        (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def write_loom(path: Path, adata) -> None:
    with h5py.File(path, "w") as file:
        file["matrix"] = adata.X.toarray().T
        file["layers/spliced"] = 2 * adata.X.toarray().T
        file["row_attrs/Gene"] = np.array(SYMBOLS, "S")
        file["row_attrs/Accession"] = np.array(adata.var["gene_ids"], "S")
        file["col_attrs/CellID"] = adata.obs_names.to_numpy().astype("S")
        file["col_attrs/batch"] = adata.obs["batch"].to_numpy().astype("S")
        file["col_attrs/total"] = np.arange(adata.n_obs)
        file["col_attrs/pca"] = np.zeros((adata.n_obs, 2))


def assert_same_counts(found: anndata.AnnData, cells: anndata.AnnData) -> None:
    assert isinstance(found.X, sparse.csr_matrix)
    assert (found.X != cells.X).nnz == 0
    assert list(found.obs_names) == list(cells.obs_names)
    assert list(found.var_names) == ["CD3E", "NKG7", "CD3E-1", *SYMBOLS[3:]]


@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_files_of_anndata_come_back_as_they_were_whatever_their_name(cells, tmp_path, ending):
    path = tmp_path / f"cells.{ending}"
    getattr(cells, f"write_{ending}")(path)
    for name in (path, path.rename(tmp_path / "cells")):
        if name.exists():
            found = read(str(name))
            assert (found.X != cells.X).nnz == 0
            pd.testing.assert_frame_equal(found.obs, cells.obs)
            pd.testing.assert_frame_equal(found.var, cells.var)


def test_cellranger_files_of_both_versions_are_read_with_genes_named_by_symbol(cells, tmp_path):
    write_10x(tmp_path / "new.h5", cells)
    write_legacy_10x(tmp_path / "old.h5", cells)
    for name in ("new.h5", "old.h5"):
        found = read(tmp_path / name)
        assert_same_counts(found, cells)
        assert list(found.var["gene_ids"]) == list(cells.var["gene_ids"])


def test_features_that_are_no_genes_are_left_out_with_a_warning(cells, tmp_path):
    write_10x(tmp_path / "cite.h5", cells, n_antibodies=3)
    with pytest.warns(UserWarning, match="3 of Antibody Capture"):
        found = read(tmp_path / "cite.h5")
    assert_same_counts(found, cells)


@pytest.mark.parametrize(
    "form",
    [
        {"zipped": True},
        {"zipped": False},
        {"zipped": False, "features": "genes"},
        {"zipped": True, "prefix": "GSM123_"},
    ],
)
def test_cellranger_folders_are_read_zipped_or_not_old_or_new_and_with_a_prefix(cells, tmp_path, form):
    write_folder(tmp_path / "counts", cells, **form)
    assert_same_counts(read(tmp_path / "counts"), cells)


def test_loom_files_are_read_with_their_layers(cells, tmp_path):
    write_loom(tmp_path / "cells.loom", cells)
    found = read(tmp_path / "cells.loom")
    assert_same_counts(found, cells)
    assert (found.layers["spliced"] != 2 * cells.X).nnz == 0
    assert list(found.obs["batch"]) == list(cells.obs["batch"])
    assert list(found.obs) == ["batch", "total"]


def _text(path):
    path.write_text("gene,a,b\nx,1,2\n")


def _empty(path):
    path.write_bytes(b"")


def _zipped(path):
    path.write_bytes(gzip.compress(b"\x89HDF"))


def _h5mu(path):
    with h5py.File(path, "w") as file:
        file.create_group("mod")


def _molecules(path):
    with h5py.File(path, "w") as file:
        file["barcode_idx"] = [1]


def _folder(path):
    path.mkdir()
    (path / "notes.txt").write_text("nothing")


def _spatial(path):
    path.mkdir()
    (path / "zarr.json").write_text(json.dumps({"attributes": {"spatialdata_attrs": {}}}))


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("cells.csv", _text, "nothing that can be read.*h5ad.*Make an AnnData of the table"),
        ("cells.rds", _text, "R object"),
        ("matrix.mtx", _text, "Name its folder"),
        ("cells.h5ad", _text, "nothing that can be read"),
        ("cells.h5ad", _empty, "nothing that can be read"),
        ("cells.h5ad.gz", _zipped, "gunzip"),
        ("cells.h5mu", _h5mu, "modalities"),
        ("molecule_info.h5", _molecules, "filtered_feature_bc_matrix"),
        ("folder", _folder, "nothing that can be read"),
        ("cells.zarr", _spatial, "nothing that can be read"),
    ],
)
def test_what_cannot_be_read_is_refused_naming_the_file_and_what_can_be(tmp_path, name, write, message):
    write(tmp_path / name)
    for door in (check_readable, read):
        with pytest.raises(ValueError, match=message) as refused:
            door(tmp_path / name)
        assert str(tmp_path / name) in str(refused.value)


def test_a_file_that_does_not_exist_is_said_to_be_absent(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*absent"):
        read(tmp_path / "absent.h5ad")


def test_several_matrices_in_a_folder_and_several_genomes_in_a_file_are_refused(cells, tmp_path):
    for prefix in ("a_", "b_"):
        write_folder(tmp_path / "many", cells, zipped=False, prefix=prefix)
    with pytest.raises(ValueError, match="several matrices: "):
        read(tmp_path / "many")
    write_legacy_10x(tmp_path / "two.h5", cells, ("hg19", "mm10"))
    with pytest.raises(ValueError, match="several genomes, hg19, mm10"):
        read(tmp_path / "two.h5")


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_a_file_that_was_cut_off_is_said_to_be_damaged(cells, tmp_path, kept):
    path = tmp_path / "cells.h5ad"
    cells.write_h5ad(path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"cells\.h5ad (cannot be opened|.*cannot be read)"):
        read(path)


def test_a_file_that_lacks_a_part_is_said_to_be_damaged(cells, tmp_path):
    path = tmp_path / "cells.h5ad"
    cells.write_h5ad(path)
    with h5py.File(path, "a") as file:
        del file["X/indptr"]
    with pytest.raises(ValueError, match=r"cells\.h5ad looks like h5ad, but cannot be read"):
        read(path)
    write_folder(tmp_path / "short", cells, zipped=False)
    (tmp_path / "short" / "barcodes.tsv").write_text("AAA-1\n")
    with pytest.raises(ValueError, match="1 barcodes"):
        read(tmp_path / "short")


def test_refusing_a_file_imports_nothing_that_takes_long(tmp_path):
    (tmp_path / "cells.csv").write_text("a,b")
    code = (
        "import sys\nfrom sccl.datasets.forms import check_readable\n"
        f"try: check_readable({str(tmp_path / 'cells.csv')!r})\nexcept ValueError: pass\n"
        "sys.exit(' '.join({'torch', 'scvi', 'scanpy', 'anndata', 'pandas'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "h5ad" in READABLE

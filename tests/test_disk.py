"""Cells on disk: written as they would be in memory, read in runs, learned from and embedded."""

import shutil
import sys
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import scvi
import zarr
from annbatch import DatasetCollection
from hypothesis import given
from hypothesis import strategies as st

import sccl
import sccl.pp.to_disk as to_disk
from sccl.dataloaders.store import StoreLoader, StoreSplitter, runs_of
from sccl.dataloaders.store.runs import draw_runs, rows_of
from sccl.model.to_train import StoredCells

QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}
GENES = 120


@pytest.fixture(scope="module")
def counts():
    """900 cells of three batches."""
    return sccl.datasets.simulate(n_cells=900, n_genes=200, n_batches=3, n_types=4, mean_count=2.0, seed=0)


@pytest.fixture(scope="module")
def files(counts, tmp_path_factory):
    """The same in three files, in other formats and with genes in another order."""
    folder = tmp_path_factory.mktemp("files")
    paths = [folder / "a.h5ad", folder / "b.h5ad", folder / "c.zarr"]
    parts = [counts[i::3].copy() for i in range(3)]
    parts[1] = parts[1][:, ::-1].copy()
    parts[1].X = parts[1].X.toarray().astype(np.int32)
    parts[1].obs["of this file alone"] = 1
    parts[0].write_h5ad(paths[0], compression="gzip")
    parts[1].write_h5ad(paths[1])
    parts[2].write_zarr(paths[2])
    return paths


@pytest.fixture(scope="module")
def store(files, tmp_path_factory):
    """A store of four datasets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(to_disk, "DATASET_CELLS", 256)
        patch.setattr(to_disk, "RUN_CELLS", 32)
        return written(tmp_path_factory.mktemp("store") / "cells.zarr", files)


@pytest.fixture(scope="module")
def in_memory(counts, store):
    """The cells of the store, in its order, preprocessed in memory."""
    adata = counts.copy()
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=GENES)
    return adata[store.obs_names].copy()


@pytest.fixture(scope="module")
def model(store):
    """A model that learned from the store."""
    scvi.settings.seed = 0
    model = sccl.CLModel(registry=store.registry, n_latent=16)
    model.train(5, datamodule=store, validation_size=0.2, batch_size=64, **QUIET)
    return model


def written(path, files, **kwargs):
    return sccl.pp.preprocess_to(path, files, progress=False, **{"batch_key": "batch", "n_top_genes": GENES, **kwargs})


def everything(store):
    return sp.vstack([csr for _, csr in store.blocks(size=100)]).toarray()


def test_a_store_holds_what_preprocessing_in_memory_gives(store, in_memory, counts):
    assert list(store.var_names) == list(in_memory.var_names)
    np.testing.assert_array_equal(everything(store), in_memory.X.toarray())
    obs = store.obs
    assert list(obs) == ["batch", "cell_type", "input_row"]
    assert (obs["batch"].astype(str) == in_memory.obs["batch"].astype(str)).all()
    in_files = [*counts.obs_names[::3], *counts.obs_names[1::3], *counts.obs_names[2::3]]
    assert [in_files[row] for row in obs["input_row"]] == list(obs.index)
    assert [store.batches[code] for code in store.codes] == list(obs["batch"])
    collection = DatasetCollection(zarr.open_group(store.path, mode="r"))  # for anybody who reads these
    assert len(list(collection)) == 4
    assert not collection.is_empty


def test_interrupted_writing_goes_on_where_it_was(store, files, tmp_path, monkeypatch):
    monkeypatch.setattr(to_disk, "DATASET_CELLS", 256)
    monkeypatch.setattr(to_disk, "RUN_CELLS", 32)
    path, write, done = tmp_path / "cells.zarr", to_disk.write_dataset, []

    def write_two(root, dataset, key):
        write(root, dataset, key)
        done.append(key)
        if len(done) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(to_disk, "write_dataset", write_two)
        with pytest.raises(KeyboardInterrupt):
            written(path, files)
        with pytest.raises(ValueError, match=r"not finished: call `sccl.pp.preprocess_to` again"):
            sccl.pp.CellStore(path)
        with pytest.raises(ValueError, match=r"begun with other parameters \(.*n_top_genes=120"):
            written(path, files, n_top_genes=100)
        with pytest.raises(ValueError, match="begun with other files"):
            written(path, files[:2])
        written(path, files)
    assert done == ["dataset_0", "dataset_1", "dataset_1", "dataset_2", "dataset_3"]
    again = written(path, files)  # is there already
    np.testing.assert_array_equal(everything(again), everything(store))
    assert list(again.obs_names) == list(store.obs_names)


def test_what_is_damaged_or_no_store_is_refused(store, files, tmp_path):
    damaged = tmp_path / "damaged.zarr"
    shutil.copytree(store.path, damaged)
    shutil.rmtree(damaged / "dataset_1" / "X" / "indptr")
    with pytest.raises(ValueError, match=r"is damaged .*: delete it"):
        sccl.pp.CellStore(damaged)
    foreign = tmp_path / "foreign.zarr"
    zarr.open_group(foreign, mode="w")
    for path in (foreign, tmp_path / "nothing", tmp_path):
        with pytest.raises(ValueError, match="is no store of preprocessed cells"):
            sccl.pp.CellStore(path)
    with pytest.raises(ValueError, match="is no store of preprocessed cells"):
        written(foreign, files)


def spoiled(counts, how):
    adata = counts[:40].copy()
    if how == "by genes":
        adata.X = adata.X.tocsc()
    elif how == "logarithms":
        adata.X = adata.X.log1p()
    elif how == "other genes":
        adata.var_names, adata.obs_names = "x" + adata.var_names, "x" + adata.obs_names
    elif how == "no batches":
        del adata.obs["batch"]
    return adata


@pytest.mark.parametrize(
    ("how", "error", "named"),
    [
        ("by genes", ValueError, r"stores X by genes \(CSC\)"),
        ("logarithms", ValueError, "holds non-integers"),
        ("other genes", ValueError, "no gene in common"),
        ("no batches", KeyError, "'batch' is not in .*bad.h5ad"),
        ("the same cells", ValueError, "obs_names must be unique across files"),
    ],
)
def test_files_that_cannot_be_read_are_refused(counts, files, tmp_path, how, error, named):
    spoiled(counts, how).write_h5ad(tmp_path / "bad.h5ad")
    with pytest.raises(error, match=named):
        written(
            tmp_path / "cells.zarr",
            [files[0], tmp_path / "bad.h5ad"] if how != "logarithms" else [tmp_path / "bad.h5ad"],
        )


def test_arguments_that_cannot_be_are_refused(files, tmp_path, monkeypatch):
    path = tmp_path / "cells.zarr"
    for kwargs, error, named in [
        ({"files": files[0]}, ValueError, "`files` must be a list"),
        ({"files": [tmp_path / "absent.h5ad"]}, ValueError, "absent.h5ad is not there"),
        ({"files": files, "layer": "counts"}, KeyError, "has no layers/counts"),
        ({"files": files, "n_top_genes": 0}, ValueError, "n_top_genes must be"),
    ]:
        with pytest.raises(error, match=named):
            sccl.pp.preprocess_to(path, **kwargs)
    assert not path.exists()
    monkeypatch.setitem(sys.modules, "annbatch", None)
    with pytest.raises(ImportError, match=r"pip install 'sccl\[disk\]'"):
        written(path, files)


def test_a_store_is_embedded_as_the_same_cells_are_in_memory(model, store, in_memory, tmp_path):
    latent = model.get_latent_representation(store)
    assert latent.shape == (900, 16)
    np.testing.assert_allclose(latent, model.get_latent_representation(in_memory), atol=1e-5)
    some = np.array([700, 3, 3, 12])
    np.testing.assert_allclose(model.get_latent_representation(store, indices=some), latent[some], atol=1e-5)
    model.save(tmp_path)
    loaded = sccl.CLModel.load(tmp_path, in_memory, accelerator="cpu")  # and its registry is that of the cells
    np.testing.assert_allclose(loaded.get_latent_representation(), latent, atol=1e-5)


def test_training_on_disk_learns_what_training_in_memory_does(model, store, in_memory):
    assert model.training_[-1]["n_steps"] in [5 * -(-n_train // 64) for n_train in range(690, 750)]
    assert model.history["validation_loss"].iloc[-1, 0] < model.history["validation_loss"].iloc[0, 0]
    assert not np.array_equal(model.module.readout.weight_dd.numpy(), np.eye(16))  # pairs were found
    latent = model.get_latent_representation(store)
    near, _ = sccl.graph.knn(latent, k=5)
    types = in_memory.obs["cell_type"].to_numpy()
    assert (types[near] == types[:, None]).mean() > 0.8
    scvi.settings.seed = 0
    again = sccl.CLModel(registry=store.registry, n_latent=16)
    again.train(5, datamodule=str(store.path), validation_size=0.2, batch_size=64, **QUIET)
    np.testing.assert_array_equal(again.get_latent_representation(store), latent)


def test_minibatches_are_of_one_batch_and_partners_of_another(store, in_memory):
    model = sccl.CLModel(registry=store.registry)
    asked = SimpleNamespace(train_size=0.75, validation_size=None, batch_size=64)
    cells = StoredCells(model, store)
    cells.choose(sccl.augment.CrossBatchPositive(), "batch", None, None)
    _, _, splitter = cells.load(asked, seed=3)
    train, val = (rows_of(runs) for runs in (splitter.train_runs, splitter.val_runs))
    assert np.array_equal(np.sort([*train, *val]), np.arange(900))
    x, seen = in_memory.X.toarray(), []
    of_cell = {row.tobytes(): code for row, code in zip(x, store.codes, strict=True)}
    for batch in splitter.train_dataloader():
        rows = batch["cells"].numpy()
        seen.extend(rows)
        assert np.unique(store.codes[rows]).size == 1
        np.testing.assert_array_equal(batch["views"][0].numpy(), x[rows])
        second = batch["views"][1].numpy()
        moved = (second != x[rows]).any(axis=1)
        assert all(of_cell[row.tobytes()] != store.codes[rows[0]] for row in second[moved])
        assert moved.any()
    assert set(seen) <= set(train)
    assert len(seen) == len(set(seen)) > 0.8 * train.size
    np.testing.assert_array_equal(np.concatenate([b["cells"].numpy() for b in splitter.val_dataloader()]), val)


def test_what_needs_all_cells_in_memory_is_refused(store, in_memory):
    model = sccl.CLModel(registry=store.registry)
    for kwargs, error, named in [
        ({"sampling": "neighbor"}, ValueError, "`sampling`: .* not in memory"),
        ({"augmentation": "claire"}, ValueError, "`augmentation`: .* not in memory"),
        ({"use_rep": "X_pca"}, ValueError, "a store has no `obsm`"),
        ({"datamodule": in_memory}, TypeError, "must be a store of preprocessed cells, found AnnData"),
    ]:
        with pytest.raises(error, match=named):
            model.train(1, **{"datamodule": store, **kwargs}, **QUIET)
    sccl.CLModel.setup_anndata(in_memory)
    with pytest.raises(ValueError, match="has cells of its own"):
        sccl.CLModel(in_memory).train(1, datamodule=store, **QUIET)
    fewer = in_memory[:, :50].copy()
    sccl.CLModel.setup_anndata(fewer)
    other = sccl.CLModel(registry=sccl.CLModel(fewer).registry)
    with pytest.raises(ValueError, match="has other genes than the model"):
        other.train(1, datamodule=store, **QUIET)


def test_uniform_and_crossover_need_no_neighbours(store):
    splitter = StoreSplitter(store, 1.0, None, seed=0)
    how = {"residents": None, "augmentation": sccl.augment.preset("clear"), "batch_size": 50}
    splitter.bind(sampling=sccl.dataloaders.UniformSampling(), **how)
    loader = splitter.train_dataloader()
    assert isinstance(loader, StoreLoader)
    first, second = ([batch["cells"].numpy() for batch in loader] for _ in range(2))
    assert len(first) == len(loader) == 18
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    loader.set_epoch(1)
    assert not np.array_equal(next(iter(loader))["cells"].numpy(), first[0])


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=5), st.integers(1, 6000))
def test_runs_hold_each_cell_once_and_are_drawn_until_they_are_enough(sizes, wanted):
    starts = np.concatenate([[0], np.cumsum(sizes)])
    runs = runs_of(SimpleNamespace(starts=starts, n_obs=int(starts[-1])))
    assert np.array_equal(rows_of(runs), np.arange(starts[-1]))
    drawn = rows_of(draw_runs(runs, wanted, np.random.default_rng(0)))
    assert drawn.size >= min(wanted, starts[-1])
    assert np.array_equal(drawn, np.unique(drawn))


def test_backed_and_lazy_data_are_read_or_say_where_to_go(in_memory, tmp_path):
    in_memory.copy().write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    with pytest.raises(ValueError, match=r"backed by a file.*sccl.pp.preprocess_to"):
        sccl.pp.preprocess(backed)
    import dask.array as da

    lazy = ad.AnnData(da.from_array(in_memory.X.toarray(), chunks=(100, -1)))
    with pytest.raises(ValueError, match=r"sccl.pp.preprocess_to"):
        sccl.CLModel.setup_anndata(lazy)
    scvi.settings.seed = 0
    latent = []
    for adata in (in_memory.copy(), backed):
        sccl.CLModel.setup_anndata(adata, batch_key="batch")
        scvi.settings.seed = 1
        model = sccl.CLModel(adata, n_latent=8)
        model.train(2, **QUIET)
        latent.append(model.get_latent_representation())
    np.testing.assert_allclose(latent[0], latent[1], atol=1e-4)

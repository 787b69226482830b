"""A batch: every cell once, one read, two views."""

import anndata as ad
import numpy as np
import pytest
import scvi
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, random_array

import sccl
from sccl.augment import Compose, CrossOver, Mask, preset
from sccl.dataloaders import (
    RowReader,
    TwoViewDataLoader,
    TwoViewDataSplitter,
    UniformSampling,
    as_sampling,
)
from sccl.dataloaders.sampling import n_minibatches

N_CELLS, N_GENES = 130, 40


@pytest.fixture
def adata():
    x = random_array((N_CELLS, N_GENES), density=0.3, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    return ad.AnnData(csr_matrix(x), obs={"batch": np.resize(["a", "b", "c"], N_CELLS)})


def manager_of(adata):
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return sccl.CLModel(adata).adata_manager


def loader_of(adata, **kwargs):
    arguments = {"augmentation": preset("clear"), "sampling": UniformSampling(), "batch_size": 32, **kwargs}
    return TwoViewDataLoader(manager_of(adata), **arguments)


def epoch_of(loader, epoch):
    loader.sampler.set_epoch(epoch)
    batches = list(loader)
    views = torch.cat([batch["views"] for batch in batches], dim=1)
    cells = torch.cat([batch["cells"] for batch in batches])
    return views[:, cells.argsort()], cells


@settings(max_examples=200, deadline=None)
@given(n_cells=st.integers(1, 700), batch_size=st.integers(2, 300))
def test_every_cell_once_and_none_alone(n_cells, batch_size):
    cells = np.random.default_rng(0).permutation(n_cells)
    parts = UniformSampling().minibatches(cells, np.zeros(n_cells), batch_size=batch_size, rng=np.random.default_rng(1))
    sizes = [part.size for part in parts]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(n_cells))
    assert len(parts) == n_minibatches(n_cells, batch_size)
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= max(batch_size, 3)
    assert min(sizes) >= min(2, n_cells)


def test_a_loader_is_scvis_and_gives_two_views_with_the_cells_numbers(adata):
    columns = list(adata.obs)
    loader = loader_of(adata, augmentation=Compose([Mask(0.5, p=1.0)]))
    assert isinstance(loader, scvi.dataloaders.AnnDataLoader)
    batches = list(loader)
    assert len(loader) == len(batches) == 5
    for batch in batches:
        x = torch.from_numpy(adata.X[batch["cells"].numpy()].toarray())
        assert batch["views"].shape == (2, *x.shape)
        assert batch["views"].dtype == torch.float32
        assert ((batch["views"] == x) | (batch["views"] == 0)).all()
        assert not torch.equal(batch["views"][0], batch["views"][1])
        assert batch["batch"].tolist() == adata.obs["_scvi_batch"].iloc[batch["cells"].numpy()].tolist()
    assert set(adata.obs) - set(columns) == {"_scvi_batch", "_scvi_labels"}


def test_epochs_differ_and_repeat(adata):
    loader, again = loader_of(adata, seed=3), loader_of(adata, seed=3)
    first, order = epoch_of(loader, 0)
    second, other_order = epoch_of(loader, 1)
    assert not torch.equal(first, second)
    assert not torch.equal(order, other_order)
    assert torch.equal(second, epoch_of(again, 1)[0])  # as after a resume: without going through epoch 0
    assert not torch.equal(first, epoch_of(loader_of(adata, seed=4), 0)[0])


def test_views_do_not_depend_on_the_minibatches_or_on_worker_processes(adata):
    views = epoch_of(loader_of(adata), 2)[0]
    assert torch.equal(views, epoch_of(loader_of(adata, batch_size=7), 2)[0])
    assert torch.equal(views, epoch_of(loader_of(adata, num_workers=2), 2)[0])


def test_a_torch_function_gives_the_same_views_whatever_else_draws(adata):
    augmentation = Compose([lambda x: x + torch.rand_like(x)])
    views = epoch_of(loader_of(adata, augmentation=augmentation), 0)[0]
    torch.rand(100)
    assert torch.equal(views, epoch_of(loader_of(adata, augmentation=augmentation), 0)[0])


def test_an_unshuffled_loader_keeps_order_and_views(adata):
    loader = loader_of(adata, shuffle=False)
    first, order = epoch_of(loader, 0)
    assert torch.equal(order, torch.arange(N_CELLS))
    assert torch.equal(first, epoch_of(loader, 5)[0])


def test_views_are_fresh_memory(adata):
    before = adata.X.copy()
    batches = list(loader_of(adata))
    pointers = {batch["views"].data_ptr() for batch in batches}
    assert len(pointers) == len(batches)
    for batch in batches:
        batch["views"].fill_(-1)
    assert (adata.X != before).nnz == 0


def test_cells_borrow_only_from_the_loaders_cells(adata):
    value = (np.arange(N_CELLS, dtype=np.float32) + 1) / 16  # says which cell it comes from, exactly
    adata.X = csr_matrix(np.repeat(value[:, None], N_GENES, axis=1))
    indices = np.arange(0, N_CELLS, 3)
    loader = loader_of(adata, indices=indices, augmentation=Compose([CrossOver(0.5, p=1.0)]))
    values = {value for batch in loader for value in batch["views"].unique().tolist()}
    assert values <= set(value[indices].tolist())


def test_an_exception_in_an_augmentation_reaches_the_loop(adata):
    with pytest.raises(ValueError, match="must return cells × genes"):
        list(loader_of(adata, augmentation=Compose([lambda x: x[:1]])))


@pytest.mark.parametrize("is_sparse", [True, False])
def test_a_file_gives_the_same_views_as_memory(adata, tmp_path, is_sparse):
    if not is_sparse:
        adata.X = adata.X.toarray()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    assert torch.equal(epoch_of(loader_of(adata), 1)[0], epoch_of(loader_of(backed), 1)[0])


def test_a_batch_is_one_read_of_each_row_it_needs(adata, tmp_path, monkeypatch):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    loader = loader_of(ad.read_h5ad(tmp_path / "cells.h5ad", backed="r"))
    reads = []
    read = RowReader.read
    monkeypatch.setattr(RowReader, "read", lambda self, rows: reads.append(rows) or read(self, rows))
    assert len(list(loader)) == len(reads)
    assert all(rows.size > 32 for rows in reads[:-1])  # the cells and their partners


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "csr_array", "dense", "int", "float64", "duplicates"])
def test_rows_are_read_from_any_form_without_changing_it(form):
    counts = np.random.default_rng(0).poisson(0.7, (20, 9))
    x = {
        "csr": lambda: csr_matrix(counts, dtype=np.float32),
        "csc": lambda: csr_matrix(counts, dtype=np.float32).tocsc(),
        "coo": lambda: csr_matrix(counts, dtype=np.float32).tocoo(),
        "csr_array": lambda: random_array((20, 9), density=1, format="csr", rng=0) * 0 + csr_matrix(counts),
        "dense": lambda: counts.astype(np.float32),
        "int": lambda: csr_matrix(counts.astype(np.int32)),
        "float64": lambda: csr_matrix(counts.astype(np.float64)),
        "duplicates": lambda: csr_matrix(
            (
                np.ones(counts.sum()),
                np.repeat(np.tile(np.arange(9), 20), counts.ravel()),
                np.r_[0, counts.sum(1).cumsum()],
            ),
            shape=(20, 9),
        ),
    }[form]()
    before = x.copy()
    rows = np.array([4, 4, 0, 19])
    csr, at = RowReader(x).read(rows)
    assert csr.dtype == np.float32
    assert np.array_equal(csr[at].toarray(), counts[rows])
    assert type(x) is type(before)
    assert x.dtype == before.dtype
    assert getattr(x, "nnz", x.size) == getattr(before, "nnz", x.size)


def test_float32_csr_is_read_without_a_copy(adata):
    csr, _ = RowReader(adata.X).read(np.array([0]))
    assert np.shares_memory(csr.data, adata.X.data)


def test_a_split_is_random_complete_and_follows_the_seed(adata):
    def split(seed):
        splitter = TwoViewDataSplitter(
            manager_of(adata),
            0.7,
            0.2,
            seed=seed,
            batch_size=32,
            augmentation=preset("clear"),
            sampling=as_sampling(None),
        )
        splitter.setup()
        return splitter

    one, again, other = split(0), split(0), split(1)
    assert np.array_equal(np.sort(np.r_[one.train_idx, one.val_idx, one.test_idx]), np.arange(N_CELLS))
    assert (one.train_idx.size, one.val_idx.size) == (91, 26)
    assert np.array_equal(one.train_idx, again.train_idx)
    assert not np.array_equal(one.train_idx, other.train_idx)
    validation, order = epoch_of(one.val_dataloader(), 0)
    assert torch.equal(order, torch.from_numpy(one.val_idx))
    assert torch.equal(validation, epoch_of(one.val_dataloader(), 9)[0])


def test_unknown_sampling_is_refused():
    with pytest.raises(KeyError, match="uniform"):
        as_sampling("unifrom")

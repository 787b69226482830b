"""Whatever a user hands to a model is handled, or refused before anything is changed."""

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch

import sccl
from sccl.augment import preset
from sccl.dataloaders import TwoViewDataLoader, UniformSampling

QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}


def cells(n_cells=60, n_genes=30, seed=0):
    """Log-expression with a third of non-zeros, two batches, two types."""
    rng = np.random.default_rng(seed)
    x = np.log1p(rng.poisson(0.5, (n_cells, n_genes))).astype(np.float32)
    adata = ad.AnnData(sp.csr_matrix(x))
    adata.obs["batch"] = np.resize(["a", "b"], n_cells)
    adata.obs["cell_type"] = np.resize(["t", "t", "u"], n_cells)
    return adata


def embed(adata, *, n_epochs=2, **setup):
    """Set up, train and embed with a fixed seed."""
    sccl.CLModel.setup_anndata(adata, **{"batch_key": "batch", **setup})
    torch.manual_seed(0)
    model = sccl.CLModel(adata, n_latent=8)
    model.train(n_epochs, batch_size=32, **QUIET)
    return model.get_latent_representation()


def is_untouched(adata, before):
    if before.X is None:
        return adata.X is None
    return (
        list(adata.obs) == list(before.obs)
        and dict(adata.uns) == dict(before.uns)
        and type(adata.X) is type(before.X)
        and adata.X.dtype == before.X.dtype
    )


@pytest.fixture(scope="module")
def expected():
    return embed(cells())


FORMS = {
    "dense": lambda x: x.toarray(),
    "fortran": lambda x: np.asfortranarray(x.toarray()),
    "float64": lambda x: x.astype(np.float64),
    "csc": sp.csc_matrix,
    "csr_array": sp.csr_array,
    "csc_array": sp.csc_array,
    "int64 indices": lambda x: sp.csr_matrix((x.data, x.indices.astype(np.int64), x.indptr.astype(np.int64)), x.shape),
}


@pytest.mark.parametrize("form", FORMS)
def test_any_form_of_the_matrix_gives_the_same_embedding_and_stays_as_it_is(form, expected):
    adata = cells()
    adata.X = FORMS[form](adata.X)
    before = adata.X.copy()
    assert np.allclose(embed(adata), expected, atol=1e-5)
    assert type(adata.X) is type(before)
    assert adata.X.dtype == before.dtype
    assert np.array_equal(adata.to_df(), ad.AnnData(before).to_df())


@pytest.mark.parametrize("dtype", [np.int32, np.uint16, np.int64])
def test_whole_numbers_are_counts_whatever_their_dtype(dtype):
    adata = cells()
    adata.X = sp.csr_matrix(adata.X.toarray().round().astype(dtype))
    with pytest.raises(ValueError, match=r"adata\.X seems to hold raw counts.*sccl\.pp\.preprocess"):
        sccl.CLModel.setup_anndata(adata)
    assert not adata.uns


@pytest.mark.parametrize("is_sparse", [True, False])
def test_backed_files_give_the_same_embedding(is_sparse, expected, tmp_path):
    adata = cells()
    if not is_sparse:
        adata.X = adata.X.toarray()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    assert np.allclose(embed(ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")), expected, atol=1e-5)


def test_backed_files_stored_by_genes_are_refused(tmp_path):
    adata = cells()
    adata.X = sp.csc_matrix(adata.X)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(ValueError, match="stored by genes"):
        sccl.CLModel.setup_anndata(ad.read_h5ad(tmp_path / "cells.h5ad", backed="r"))


def test_a_layer_is_used_in_place_of_x(expected):
    adata = cells()
    adata.layers["log"] = adata.X.copy()
    adata.X = adata.X * 0
    assert np.allclose(embed(adata, layer="log"), expected, atol=1e-5)


def with_value(value):
    adata = cells()
    adata.X = adata.X.toarray()
    adata.X[3, 4] = value
    return adata


def with_obs(values):
    adata = cells()
    adata.obs["batch"] = values
    return adata


def with_names(**names):
    adata = cells()
    for name, values in names.items():
        setattr(adata, name, values)
    return adata


@pytest.mark.parametrize(
    ("make", "setup", "error", "named"),
    [
        (lambda: with_value(np.nan), {}, ValueError, "missing or infinite.*cell '3', gene '4'"),
        (lambda: with_value(np.inf), {}, ValueError, "missing or infinite"),
        (lambda: with_value(-0.5), {}, ValueError, "negative"),
        (lambda: cells(), {"batch_key": "btch"}, KeyError, "did you mean 'batch'"),
        (lambda: cells(), {"labels_key": "celltype"}, KeyError, "did you mean 'cell_type'"),
        (lambda: cells(), {"layer": "log"}, KeyError, "layer"),
        (lambda: with_obs([None] * 3 + ["a"] * 57), {"batch_key": "batch"}, ValueError, "3 of 60 cells"),
        (lambda: with_obs([np.nan] + [1.0] * 59), {"batch_key": "batch"}, ValueError, "1 of 60 cells"),
        (lambda: with_names(obs_names=["c"] * 60), {}, ValueError, "obs_names_make_unique"),
        (lambda: with_names(var_names=["g"] * 30), {}, ValueError, "var_names_make_unique"),
        (lambda: cells()[:0].copy(), {}, ValueError, "empty: 0 cells"),
        (lambda: cells()[:, :0].copy(), {}, ValueError, "0 genes"),
        (lambda: cells()[:20], {}, ValueError, "view"),
        (lambda: ad.AnnData(obs=cells().obs, var=cells().var), {}, ValueError, "X is None"),
    ],
)
@pytest.mark.filterwarnings("ignore:(Observation|Variable) names are not unique")
def test_data_that_cannot_be_learned_from_are_refused_untouched(make, setup, error, named):
    adata, before = make(), make()
    with pytest.raises(error, match=named):
        sccl.CLModel.setup_anndata(adata, **setup)
    assert is_untouched(adata, before)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (np.random.default_rng(0).poisson(30, (60, 40)), "seems to hold raw counts"),
        (np.random.default_rng(0).poisson(0.1, (60, 40)), "seems to hold raw counts"),
        (np.random.default_rng(0).poisson(30, (60, 40)) * 1.7, "seems to hold no logarithms"),
        (np.random.default_rng(0).random((60, 40)) * 1e30, "seems to hold no logarithms"),
        (np.zeros((60, 40)), "holds no expression"),
        (np.full((60, 40), 0.7), "All 60 cells have the same expression"),
    ],
)
def test_what_is_no_log_expression_is_refused_with_what_it_looks_like(values, named):
    adata = ad.AnnData(sp.csr_matrix(values.astype(np.float32)))
    with pytest.raises(ValueError, match=named):
        sccl.CLModel.setup_anndata(adata)
    assert not adata.uns
    assert not len(adata.obs.columns)


def test_the_layer_with_counts_is_recognised_beside_their_logarithms():
    adata = sccl.datasets.simulate(n_cells=60, n_genes=50, seed=0)
    sccl.pp.preprocess(adata)
    with pytest.raises(
        ValueError, match=r"layers\['counts'\] seems to hold raw counts, and `X` their logarithms.*leave `layer` out"
    ):
        sccl.CLModel.setup_anndata(adata, layer="counts")


def test_cells_without_any_expression_are_embedded(expected):
    adata = cells()
    adata.X = sp.csr_matrix(adata.X.toarray() * (np.arange(60) != 5)[:, None])
    assert np.isfinite(embed(adata)).all()


@pytest.mark.parametrize("batch", [["a"] * 60, [*["a"] * 59, "b"], list(map(str, range(30))) * 2])
@pytest.mark.filterwarnings("ignore:The augmentation takes positives from other batches")
def test_one_batch_or_batches_of_one_cell_are_fine(batch):
    adata = with_obs(batch)
    assert np.isfinite(embed(adata)).all()
    sccl.CLModel.setup_anndata(adata)
    assert sccl.CLModel(adata).summary_stats.n_batch == 1


@pytest.mark.parametrize("n_cells", [2, 3, 31, 33, 65])
def test_few_cells_and_left_over_cells_are_all_trained_on(n_cells):
    assert embed(cells(n_cells)).shape == (n_cells, 8)


def test_a_single_cell_is_embedded_but_not_trained_on(tmp_path):
    adata = cells()
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    model = sccl.CLModel(adata, n_latent=8)
    model.train(1, **QUIET)
    assert model.get_latent_representation(adata[:1].copy()).shape == (1, 8)
    single = adata[:1].copy()
    sccl.CLModel.setup_anndata(single)
    with pytest.raises(ValueError, match="at least 2 cells, found 1"):
        sccl.CLModel(single).train(1, **QUIET)


def test_a_model_needs_registered_cells():
    with pytest.raises(ValueError, match="setup_anndata"):
        sccl.CLModel(cells())


def test_new_cells_are_checked_like_the_old():
    adata = cells()
    sccl.CLModel.setup_anndata(adata)
    model = sccl.SimCLR(adata)
    model.train(1, **QUIET)
    with pytest.raises(ValueError, match="negative"):
        model.get_latent_representation(with_value(-1.0))
    assert model.get_latent_representation(cells()[5:9]).shape == (4, 64)


def test_a_minibatch_of_a_view_shares_nothing_with_the_users_matrix():
    adata = cells()
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    before = adata.X.copy()
    manager = sccl.CLModel(adata).adata_manager
    for batch in TwoViewDataLoader(manager, augmentation=preset("clear"), sampling=UniformSampling()):
        batch["views"].zero_()
    assert (adata.X != before).nnz == 0

"""Preprocessing: what it accepts, what it refuses, and what it makes of counts."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

import sccl.datasets
import sccl.pp
from sccl.inputs import blocks as blocks_module
from sccl.pp.variable import MIN_CELLS

DATA = Path(os.environ.get("SCCL_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

ANNDATA_ON_PANDAS = "The '(mode.chained_assignment|future.infer_string)' option is deprecated"
"""anndata 0.13 still reads pandas options that pandas 3.1 deprecates."""

pytestmark = pytest.mark.filterwarnings(f"ignore:{ANNDATA_ON_PANDAS}")

FORMATS = {
    "dense": np.asarray,
    "dense, by column": np.asfortranarray,
    "csr_matrix": sparse.csr_matrix,
    "csc_matrix": sparse.csc_matrix,
    "csr_array": sparse.csr_array,
    "csc_array": sparse.csc_array,
}
DTYPES = ["float32", "float64", "int32", "int64", "uint8", "uint16"]


def annotated(x, batch=None) -> ad.AnnData:
    """AnnData around `x` with named cells and genes."""
    adata = ad.AnnData(x)
    adata.obs_names = [f"cell{i}" for i in range(x.shape[0])]
    adata.var_names = [f"gene{i}" for i in range(x.shape[1])]
    if batch is not None:
        adata.obs["batch"] = batch
    return adata


def dense(x) -> np.ndarray:
    return x.toarray() if sparse.issparse(x) else np.asarray(x)


def reference(counts: np.ndarray, target_sum: float = 1e4) -> np.ndarray:
    """Log expression the plain way, in float64."""
    total = counts.astype(float).sum(axis=1, keepdims=True)
    return np.log1p(counts / np.where(total > 0, total, 1) * target_sum)


def small_counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(1.0, (30, 12)) + np.eye(30, 12, dtype=int)


def assert_unchanged(adata: ad.AnnData, before: ad.AnnData) -> None:
    assert type(adata.X) is type(before.X)
    assert adata.X.dtype == before.X.dtype
    np.testing.assert_array_equal(dense(adata.X), dense(before.X))
    assert [name for name in adata.layers.keys() if name] == [name for name in before.layers.keys() if name]
    for name in before.layers.keys():
        np.testing.assert_array_equal(dense(adata.layers[name]), dense(before.layers[name]))
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    pd.testing.assert_frame_equal(adata.var, before.var)
    assert dict(adata.uns) == dict(before.uns)


@contextmanager
def without_warnings_but_for_empty_cells() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*have no counts")
        warnings.filterwarnings("ignore", message=ANNDATA_ON_PANDAS)
        yield


def refuses(adata: ad.AnnData, error: type[Exception], match: str, **kwargs) -> None:
    """`preprocess` raises, and leaves everything as it was."""
    before = adata.copy()
    with pytest.raises(error, match=match):
        sccl.pp.preprocess(adata, **kwargs)
    assert_unchanged(adata, before)


# What comes out


@settings(deadline=None, max_examples=60)
@given(
    counts=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 9)),
    make=st.sampled_from(list(FORMATS.values())),
    dtype=st.sampled_from(DTYPES),
    target_sum=st.sampled_from([1.0, 1e4, 1e6]),
)
def test_every_format_and_dtype_gives_what_plain_numpy_gives(counts, make, dtype, target_sum):
    adata = annotated(make(counts.astype(dtype)))
    with without_warnings_but_for_empty_cells():
        sccl.pp.preprocess(adata, target_sum=target_sum)
    np.testing.assert_array_equal(dense(adata.layers["counts"]), counts)
    assert adata.layers["counts"].dtype == dtype
    assert adata.X.dtype == np.float32
    np.testing.assert_allclose(dense(adata.X), reference(counts, target_sum), rtol=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    counts=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=25), elements=st.integers(0, 3)),
    make=st.sampled_from(list(FORMATS.values())),
    n_top_genes=st.integers(1, 25),
    n_batches=st.integers(0, 4),
)
def test_any_counts_and_batches_are_cut_to_exactly_the_genes_asked_for(counts, make, n_top_genes, n_batches):
    batch = np.arange(len(counts)) % n_batches if n_batches else None
    adata = annotated(make(counts), batch)
    with without_warnings_but_for_empty_cells():
        sccl.pp.preprocess(adata, n_top_genes=n_top_genes, batch_key="batch" if n_batches else None)
    kept = [int(name.removeprefix("gene")) for name in adata.var_names]
    assert len(kept) == min(n_top_genes, counts.shape[1])
    assert kept == sorted(kept)
    np.testing.assert_array_equal(dense(adata.layers["counts"]), counts[:, kept])
    np.testing.assert_allclose(dense(adata.X), reference(counts)[:, kept], rtol=1e-6)


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
def test_sparse_becomes_csr_matrix_and_dense_stays_dense(make):
    adata = annotated(make(small_counts()))
    sccl.pp.preprocess(adata, n_top_genes=5)
    expected = sparse.csr_matrix if sparse.issparse(make(np.eye(2))) else np.ndarray
    assert type(adata.X) is expected
    assert type(adata.layers["counts"]) is expected


def test_the_result_does_not_depend_on_the_block_size(monkeypatch):
    whole, blockwise = (sccl.datasets.simulate(300, 80, mean_count=1) for _ in range(2))
    sccl.pp.preprocess(whole, batch_key="batch", n_top_genes=40)
    monkeypatch.setattr(blocks_module, "BLOCK_ELEMENTS", 7 * 80)
    sccl.pp.preprocess(blockwise, batch_key="batch", n_top_genes=40)
    assert list(whole.var_names) == list(blockwise.var_names)
    np.testing.assert_array_equal(dense(whole.X), dense(blockwise.X))


def test_boolean_counts_are_kept_as_numbers():
    detected = small_counts() > 0
    adata = annotated(sparse.csr_matrix(detected))
    sccl.pp.preprocess(adata)
    assert adata.layers["counts"].dtype == np.float32
    np.testing.assert_array_equal(dense(adata.layers["counts"]), detected)
    np.testing.assert_allclose(dense(adata.X), reference(detected), rtol=1e-6)


def test_duplicate_sparse_entries_are_summed_before_the_logarithm():
    x = sparse.csr_matrix((np.array([1.0, 2.0, 4.0]), np.array([0, 0, 1]), np.array([0, 3])), shape=(1, 2))
    adata = annotated(x)
    sccl.pp.preprocess(adata)
    np.testing.assert_array_equal(dense(adata.layers["counts"]), [[3, 4]])
    np.testing.assert_allclose(dense(adata.X), reference(np.array([[3, 4]])), rtol=1e-6)
    assert x.nnz == 3  # the matrix that was passed in is not rewritten


def test_counts_beyond_float32_precision_are_kept_exactly():
    counts = np.array([[2**24 + 1, 1], [3, 2**40 + 1]])
    adata = annotated(counts)
    sccl.pp.preprocess(adata)
    np.testing.assert_array_equal(adata.layers["counts"], counts)


def test_totals_are_taken_over_all_genes_not_over_the_kept_ones():
    counts = small_counts()
    adata = annotated(counts)
    sccl.pp.preprocess(adata, n_top_genes=4)
    kept = [int(name.removeprefix("gene")) for name in adata.var_names]
    np.testing.assert_allclose(adata.X, reference(counts)[:, kept], rtol=1e-6)


def test_counts_are_read_from_the_layer_and_the_layer_stays():
    counts = small_counts()
    adata = annotated(np.log1p(counts))
    adata.layers["raw"] = sparse.csr_matrix(counts)
    sccl.pp.preprocess(adata, layer="raw")
    np.testing.assert_array_equal(dense(adata.layers["raw"]), counts)
    np.testing.assert_array_equal(dense(adata.layers["counts"]), counts)
    np.testing.assert_allclose(dense(adata.X), reference(counts), rtol=1e-6)
    assert not np.shares_memory(adata.layers["raw"].data, adata.layers["counts"].data)


@pytest.mark.parametrize("n_top_genes", [None, 5])
def test_x_and_counts_share_where_their_values_are_and_neither_can_spoil_it_for_the_other(n_top_genes):
    adata = annotated(sparse.csr_matrix(small_counts().astype(np.float32)))
    sccl.pp.preprocess(adata, n_top_genes=n_top_genes)
    x, counts = adata.X, adata.layers["counts"]
    shared = [
        part for part in ("data", "indices", "indptr") if np.shares_memory(getattr(x, part), getattr(counts, part))
    ]
    assert shared == ["indices", "indptr"]
    before = dense(counts)
    x.data[:3] = 0
    with pytest.raises(ValueError, match="read-only"):
        x.eliminate_zeros()
    x.copy().eliminate_zeros()
    np.testing.assert_array_equal(dense(counts), before)
    sccl.CLModel.setup_anndata(adata)  # and what reads rows takes them
    sccl.CLModel(adata).train(1, augmentation="mask", sampling="uniform", enable_progress_bar=False)


def test_a_counts_layer_that_agrees_with_x_is_no_obstacle():
    adata = annotated(sparse.csr_matrix(small_counts()))
    adata.layers["counts"] = small_counts().astype(float)
    sccl.pp.preprocess(adata)
    np.testing.assert_array_equal(dense(adata.layers["counts"]), small_counts())


def test_the_counts_layer_can_be_the_source():
    adata = annotated(np.log1p(small_counts()))
    adata.layers["counts"] = sparse.csc_matrix(small_counts())
    sccl.pp.preprocess(adata, layer="counts", n_top_genes=5)
    assert adata.layers["counts"].format == adata.X.format == "csr"
    assert adata.shape == (30, 5)


def test_annotations_follow_the_genes():
    adata = annotated(small_counts(), ["a", "b", "c"] * 10)
    adata.var["position"] = np.arange(12)
    adata.varm["loading"] = np.arange(24).reshape(12, 2)
    adata.obsm["pca"] = np.arange(60).reshape(30, 2)
    obs = adata.obs.copy()
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=6)
    np.testing.assert_array_equal(adata.varm["loading"][:, 0], 2 * adata.var["position"])
    pd.testing.assert_frame_equal(adata.obs, obs)
    assert adata.obsm["pca"].shape == (30, 2)


def test_the_parameters_are_recorded_and_survive_the_file(tmp_path):
    adata = annotated(sparse.csr_matrix(small_counts()), ["a", "b"] * 15)
    adata.uns["sccl"] = {"other": 1}
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=6)
    expected = {"batch_key": "batch", "n_top_genes": 6, "target_sum": 1e4, "layer": None}
    assert adata.uns["sccl"] == {"other": 1, "preprocess": expected}
    adata.write_h5ad(tmp_path / "a.h5ad")
    again = ad.read_h5ad(tmp_path / "a.h5ad")
    assert again.uns["sccl"]["preprocess"] == expected
    refuses(again, ValueError, "already preprocessed")


def test_scanpy_knows_that_x_is_logarithmic():
    adata = annotated(small_counts())
    sccl.pp.preprocess(adata)
    assert adata.uns["log1p"] == {"base": None}


# All genes


def test_all_genes_stay_in_raw_where_scanpy_looks_for_them():
    adata, whole = annotated(sparse.csr_matrix(small_counts())), annotated(sparse.csr_matrix(small_counts()))
    sccl.pp.preprocess(adata, n_top_genes=5)
    sccl.pp.preprocess(whole, n_top_genes=None)
    assert list(adata.raw.var_names) == list(whole.var_names)
    assert (adata.raw.X != whole.X).nnz == 0
    assert list(adata.raw.var_names[adata.raw.var["highly_variable"]]) == list(adata.var_names)
    assert adata.var["highly_variable"].all()
    gone = next(name for name in whole.var_names if name not in adata.var_names)
    assert sc.get.obs_df(adata, [gone], use_raw=True)[gone].tolist() == whole[:, gone].X.toarray().ravel().tolist()


def test_raw_is_kept_if_it_is_there_and_not_made_if_it_would_say_nothing_new_or_is_not_wanted():
    adata = annotated(small_counts())
    known = adata.copy()
    adata.raw = known
    sccl.pp.preprocess(adata, n_top_genes=5)
    assert (adata.raw.X == known.X).all()
    for options in ({"n_top_genes": None}, {"n_top_genes": 5, "keep_raw": False}):
        adata = annotated(small_counts())
        sccl.pp.preprocess(adata, **options)
        assert adata.raw is None
        assert adata.var["highly_variable"].all()


def test_counts_that_are_in_raw_are_pointed_at():
    adata = annotated(small_counts())
    adata.raw = adata.copy()
    adata.X = adata.X - adata.X.mean(axis=0)
    refuses(adata, ValueError, r"negative value .* adata\.raw may hold them: `adata\.raw\.to_adata\(\)`")
    adata.X = np.log1p(small_counts())
    refuses(adata, ValueError, r"non-integers.*adata\.raw may hold them")


@pytest.mark.parametrize("wrong", ["yes", 1, None])
def test_whether_raw_is_kept_is_yes_or_no(wrong):
    refuses(annotated(small_counts()), ValueError, "`keep_raw` must be True or False", keep_raw=wrong)


# Cells and batches at the edge


def test_cells_without_counts_stay_zero_and_are_counted_in_one_warning():
    counts = small_counts()
    counts[[3, 7]] = 0
    adata = annotated(sparse.csr_matrix(counts))
    with pytest.warns(UserWarning, match="2 of 30 cells have no counts") as caught:
        sccl.pp.preprocess(adata, n_top_genes=5)
    assert len(caught) == 1
    assert adata.n_obs == 30
    assert adata.X[[3, 7]].nnz == 0


def test_a_single_cell_keeps_its_most_expressed_genes():
    adata = annotated(np.array([[1, 9, 0, 4]]))
    sccl.pp.preprocess(adata, n_top_genes=2)
    assert list(adata.var_names) == ["gene1", "gene3"]


def test_genes_that_do_not_vary_come_last():
    counts = np.random.default_rng(0).poisson(2.0, (60, 10))
    counts[:, :4] = 0
    adata = annotated(counts)
    sccl.pp.preprocess(adata, n_top_genes=6)
    assert list(adata.var_names) == [f"gene{i}" for i in range(4, 10)]


def test_tiny_batches_do_not_change_the_choice():
    big = sccl.datasets.simulate(400, 120, n_batches=2, mean_count=1)
    tiny = sccl.datasets.simulate(MIN_CELLS - 1, 120, n_batches=1, mean_count=1, seed=5)
    tiny.obs["batch"] = ["one"] + ["two"] * 2 + ["rest"] * (MIN_CELLS - 4)
    both = ad.concat([big, tiny], index_unique="-")
    sccl.pp.preprocess(big, batch_key="batch", n_top_genes=50)
    sccl.pp.preprocess(both, batch_key="batch", n_top_genes=50)
    assert list(both.var_names) == list(big.var_names)


def test_if_all_batches_are_tiny_the_cells_are_ranked_together():
    split, joint = (sccl.datasets.simulate(60, 100, mean_count=1) for _ in range(2))
    split.obs["batch"] = [f"donor{i // 2}" for i in range(60)]
    sccl.pp.preprocess(split, batch_key="batch", n_top_genes=30)
    sccl.pp.preprocess(joint, n_top_genes=30)
    assert list(split.var_names) == list(joint.var_names)


@pytest.mark.parametrize("as_labels", [list, pd.Categorical, lambda x: [int(i[-1]) for i in x]], ids=str)
def test_labels_may_be_strings_categories_or_numbers(as_labels):
    adata = sccl.datasets.simulate(200, 60, mean_count=1)
    expected = adata.copy()
    sccl.pp.preprocess(expected, batch_key="batch", n_top_genes=20)
    adata.obs["batch"] = as_labels(adata.obs["batch"].astype(str))
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=20)
    assert list(adata.var_names) == list(expected.var_names)


def test_unused_batch_categories_are_no_batches():
    adata = sccl.datasets.simulate(200, 60, mean_count=1)
    expected = adata.copy()
    adata.obs["batch"] = adata.obs["batch"].cat.add_categories("never")
    for each in (adata, expected):
        sccl.pp.preprocess(each, batch_key="batch", n_top_genes=20)
    assert list(adata.var_names) == list(expected.var_names)


# Which genes


def scanpy_choice(adata: ad.AnnData, *, n_top_genes: int, batch_key: str | None) -> set[str]:
    adata = adata.copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scanpy's own, of pandas 3.1
        table = sc.pp.highly_variable_genes(adata, n_top_genes=n_top_genes, batch_key=batch_key, inplace=False)
    return set(adata.var_names[table["highly_variable"].to_numpy()])


@pytest.mark.parametrize("batch_key", [None, "batch"])
@pytest.mark.parametrize("n_top_genes", [30, 300])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_genes_are_those_scanpy_chooses(batch_key, n_top_genes, seed):
    adata = sccl.datasets.simulate(600, 500, mean_count=0.5, seed=seed)
    expected = scanpy_choice(adata, n_top_genes=n_top_genes, batch_key=batch_key)
    sccl.pp.preprocess(adata, batch_key=batch_key, n_top_genes=n_top_genes)
    assert set(adata.var_names) == expected


def test_genes_that_only_differ_between_batches_are_not_preferred():
    rng = np.random.default_rng(0)
    mean = np.tile(np.exp(rng.uniform(1, 3, 1000)), (400, 1))
    mean[:, :20] = np.linspace(4, 8, 20)  # in the midst of the others, as genes are scored among their like
    batch = np.repeat(["a", "b"], 200)
    mean[:200, :10] *= 3  # differ between batches
    mean[::2, 10:20] *= 3  # differ within both
    counts = rng.poisson(mean)
    adata, blind = annotated(counts, batch), annotated(counts)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=10)
    sccl.pp.preprocess(blind, n_top_genes=20)
    assert set(adata.var_names) == {f"gene{i}" for i in range(10, 20)}
    assert set(blind.var_names) == {f"gene{i}" for i in range(20)}


@pytest.mark.parametrize("n_top_genes", [None, 12, 100])
def test_all_genes_stay_if_there_are_no_more_than_asked_for(n_top_genes):
    adata = annotated(small_counts())
    sccl.pp.preprocess(adata, n_top_genes=n_top_genes)
    assert adata.n_vars == 12


# What is refused


def test_log_data_is_refused_with_the_place_and_the_reason():
    adata = annotated(sparse.csr_matrix(np.log1p(small_counts())))
    adata.layers["umi"] = small_counts()
    refuses(
        adata, ValueError, r"non-integers, e\.g\. .* at cell 'cell0', gene 'gene\d'; max .*log-transformed.*\['umi'\]"
    )


def test_normalised_data_is_recognised():
    counts = small_counts()
    adata = annotated(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    refuses(adata, ValueError, "every cell sums to 10000: looks normalised")


def test_the_layer_is_checked_and_named():
    adata = annotated(small_counts())
    adata.layers["scaled"] = small_counts() + 0.5
    refuses(adata, ValueError, r"adata\.layers\['scaled'\] holds non-integers", layer="scaled")


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "missing or infinite"), (np.inf, "missing or infinite"), (-1.0, "negative value")]
)
def test_impossible_values_are_refused_with_the_first_place(make, value, what):
    counts = small_counts().astype(float)
    counts[4, 7] = counts[11, 9] = value
    refuses(annotated(make(counts)), ValueError, rf"adata\.X holds a {what}.* at cell 'cell4', gene 'gene7'")


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
def test_the_place_is_right_in_a_later_block(make, monkeypatch):
    monkeypatch.setattr(blocks_module, "BLOCK_ELEMENTS", 50)
    counts = small_counts().astype(float)
    counts[22, 5] = 0.25
    refuses(annotated(make(counts)), ValueError, r"0\.25 at cell 'cell22', gene 'gene5'")


def test_an_unknown_batch_key_is_refused_with_the_nearest():
    adata = annotated(small_counts(), ["a"] * 30)
    refuses(adata, KeyError, "`batch_key`: 'btach' .* did you mean 'batch'", batch_key="btach")


def test_an_unknown_layer_is_refused_with_what_there_is():
    adata = annotated(small_counts())
    adata.layers["umi"] = small_counts()
    refuses(adata, KeyError, r"`layer`: 'xyz' .* holds \['umi'\]", layer="xyz")


def test_missing_batch_labels_are_counted():
    adata = annotated(small_counts(), ["a", "b", None] * 10)
    refuses(
        adata, ValueError, r"10 of 30 cells have no value in adata.obs\['batch'\], first 'cell2'", batch_key="batch"
    )


@pytest.mark.filterwarnings("ignore:.*names are not unique")
@pytest.mark.parametrize("axis", ["obs", "var"])
def test_repeated_names_are_refused(axis):
    adata = annotated(small_counts())
    names = [str(name) for name in getattr(adata, f"{axis}_names")]
    setattr(adata, f"{axis}_names", [names[1], *names[1:]])
    refuses(adata, ValueError, rf"{axis}_names must be unique; 1 repeat, .*{axis}_names_make_unique")


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_empty_data_are_refused(shape):
    refuses(annotated(np.zeros(shape)), ValueError, f"{shape[0]} cells and {shape[1]} genes")


def test_a_view_is_refused_and_its_parent_stays():
    parent = annotated(small_counts())
    before = parent.copy()
    view = parent[:10]
    with pytest.raises(ValueError, match=r"view.*\.copy\(\)"):
        sccl.pp.preprocess(view)
    assert view.is_view
    assert_unchanged(parent, before)


def test_backed_data_are_refused(tmp_path):
    annotated(sparse.csr_matrix(small_counts())).write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    with pytest.raises(ValueError, match="to_memory"):
        sccl.pp.preprocess(backed)
    backed.file.close()


def test_a_second_call_is_refused_and_says_what_was_done():
    adata = annotated(small_counts())
    sccl.pp.preprocess(adata, n_top_genes=7)
    refuses(adata, ValueError, r"already preprocessed \(.*n_top_genes=7.*layers\['counts'\]")


def test_the_way_back_that_the_refusal_describes_works():
    adata = annotated(small_counts())
    sccl.pp.preprocess(adata, target_sum=10)
    adata.X = adata.layers["counts"].copy()
    del adata.uns["sccl"]["preprocess"]
    sccl.pp.preprocess(adata)
    np.testing.assert_allclose(adata.X, reference(small_counts()), rtol=1e-6)


def test_another_counts_layer_is_not_overwritten():
    adata = annotated(small_counts())
    adata.layers["counts"] = sparse.csr_matrix(small_counts() + 1)
    refuses(adata, ValueError, r"layers\['counts'\] exists and differs")


def test_data_without_x_or_with_other_values_are_refused():
    with pytest.raises(ValueError, match=r"adata\.X is None"):
        sccl.pp.preprocess(ad.AnnData(obs=pd.DataFrame({"a": [1]}, index=["c"]), shape=(1, 3)))
    refuses(annotated(small_counts().astype(complex)), ValueError, "dtype complex128")


def test_something_else_than_anndata_is_refused():
    with pytest.raises(TypeError, match="AnnData, found ndarray"):
        sccl.pp.preprocess(small_counts())


@pytest.mark.parametrize("n_top_genes", [0, -1, 2.5, True, "all"])
def test_a_senseless_number_of_genes_is_refused(n_top_genes):
    refuses(annotated(small_counts()), ValueError, "n_top_genes must be", n_top_genes=n_top_genes)


@pytest.mark.parametrize("target_sum", [0, -1.0, np.nan, np.inf, "1e4", None, True])
def test_a_senseless_target_sum_is_refused(target_sum):
    refuses(annotated(small_counts()), ValueError, "target_sum must be", target_sum=target_sum)


def test_nothing_is_changed_where_warnings_are_errors():
    counts = small_counts()
    counts[0] = 0
    adata = annotated(counts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refuses(adata, UserWarning, "no counts")


# check_expression


@pytest.mark.parametrize("make", [*FORMATS.values(), sparse.coo_matrix], ids=[*FORMATS, "coo_matrix"])
def test_expression_may_be_any_finite_number_from_zero(make):
    sccl.pp.check_expression(make(np.log1p(small_counts())))


def test_the_message_counts_where_there_are_no_names():
    with pytest.raises(ValueError, match=r"latent holds a negative value \(-1\) at row 0, column 1"):
        sccl.pp.check_expression(np.array([[0, -1]]), name="latent")


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_expression_on_disk_is_read_in_blocks(make, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks_module, "BLOCK_ELEMENTS", 50)
    counts = small_counts().astype(float)
    counts[22, 5] = np.nan
    annotated(make(counts)).write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    with pytest.raises(ValueError, match="at cell 'cell22', gene 'gene5'"):
        sccl.pp.check_expression(backed.X, obs_names=backed.obs_names, var_names=backed.var_names)
    backed.file.close()


def test_an_hdf5_dataset_is_expression_too(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        sccl.pp.check_expression(file.create_dataset("x", data=small_counts()))


def test_the_rooms_of_data_are_cheap_to_import():
    code = "import sys, sccl.pp, sccl.datasets; print({'torch', 'scvi', 'scanpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# Real data


@pytest.mark.skipif(not (DATA / "pbmc_3tech.h5ad").exists(), reason=f"no real data in {DATA}; set SCCL_TEST_DATA")
def test_real_data_of_three_technologies_is_preprocessed_as_scanpy_would():
    adata = ad.read_h5ad(DATA / "pbmc_3tech.h5ad")
    counts, expected = adata.X.copy(), scanpy_choice(adata, n_top_genes=500, batch_key="batch")
    genes = list(adata.var_names)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=500)
    assert set(adata.var_names) == expected
    kept = [genes.index(name) for name in adata.var_names]
    assert (adata.layers["counts"] != counts[:, kept]).nnz == 0
    np.testing.assert_allclose(dense(adata.X), reference(counts.toarray())[:, kept], rtol=1e-5)

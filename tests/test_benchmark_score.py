"""Scores: right, the same every time, and refused where they would be wrong."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sccl.benchmark import score
from sccl.benchmark.scores import AGGREGATES, BATCH_CORRECTION, BIO_CONSERVATION, MEASURES
from sccl.benchmark.scores.inputs import as_codes, as_embedding, check_same_order
from sccl.benchmark.scores.kbet import kbet_per_label
from sccl.benchmark.scores.neighbors import exact_neighbors

N_CELLS = 240


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"batch": rng.choice(["a", "b"], N_CELLS), "label": rng.choice(["x", "y", "z"], N_CELLS)})


@pytest.fixture(scope="module")
def embeddings(cells: pd.DataFrame) -> dict[str, np.ndarray]:
    """Embeddings with types apart and batches mixed, neither, and types apart and batches apart."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(N_CELLS, 5)).astype(np.float32)
    types = 20 * np.eye(5, dtype=np.float32)[cells["label"].astype("category").cat.codes]
    batches = 20 * np.eye(5, dtype=np.float32)[3 + cells["batch"].astype("category").cat.codes]
    return {"apart": types + batches + noise, "random": noise, "perfect": types + noise[:, ::-1]}


@pytest.fixture(scope="module")
def table(embeddings: dict[str, np.ndarray], cells: pd.DataFrame) -> pd.DataFrame:
    return score(embeddings, cells["batch"], cells["label"])


def test_rows_are_the_embeddings_in_order_and_columns_the_metrics(table):
    assert list(table.index) == ["apart", "random", "perfect"]
    assert list(table.columns) == [*BIO_CONSERVATION, *BATCH_CORRECTION, *AGGREGATES, *MEASURES]
    # no type is of one batch alone, and there are too few types for their distances to be ranked
    undefined = ["One-batch purity", "scGraph", "scGraph, ranks"]
    assert table[undefined].isna().all(axis=None)
    assert table.drop(columns=undefined).notna().all(axis=None)


def test_a_perfect_embedding_beats_a_random_one_and_an_unmixed_one(table):
    assert table.loc["perfect", "Bio conservation"] > table.loc["random", "Bio conservation"] + 0.3
    assert table.loc["perfect", "Batch correction"] > table.loc["apart", "Batch correction"] + 0.3
    assert table["Total"].idxmax() == "perfect"


def test_totals_are_raw_weighted_means(table):
    bio, correction = table[list(BIO_CONSERVATION)].mean(axis=1), table[list(BATCH_CORRECTION)].mean(axis=1)
    np.testing.assert_allclose(table["Total"], 0.6 * bio + 0.4 * correction)


def test_a_row_does_not_depend_on_the_other_rows(table, embeddings, cells):
    alone = score({"random": embeddings["random"]}, cells["batch"], cells["label"], unintegrated=embeddings["apart"])
    pd.testing.assert_series_equal(alone.loc["random"], table.loc["random"], rtol=1e-5)


def test_values_are_those_of_scib_metrics(table, embeddings, cells):
    import scib_metrics

    # scib-metrics' k-means moves the cells that it is given
    x, batch, labels = embeddings["perfect"].copy(), cells["batch"].to_numpy(), cells["label"].to_numpy()
    neighbors = exact_neighbors(x, 90)
    kmeans = scib_metrics.nmi_ari_cluster_labels_kmeans(x, labels)
    expected = {
        "Isolated labels": scib_metrics.isolated_labels(x, labels, batch),
        "KMeans NMI": kmeans["nmi"],
        "KMeans ARI": kmeans["ari"],
        "Silhouette label": scib_metrics.silhouette_label(x, labels),
        "cLISI": scib_metrics.clisi_knn(neighbors, labels),
        "BRAS": scib_metrics.bras(x, labels, batch),
        "iLISI": scib_metrics.ilisi_knn(neighbors, batch),
        "Graph connectivity": scib_metrics.graph_connectivity(neighbors.subset_neighbors(15), labels),
        "PCR comparison": scib_metrics.pcr_comparison(embeddings["apart"], x, batch, categorical=True),
    }
    for name, value in expected.items():
        assert table.loc["perfect", name] == pytest.approx(value, abs=1e-5), name


@pytest.mark.slow
def test_kbet_with_exact_neighbors_is_that_of_scib_metrics(table, embeddings, cells):
    import scib_metrics

    neighbors = exact_neighbors(embeddings["random"], 90).subset_neighbors(50)
    expected = scib_metrics.kbet_per_label(neighbors, cells["batch"].to_numpy(), cells["label"].to_numpy())
    assert table.loc["random", "KBET"] == pytest.approx(expected, abs=0.02)  # its own search is approximate


def test_exact_neighbors_begin_with_the_cell_itself_even_among_duplicates():
    neighbors = exact_neighbors(np.repeat(np.eye(4, dtype=np.float32), 5, axis=0), 6)
    assert (neighbors.indices[:, 0] == np.arange(20)).all()
    assert (neighbors.distances[:, 0] == 0).all()
    assert (neighbors.indices[:, 1:5] // 5 == np.arange(20)[:, None] // 5).all()


def test_a_single_batch_leaves_batch_correction_undefined(embeddings, cells):
    table = score(embeddings, ["only"] * N_CELLS, cells["label"])
    assert table[[*BATCH_CORRECTION, "Batch correction"]].isna().all(axis=None)
    pd.testing.assert_series_equal(table["Total"], table["Bio conservation"], check_names=False)


def test_batches_that_share_no_label_leave_bras_and_kbet_undefined(embeddings, cells):
    table = score(embeddings, cells["label"] == "x", cells["label"])
    assert table[["BRAS", "KBET"]].isna().all(axis=None)
    assert table[["iLISI", "Batch correction", "Total"]].notna().all(axis=None)


def test_few_cells_and_rare_labels_are_scored(embeddings, cells):
    few = slice(0, 20)
    labels = ["rare", *cells["label"][1:20]]
    table = score({name: x[few] for name, x in embeddings.items()}, cells["batch"][few], labels)
    assert np.isfinite(table["Total"]).all()


@pytest.mark.parametrize("name", ["batch", "label"])
def test_missing_values_are_refused(embeddings, cells, name):
    cells = cells.astype("category")
    cells.loc[[3, 5], name] = np.nan
    with pytest.raises(ValueError, match=f"`{name}.*missing in 2 of {N_CELLS} cells"):
        score(embeddings, cells["batch"], cells["label"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:-1], "cells"),
        (lambda x: x[:, 0], "shape"),
        (lambda x: np.where(np.arange(len(x))[:, None] == 7, np.nan, x), "not finite, in 1 of"),
        (lambda x: np.ones_like(x), "collapsed"),
    ],
)
def test_unusable_embeddings_are_refused(embeddings, cells, change, message):
    with pytest.raises(ValueError, match=message):
        score({**embeddings, "bad": change(embeddings["random"])}, cells["batch"], cells["label"])


def test_no_embedding_one_label_and_too_few_cells_are_refused(embeddings, cells):
    with pytest.raises(ValueError, match="empty"):
        score({}, cells["batch"], cells["label"])
    with pytest.raises(ValueError, match="unintegrated"):
        score({"alone": embeddings["random"]}, cells["batch"], cells["label"])
    with pytest.raises(ValueError, match="same label"):
        score(embeddings, cells["batch"], ["x"] * N_CELLS)
    with pytest.raises(ValueError, match="at least 15"):
        few = {name: x[:9] for name, x in embeddings.items()}
        score(few, cells["batch"][:9], cells["label"][:9])


def test_scoring_changes_neither_its_arguments_nor_scib_metrics(embeddings, cells):
    import scib_metrics

    before = scib_metrics.nearest_neighbors.pynndescent, scib_metrics.settings.verbosity
    given_ = {name: x.copy() + 5 for name, x in embeddings.items()}
    kept = {name: x.copy() for name, x in given_.items()}
    for x in given_.values():
        x.flags.writeable = False
    score(given_, cells["batch"], cells["label"])
    for name, x in given_.items():
        np.testing.assert_array_equal(x, kept[name])
    assert (scib_metrics.nearest_neighbors.pynndescent, scib_metrics.settings.verbosity) == before


@pytest.fixture(scope="module")
def few_of_a_kind() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Types and batches far from the origin, one type of two cells, one of a single batch; and what came before."""
    rng = np.random.default_rng(5)
    n = 400
    batch, labels = rng.choice(3, n), rng.choice(5, n)
    labels[:2], batch[:2] = 9, (0, 1)
    batch[labels == 4] = 2
    types, batches = np.eye(10)[labels], np.eye(10)[batch]
    x = (4 + 0.3 * rng.normal(size=(n, 10)) + types + 0.1 * batches).astype(np.float32)
    before = (rng.normal(size=(n, 10)) + 3 * types + 3 * batches).astype(np.float32)
    return x, batch, labels, before


def test_twenty_runs_give_one_number_here_and_in_another_process(few_of_a_kind, tmp_path):
    x, batch, labels, before = few_of_a_kind
    first = score({"x": x}, batch, labels, unintegrated=before)
    for _ in range(19):
        pd.testing.assert_frame_equal(score({"x": x}, batch, labels, unintegrated=before), first, check_exact=True)
    np.savez(tmp_path / "cells.npz", x=x, batch=batch, labels=labels, before=before)
    code = (
        "import sys, numpy as np\nfrom sccl.benchmark import score\nc = np.load(sys.argv[1])\n"
        "score({'x': c['x']}, c['batch'], c['labels'], unintegrated=c['before']).to_pickle(sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "cells.npz", tmp_path / "table.pkl"], check=True)
    pd.testing.assert_frame_equal(pd.read_pickle(tmp_path / "table.pkl"), first, check_exact=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_values_are_those_of_the_benchmarker_up_to_its_approximate_search(few_of_a_kind):
    from anndata import AnnData
    from scib_metrics.benchmark import Benchmarker

    x, batch, labels, before = few_of_a_kind
    obs = pd.DataFrame(
        {"batch": batch.astype(str), "label": labels.astype(str)}, index=[f"c{i}" for i in range(len(x))]
    )
    adata = AnnData(np.zeros((len(x), 2), np.float32), obs=obs, obsm={"x": x.copy(), "before": before})
    judge = Benchmarker(adata, "batch", "label", ["x"], pre_integrated_embedding_obsm_key="before", progress_bar=False)
    judge.prepare(neighbor_computer=exact_neighbors)
    judge.benchmark()
    theirs = judge.get_results().loc["x"]
    ours = score({"x": x}, batch, labels, unintegrated=before).loc["x"]
    for name in [*BIO_CONSERVATION, *BATCH_CORRECTION]:
        # kBET searches on its own, approximately
        abs_ = {"KBET": 0.02}.get(name, 1e-5)
        assert ours[name] == pytest.approx(theirs[name], abs=abs_), name


@pytest.mark.parametrize("n_cells", [300, 1400])
def test_kbet_is_that_of_scib_metrics_with_the_same_search(n_cells, monkeypatch):
    import scib_metrics

    rng = np.random.default_rng(n_cells)
    batch, labels = rng.choice(3, n_cells), rng.choice(2, n_cells, p=[0.9, 0.1])
    x = (rng.normal(size=(n_cells, 8)) + 3 * np.eye(8)[labels] + 0.8 * np.eye(8)[3 + batch]).astype(np.float32)
    neighbors = exact_neighbors(x, 50)
    monkeypatch.setattr(
        scib_metrics.nearest_neighbors, "pynndescent", lambda x_nd, n_neighbors: exact_neighbors(x_nd, n_neighbors)
    )
    assert kbet_per_label(neighbors, batch, labels) == pytest.approx(
        scib_metrics.kbet_per_label(neighbors, batch, labels), abs=1e-3
    )


def test_kbet_of_a_type_that_lies_in_pieces_is_zero_and_undefined_without_a_type_of_ten():
    x = np.repeat(100 * np.eye(12, dtype=np.float32), 5, axis=0) + np.random.default_rng(0).normal(size=(60, 12))
    neighbors, batch = exact_neighbors(x.astype(np.float32), 4), np.arange(60) % 2
    assert kbet_per_label(neighbors, batch, np.zeros(60, int)) == 0
    assert np.isnan(kbet_per_label(neighbors, batch, np.arange(60) // 8))


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_variance_explained_by_batches_is_that_of_a_regression_on_principal_components(seed):
    from scib_metrics.utils import principal_component_regression

    from sccl.benchmark.scores.pcr import explained

    rng = np.random.default_rng(seed)
    batch = np.concatenate([[0, 1, 2], rng.choice(3, 57)])
    x = (rng.normal(size=(60, 6)) * rng.uniform(0.1, 5, 6) + 7 + rng.uniform(0, 3) * np.eye(6)[batch]).astype(
        np.float32
    )
    assert explained(x, batch) == pytest.approx(
        principal_component_regression(x, batch, categorical=True), abs=1e-4, rel=1e-3
    )


def test_a_dimension_that_is_constant_changes_no_score(embeddings, cells):
    x = embeddings["perfect"]
    padded = np.column_stack([x, np.zeros(N_CELLS, np.float32)])
    table = score({"x": x, "padded": padded}, cells["batch"], cells["label"])
    assert table[[*BIO_CONSERVATION, *BATCH_CORRECTION]].notna().all(axis=None)
    np.testing.assert_allclose(table.loc["padded"], table.loc["x"], atol=1e-4)


def _masked(x):
    return np.ma.masked_array(x, np.zeros_like(x, bool))


@pytest.mark.parametrize(
    "container",
    [
        np.asfortranarray,
        lambda x: x.astype(np.float64),
        lambda x: x.astype(">f4"),
        lambda x: x.tolist(),
        lambda x: pd.DataFrame(x),
        lambda x: pd.DataFrame(x).astype("Float32"),
        sparse.csr_matrix,
        sparse.csc_array,
        sparse.coo_matrix,
        _masked,
        lambda x: __import__("torch").from_numpy(x),
        lambda x: __import__("jax").numpy.asarray(x),
    ],
    ids=lambda f: getattr(f, "__name__", "f"),
)
def test_an_embedding_may_come_in_any_container(embeddings, container):
    x = embeddings["perfect"]
    found = as_embedding("x", container(x.copy()))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize(
    "column",
    [
        lambda s: s.to_numpy(),
        lambda s: s.tolist(),
        lambda s: tuple(s),
        lambda s: s.astype("category"),
        lambda s: pd.Categorical(s, [*"qzyxba"]),
        lambda s: s.astype("string"),
        lambda s: s.set_axis([f"cell {i}" for i in range(len(s))]),
        lambda s: s.map(ord),
        lambda s: s.map(ord).astype("Int64"),
        lambda s: s.map(ord).astype(float),
        lambda s: s.map(lambda v: v if v in "ax" else ord(v)),
        lambda s: s.map(lambda v: {"a": True, "x": True, "b": False}.get(v, ord(v) + 0.5)),
        lambda s: s.map(lambda v: pd.Timestamp(2000 + ord(v), 1, 1)),
    ],
)
def test_batches_and_labels_may_be_of_any_type(cells, column):
    for values in (cells["batch"], cells["label"]):
        np.testing.assert_array_equal(as_codes("x", column(values), N_CELLS), as_codes("x", values, N_CELLS))


def test_a_number_and_its_text_are_one_batch(cells):
    numbers = (cells["batch"] == "a").astype(int)
    mixed = [value if i % 2 else str(value) for i, value in enumerate(numbers)]
    np.testing.assert_array_equal(as_codes("batch", mixed, N_CELLS), as_codes("batch", numbers, N_CELLS))


def test_frames_of_numbers_and_columns_of_numbers_score_as_arrays_and_text_do(table, embeddings, cells):
    frames = {name: pd.DataFrame(x) for name, x in embeddings.items()}
    found = score(frames, cells["batch"].map(ord), cells["label"].map(ord).astype("category"))
    pd.testing.assert_frame_equal(found, table, check_exact=True)


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (lambda x: x.astype(str), "dtype <U"),
        (lambda x: pd.DataFrame(x).astype(str), "dtype"),
        (lambda x: x.astype(complex), "complex"),
        (lambda x: x.astype(object), "object"),
        (lambda x: np.ma.masked_array(x, np.arange(x.size).reshape(x.shape) == 3), "not finite, in 1 of"),
        (lambda x: pd.DataFrame(x).mask(pd.DataFrame(x) > 3).astype("Float64"), "not finite"),
        (lambda x: 1e30 * x, "float32"),
        (lambda x: 1e300 * x.astype(float), "not finite"),
        (lambda x: x[:, :0], "shape"),
        (lambda x: x[None], "shape"),
        (lambda x: None, "dtype object"),
        (lambda x: "X_pca", "dtype"),
        (lambda x: [[1.0, 2.0], [1.0]], "no array"),
        (lambda x: __import__("torch").from_numpy(x).requires_grad_(), "no array"),
    ],
)
def test_what_is_no_embedding_is_refused_by_name(embeddings, cells, embedding, message):
    with pytest.raises(ValueError, match=f"Embedding 'bad'.*{message}"):
        score({**embeddings, "bad": embedding(embeddings["random"])}, cells["batch"], cells["label"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda s: "label", "'label'.*adata.obs"),
        (lambda s: None, "None"),
        (lambda s: s.iloc[1:], "shape"),
        (lambda s: s.to_frame(), "shape"),
        (lambda s: [f"cell {i}" for i in range(len(s))], "names of cells"),
        (lambda s: s.where(s.index != 3), "missing in 1 of"),
        (lambda s: s.astype("string").mask(s.index < 2), "missing in 2 of"),
    ],
)
@pytest.mark.parametrize("name", ["batch", "labels"])
def test_what_is_no_batch_and_no_label_is_refused_by_name(embeddings, cells, name, values, message):
    columns = {"batch": cells["batch"], "labels": cells["label"]}
    columns[name] = values(columns[name])
    with pytest.raises(ValueError, match=f"`{name}` .*{message}"):
        score(embeddings, **columns)


def test_cells_of_another_order_are_refused(embeddings, cells):
    named = cells.set_axis([f"cell {i}" for i in range(N_CELLS)])
    with pytest.raises(ValueError, match="`labels` and `batch` have different indices"):
        score(embeddings, named["batch"], named["label"].iloc[::-1])
    frames = {name: pd.DataFrame(x, index=named.index) for name, x in embeddings.items()}
    frames["perfect"] = frames["perfect"].iloc[::-1]
    with pytest.raises(ValueError, match="`perfect` and `batch`"):
        score(frames, named["batch"], named["label"])
    check_same_order({"batch": named["batch"], "labels": cells["label"]})  # a plain range names no cells


def test_embeddings_without_a_name_and_a_seed_that_is_none_are_refused(embeddings, cells):
    with pytest.raises(TypeError, match="must be a mapping of names to arrays, found ndarray"):
        score(embeddings["random"], cells["batch"], cells["label"])
    with pytest.raises(ValueError, match="`seed`"):
        score(embeddings, cells["batch"], cells["label"], seed=-1)

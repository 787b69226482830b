import re
import subprocess
import sys

import anndata
import numpy as np
import pandas as pd
import pytest

import sccl
from sccl.benchmark import demo, score
from sccl.benchmark.scores import AGGREGATES, BATCH_CORRECTION, BIO_CONSERVATION, exact_neighbors

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
    assert list(table.columns) == [*BIO_CONSERVATION, *BATCH_CORRECTION, *AGGREGATES]
    assert table.notna().all(axis=None)


def test_a_perfect_embedding_beats_a_random_one_and_an_unmixed_one(table):
    assert table.loc["perfect", "Bio conservation"] > table.loc["random", "Bio conservation"] + 0.3
    assert table.loc["perfect", "Batch correction"] > table.loc["apart", "Batch correction"] + 0.3
    assert table["Total"].idxmax() == "perfect"


def test_totals_are_raw_weighted_means(table):
    bio, correction = table[list(BIO_CONSERVATION)].mean(axis=1), table[list(BATCH_CORRECTION)].mean(axis=1)
    np.testing.assert_allclose(table["Total"], 0.6 * bio + 0.4 * correction)


def test_a_row_does_not_depend_on_the_other_rows(table, embeddings, cells):
    alone = score(
        {"random": embeddings["random"]}, cells["batch"], cells["label"], unintegrated=embeddings["apart"], n_jobs=1
    )
    pd.testing.assert_series_equal(alone.loc["random"], table.loc["random"], rtol=1e-5)


def test_values_are_those_of_scib_metrics(table, embeddings, cells):
    import scib_metrics

    x, batch, labels = embeddings["perfect"], cells["batch"].to_numpy(), cells["label"].to_numpy()
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


def test_scoring_leaves_scib_metrics_as_it_was(table, embeddings, cells):
    import scib_metrics

    before = scib_metrics.nearest_neighbors.pynndescent, scib_metrics.settings.verbosity
    score(embeddings, cells["batch"], cells["label"])
    assert (scib_metrics.nearest_neighbors.pynndescent, scib_metrics.settings.verbosity) == before


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (0.3, "0.70 (sccl). Cell types"),
        (0.02, "hardly better than PCA. Views from other batches may help"),
        (-0.2, "worse than PCA. Views from other batches may help"),
        (np.nan, "only one"),
    ],
)
def test_the_verdict_claims_a_gain_only_where_there_is_one(gain, words):
    correction = [0.4 + 0 * gain, 0.4 + gain]
    table = pd.DataFrame({"Bio conservation": [0.7, 0.8], "Batch correction": correction}, index=["PCA", "sccl"])
    assert words in demo.verdict(table)


def test_help_does_not_import_the_stack():
    code = (
        "import sys\nfrom sccl.benchmark import demo\n"
        "try: demo.main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'scvi', 'scanpy', 'scib_metrics'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "absent.h5ad"], "There is no file absent.h5ad"),
        (["--data", "text.h5ad", "--batch-key", "batch"], "not an AnnData file"),
        (["--data", "cells.h5ad"], "--batch-key COLUMN.*batch, cell_type"),
        (["--data", "cells.h5ad", "--batch-key", "no"], "'no' does not exist.*batch, cell_type"),
        (["--data", "cells.h5ad", "--batch-key", "batch", "--labels-key", "no"], "'no' does not exist.*batch"),
        (["--data", "cells.h5ad", "--batch-key", "batch", "--layer", "no"], "layer='no'"),
        (["--batch-key", "batch"], "belong to --data"),
    ],
)
def test_unusable_input_ends_in_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    sccl.datasets.simulate(n_cells=30, n_genes=20).write_h5ad("cells.h5ad")
    (tmp_path / "text.h5ad").write_text("no HDF5")
    assert demo.main(options) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert re.search(message, error)


@pytest.mark.slow
def test_the_demo_runs_from_the_command_line(tmp_path):
    adata = sccl.datasets.simulate(n_cells=300, n_genes=200, seed=1)
    adata.layers["raw"] = adata.X.copy()
    adata.obs.loc[adata.obs_names[:3], "cell_type"] = np.nan
    adata.write_h5ad(tmp_path / "cells.h5ad")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "sccl.benchmark.demo", "--data", tmp_path / "cells.h5ad", "--batch-key", "batch"]
    command += ["--labels-key", "cell_type", "--layer", "raw", "--out", out]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    table = pd.read_csv(out / "table.csv", index_col="embedding")
    assert list(table.index) == ["PCA", "sccl"]
    assert np.isfinite(table["Total"]).all()
    assert "Total" in (out / "table.md").read_text()
    assert (out / "umap.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert anndata.read_h5ad(out / "embeddings.h5ad").obsm["X_sccl"].shape == (300, 64)
    assert (out / "summary.txt").read_text() in done.stdout
    assert (out / "model").is_dir()


@pytest.mark.slow
def test_without_labels_the_demo_trains_and_draws_and_says_that_scores_need_them(tmp_path, capsys):
    sccl.datasets.simulate(n_cells=300, n_genes=200, seed=1).write_h5ad(tmp_path / "cells.h5ad")
    out = tmp_path / "out"
    assert demo.main(["--data", str(tmp_path / "cells.h5ad"), "--batch-key", "batch", "--out", str(out)]) == 0
    assert "No scores: they need the cell types" in capsys.readouterr().out
    assert (out / "umap.png").exists()
    assert not (out / "table.csv").exists()

"""A batch is held out: no method learns from it, its cells get labels, and these are scored."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hydra.utils import get_method

import sccl
from sccl.benchmark import app
from sccl.benchmark.data import Data, prepare
from sccl.benchmark.methods import Embedding
from sccl.benchmark.plan.explain import OptionError
from sccl.benchmark.plan.study import plan
from sccl.benchmark.report import write_report
from sccl.benchmark.report.results import read_runs
from sccl.benchmark.run import holdout

SMALL = ["data.n_cells=300", "data.n_genes=200", "data.n_top_genes=100"]


def held_out(*options: str) -> Data:
    (run,) = plan([*SMALL, "holdout=batch_1", *options]).runs
    return prepare(run.config["data"], holdout=run.config["holdout"])


def test_each_batch_makes_a_run_and_the_command_of_a_run_makes_that_run_alone():
    runs = plan([*SMALL, "method=pca", "holdout=each", "seed=0,1"]).runs
    assert [run.config["holdout"] for run in runs[::2]] == ["batch_1", "batch_2", "batch_3"]
    assert len(runs) == 6
    for run in runs:
        assert [again.id for again in plan(run.command).runs] == [run.id]


def test_a_run_without_a_held_out_batch_keeps_the_name_it_had_before_there_was_the_choice():
    assert "holdout" not in plan(SMALL).runs[0].config


def test_the_experiment_runs_on_data_of_ones_own(tmp_path):
    adata = sccl.datasets.simulate(n_cells=90, n_genes=50, n_batches=2)
    adata.obs["donor"] = np.where(adata.obs["batch"] == "batch_1", "a b, 'c'", "d")
    adata.write_h5ad(tmp_path / "cells.h5ad")
    options = [f"data.path={tmp_path / 'cells.h5ad'}", "data.batch_key=donor", "data.labels_key=cell_type"]
    runs = plan(["+experiment=holdout", "data=file", *options]).runs
    assert len(runs) == 2 * 3 * 4
    assert {run.config["holdout"] for run in runs} == {"a b, 'c'", "d"}
    assert {run.config["data"]["n_top_genes"] for run in runs} == {2000}
    for run in runs[::6]:
        assert [again.id for again in plan(run.command).runs] == [run.id]


def test_data_that_cannot_be_read_is_refused_in_a_line(tmp_path, capsys):
    options = ["data=file", f"data.path={tmp_path}/no.h5ad", "data.batch_key=b", "data.labels_key=c", "holdout=each"]
    assert app.main(options) == 2
    assert "There is no file" in capsys.readouterr().err
    with pytest.raises(OptionError, match="n_cells"):
        plan(["data.n_cells=-1", "holdout=each"])


def test_the_reference_knows_nothing_of_the_query():
    data = held_out()
    whole = sccl.datasets.simulate(n_cells=300, n_genes=200, seed=0)
    reference = whole[whole.obs["batch"] != "batch_1"].copy()
    sccl.pp.preprocess(reference, batch_key="batch", n_top_genes=100)
    assert list(data.adata.obs_names) == list(reference.obs_names)
    assert list(data.adata.var_names) == list(reference.var_names)
    assert (data.adata.X != reference.X).sum() == 0
    # the query's cells are scaled to the total of all their genes, as the reference's are
    query = whole[whole.obs["batch"] == "batch_1"].copy()
    sc.pp.normalize_total(query, target_sum=1e4)
    sc.pp.log1p(query)
    assert list(data.query.obs_names) == list(query.obs_names)
    np.testing.assert_allclose(data.query.X.toarray(), query[:, reference.var_names].X.toarray(), rtol=1e-5)


def test_a_batch_that_does_not_exist_or_is_the_only_one_is_refused():
    (run,) = plan(SMALL).runs
    with pytest.raises(ValueError, match=r"holdout=nobody.*batch_3"):
        prepare(run.config["data"], holdout="nobody")
    with pytest.raises(ValueError, match="one of several"):
        prepare({**run.config["data"], "n_batches": 1}, holdout="batch_1")


def test_components_of_the_query_are_those_of_the_reference():
    data = held_out()
    np.testing.assert_allclose(data.project(data.adata), data.pca, atol=1e-4)
    from sklearn.decomposition import PCA

    independent = PCA(5, svd_solver="full").fit(data.adata.X.toarray()).transform(data.query.X.toarray())
    found = data.project(data.query)[:, :5]
    np.testing.assert_allclose(np.abs(found), np.abs(independent), atol=1e-3)


@pytest.mark.filterwarnings("ignore")  # of scvi-tools and lightning, which the benchmark silences in a run
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("contrastive", ["training.max_steps=20"]),
        ("pca", ["method.n_comps=10"]),
        ("scvi", ["method.max_epochs=2"]),
        ("scanvi", ["method.max_epochs=2", "method.max_epochs_scanvi=1"]),
    ],
)
def test_no_method_learns_from_the_query(method, options):
    from hydra.utils import get_method

    (run,) = plan([*SMALL, f"method={method}", "holdout=batch_1", *options]).runs
    parameters = dict(run.config["method"])
    embed = get_method(parameters.pop("_target_"))
    data = held_out()
    other = Data(data.adata, data.batch_key, data.labels_key, data.scored[:20], data.query[:20].copy())
    other.query.obs[data.labels_key] = "another type"
    first, second = (embed(cells, seed=0, **parameters) for cells in (data, other))
    np.testing.assert_array_equal(first.z_nd, second.z_nd)
    np.testing.assert_allclose(first.query_nd[:20], second.query_nd, atol=1e-5)
    assert first.query_nd.shape == (data.query.n_obs, first.z_nd.shape[1])


def test_labels_are_scored_with_and_without_those_of_one_side():
    true = np.array(["B", "B", "T", "T", "T", "new"])
    predicted = np.array(["B", "T", "T", "T", "old", "B"])
    scores = holdout.label_scores(true, predicted, known=np.array(["B", "T", "old"]))
    assert scores["Accuracy"] == pytest.approx(3 / 6)
    # F1 = 2 hits / (2 hits + misses + false alarms); "new" and "old" have no hit
    assert scores["Macro-F1"] == pytest.approx((2 / 4 + 4 / 6 + 0 + 0) / 4)
    assert scores["Accuracy, shared"] == pytest.approx(3 / 5)
    assert scores["Macro-F1, shared"] == pytest.approx((2 / 3 + 4 / 6) / 2)
    nothing = holdout.label_scores(true[5:], predicted[5:], known=np.array(["B"]))
    assert np.isnan(nothing["Accuracy, shared"])
    assert nothing["Accuracy"] == 0


def test_labels_are_those_of_the_nearest_neighbours_with_a_label():
    data = held_out()
    types = data.labels.astype("category")
    codes = types.cat.codes.to_numpy()
    corners = np.eye(len(types.cat.categories), dtype=np.float32)
    data.adata.obs[data.labels_key] = types.where(np.arange(len(codes)) % 2 == 0)  # half of the reference is unlabelled
    rng = np.random.default_rng(0)
    query = pd.Categorical(data.query.obs[data.labels_key], types.cat.categories).codes
    embedding = Embedding(
        corners[codes] + rng.normal(0, 0.01, (len(codes), corners.shape[1])), query_nd=corners[query].copy()
    )
    assert holdout.score(data, embedding)["Accuracy"] == 1
    wrong = np.full(data.query.n_obs, types.cat.categories[0])
    own = Embedding(embedding.z_nd, query_nd=embedding.query_nd, query_labels=wrong)  # the method's labels come first
    assert holdout.score(data, own)["Accuracy"] == pytest.approx((query == 0).mean())
    with pytest.raises(ValueError, match="cannot embed cells"):
        holdout.score(data, Embedding(embedding.z_nd))


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    options = [*SMALL, "method=pca", "method.n_comps=2,10", "holdout=each", f"results={folder}"]
    assert app.main(options) == 0
    return folder


def test_a_run_holds_both_sides_their_labels_and_a_picture(results):
    runs = read_runs(results, held_out=True)
    assert runs.attrs["factors"][-2:] == ["method.n_comps", "held out"]
    folder = Path(runs["directory"].iloc[0])
    assert json.loads((folder / "metrics.json").read_text()).keys() == set(runs.attrs["metrics"])
    assert (folder / "picture.png").stat().st_size > 1000
    with np.load(folder / "embedding.npz") as saved:
        assert len(saved["z"]) + len(saved["query"]) == 300
        assert len(saved["query_umap"]) == len(saved["query_predicted"]) == len(saved["query"])
        accuracy = (saved["query_predicted"] == saved["query_label"]).mean()
        n_query = len(saved["query"])
    confusion = pd.read_csv(folder / "confusion.csv", index_col=0)
    assert confusion.to_numpy().sum() == n_query
    assert sum(confusion.at[name, name] for name in confusion if name in confusion.index) / n_query == accuracy
    assert accuracy == pytest.approx(runs["Accuracy"].iloc[0])


def test_the_report_averages_over_batches_and_puts_the_best_first(results, tmp_path):
    written = {path.name: path for path in write_report(results, tmp_path)}
    runs, table = pd.read_csv(written["holdout_runs.csv"]), pd.read_csv(written["holdout.csv"])
    overall = table[table["held out"] == "all"]
    means = runs.groupby("method.n_comps")["Macro-F1"].mean()
    assert overall["Macro-F1"].tolist() == pytest.approx(sorted(means, reverse=True))
    assert table["held out"].value_counts().to_dict() == dict.fromkeys(["all", "batch_1", "batch_2", "batch_3"], 2)
    assert written["holdout.md"].read_text().count("\n") == 4
    page = written["report.html"].read_text()
    assert "Confusion" in page
    assert "runs.csv" not in written


def test_means_are_over_the_same_batches(results, tmp_path):
    some = tmp_path / "some"
    shutil.copytree(results, some)
    runs = read_runs(some, held_out=True)
    shutil.rmtree(runs.loc[runs["method.n_comps"] == "10", "directory"].iloc[0])
    table = pd.read_csv(write_report(some, tmp_path / "report")[1])
    assert table.loc[table["held out"] == "all", "method.n_comps"].tolist() == [2]
    assert (table["method.n_comps"] == 10).sum() == 2
    shutil.rmtree(runs.loc[runs["method.n_comps"] == "2", "directory"].iloc[1])
    table = pd.read_csv(write_report(some, tmp_path / "report")[1])
    assert "all" not in set(table["held out"])
    assert len(table) == 4


def test_a_method_that_cannot_map_fails_and_says_so(tmp_path):
    assert app.main([*SMALL, "method=harmony", "holdout=batch_3", f"results={tmp_path}"]) == 1
    (traceback,) = tmp_path.glob("runs/*/traceback.txt")
    assert "cannot embed cells that it has not learned from" in traceback.read_text()


def test_a_study_of_both_kinds_makes_one_report_of_two_parts(results, tmp_path):
    both = tmp_path / "both"
    shutil.copytree(results, both)
    assert app.main([*SMALL, "method=pca", "method.n_comps=10", f"results={both}"]) == 0
    names = {path.name for path in write_report(both, tmp_path / "report")}
    assert {"runs.csv", "holdout_runs.csv"} <= names
    assert set(read_runs(both)["method"]) == {"pca"}


def test_proteins_of_held_out_cells_are_predicted_and_scored_beside_simple_means():
    few = ["data=demo_protein", "data.n_cells=150", "data.n_genes=200", "data.n_types=3", "holdout=batch_1"]
    scores = {}
    for name, options in {
        "model": ["method=multimodal", "method.query=predicted", "augmentation=mask", "training.max_epochs=3"],
        "mean": ["method=protein_baseline", "method.kind=mean"],
        "true type": ["method=protein_baseline", "method.kind=true_type"],
    }.items():
        (run,) = plan([*few, *options]).runs
        method = dict(run.config["method"])
        embed = get_method(method.pop("_target_"))
        data = prepare(run.config["data"], holdout="batch_1")
        with warnings.catch_warnings(action="ignore"):  # there is one batch to learn from
            scores[name] = holdout.score(data, embed(data, seed=0, **method))
    pearson = {name: found["Pearson, cells"] for name, found in scores.items()}
    assert pearson["mean"] < pearson["model"] and pearson["mean"] < pearson["true type"]
    assert scores["mean"]["RMSE, cells"] > scores["model"]["RMSE, cells"] > 0
    with pytest.raises(ValueError, match=r"reads RNA alone: say method\.query=rna, found both"):
        get_method("sccl.benchmark.methods.multimodal.embed")(data, seed=0, integrate="rna_alone")
    with pytest.raises(ValueError, match="The data have no proteins"):
        held_out().proteins  # noqa: B018

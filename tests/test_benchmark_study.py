"""Options become runs, runs become directories, and what was interrupted is taken up again."""

import contextlib
import gc
import json
import os
import re
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scvi

import sccl
from sccl.benchmark import app
from sccl.benchmark.methods import obsm
from sccl.benchmark.plan.explain import OptionError
from sccl.benchmark.plan.run import Run
from sccl.benchmark.plan.study import plan
from sccl.benchmark.report import write_report
from sccl.benchmark.run.execute import execute
from sccl.benchmark.run.schedule import run_all
from sccl.catalogue import models

#: A data set that PCA embeds and scores in a second.
SMALL = ["method=pca", "method.n_comps=5", "data.n_cells=120", "data.n_genes=60"]


def one(results: Path, *options: str) -> Run:
    (run,) = plan([*SMALL, f"results={results}", *options]).runs
    return run


def test_help_imports_nothing_that_takes_long():
    code = (
        "import sys; from sccl.benchmark.app import main; main(['--help']);"
        "sys.exit(' '.join({'numpy', 'torch', 'scvi', 'pandas', 'jax'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "released_vs_corrected" in done.stdout


@pytest.mark.parametrize(
    ("option", "nearest"),
    [
        ("modle=vicreg", "'model'"),
        ("model=vicrge", "'vicreg'"),
        ("model.temprature=0.1", "'model.temperature'"),
        ("trainig.max_epochs=3", "'training.max_epochs'"),
        ("augmentation=[mask,crosover]", "'crossover'"),
        ("+experimnt=quick", "'experiment'"),
        ("+experiment=quik", "'quick'"),
        ("seed=one", "integer"),
        ("data=file", "data.path"),
        ("+cluster=slrum", "'slurm'"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_with_the_nearest_one(capsys, option, nearest):
    assert app.main([option]) == 2
    assert nearest in capsys.readouterr().err


def test_data_of_ones_own_names_all_that_it_needs_at_once(capsys):
    assert app.main(["data=file"]) == 2
    assert "data=file also needs data.batch_key=COLUMN data.labels_key=COLUMN data.path=FILE" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys):
    assert app.main(["--version"]) == 0
    assert capsys.readouterr().out == f"sccl {version('sccl')}\n"


def test_a_configuration_is_shown_of_one_run_only(capsys):
    assert app.main(["--multirun", "model=simclr,moco", "--cfg", "job"]) == 2
    assert "leave out --multirun" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["a file", "a file/below", "/proc/results"])
def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_runs(tmp_path, capsys, place):
    (tmp_path / "a file").write_text("")
    assert app.main([*SMALL, f"results='{tmp_path / place}'"]) == 2
    assert re.search("results=.*cannot be .*name another folder", capsys.readouterr().err)


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused_before_anything_runs(tmp_path, monkeypatch, capsys):
    tmp_path.chmod(0o500)
    monkeypatch.chdir(tmp_path)
    assert app.main(SMALL) == 2
    assert "name another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.h5ad", None, "no file.*SCCL_DATA"),
        ("a.csv", "a,b", "nothing that can be read"),
        ("b.rds", "x", "R object"),
    ],
)
@pytest.mark.parametrize("more", [[], ["holdout=each"]])
def test_a_file_that_cannot_be_read_is_refused_before_anything_is_imported(tmp_path, name, content, message, more):
    if content is not None:
        (tmp_path / name).write_text(content)
    options = ["data=file", f"data.path={name}", "data.batch_key=batch", "data.labels_key=type", *more]
    code = (
        "import sys; from sccl.benchmark.app import main; code = main(sys.argv[1:]); "
        "sys.exit(' '.join({'torch', 'scvi', 'scanpy', 'anndata'} & set(sys.modules)) or code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert re.search(message, done.stderr)


def test_several_values_make_a_product_and_equal_runs_are_made_once():
    runs = plan(["method=contrastive,pca", "model=simclr,byol", "seed=0,1"]).runs
    assert [(run.choices["method"], run.choices.get("model"), run.config["seed"]) for run in runs] == [
        ("contrastive", "simclr", 0),
        ("contrastive", "simclr", 1),
        ("contrastive", "byol", 0),
        ("contrastive", "byol", 1),
        ("pca", None, 0),
        ("pca", None, 1),
    ]


def test_augmentations_combine_in_the_order_given():
    first, second = plan(["augmentation=[crossover,mask],[mask,crossover]"]).runs
    assert list(first.config["method"]["augmentation"]) == ["crossover", "mask"]
    assert first.choices["augmentation"] == "crossover+mask"
    assert first.id != second.id


def test_what_the_user_says_comes_before_what_the_experiment_says():
    runs = plan(["+experiment=quick", "seed=7", "model=moco,byol"]).runs
    assert {run.config["seed"] for run in runs} == {7}
    assert {run.choices["model"] for run in runs} == {"moco", "byol"}
    assert len(runs) == 4


@pytest.mark.parametrize(
    ("experiment", "n_runs"),
    [
        ("quick", 8),
        ("architectures", len(models()) - 3 + 3),  # all but the recommended recipe, that in short, CLAIRE; three others
        ("embedding_size", 14),
        ("temperature", 15),
        ("projector", 22),
        ("dropout", 10),
        ("epochs", 12),
        ("augmentation_strength", 30),
        ("augmentation_pairs", 21),
        ("sampling", 16),
        ("released_vs_corrected", 48),
        ("recommended", 24),
        ("multimodal", 47),
        ("missing_modality", 40),
    ],
)
def test_every_experiment_makes_its_runs(experiment, n_runs):
    runs = plan([f"+experiment={experiment}", *([] if experiment == "quick" else ["seed=0"])]).runs
    assert len(runs) == n_runs


@pytest.mark.parametrize("experiment", ["quick", "architectures", "augmentation_pairs"])
def test_the_command_of_a_run_makes_that_run_alone(experiment):
    for run in plan([f"+experiment={experiment}", "+cluster=local", "results=here"]).runs[::20]:
        assert [again.id for again in plan(run.command).runs] == [run.id]


def test_the_options_of_a_model_are_all_its_hyper_parameters_with_their_defaults():
    from inspect import signature

    from sccl import model

    for name in models():
        options = dict(plan([f"model={name.lower()}"]).runs[0].config["method"]["model"])
        cls = getattr(model, options.pop("name"))
        architecture = list(signature(cls._architecture_cls).parameters.values())[1:]
        assert options == {item.name: item.default for item in architecture} | cls._architecture_defaults


@pytest.mark.parametrize(
    "name", ["mask", "gaussian_noise", "multiplicative_noise", "inner_swap", "crossover", "bbknn", "mnn"]
)
def test_the_options_of_an_augmentation_are_its_defaults(name):
    from sccl.augment import from_config

    entry = plan([f"augmentation={name}"]).runs[0].config["method"]["augmentation"]
    assert from_config(entry) == from_config({name: {}})


@pytest.mark.parametrize("name", ["cross_batch", "clear", "base", "combi", "ours", "claire"])
def test_presets_are_those_of_the_package(name):
    from sccl.augment import from_config, preset
    from sccl.augment.config import to_config

    composed = from_config(plan([f"augmentation={name}"]).runs[0].config["method"]["augmentation"])
    assert json.dumps(to_config(composed)) == json.dumps(to_config(preset(name)))


def test_a_run_is_named_by_what_determines_its_result(tmp_path):
    run = one(tmp_path)
    assert one(tmp_path).id == run.id
    assert one(tmp_path / "elsewhere", "threads=2", "model=byol").id == run.id
    assert one(tmp_path, "seed=1").id != run.id
    assert one(tmp_path, "data.n_cells=121").id != run.id


def test_a_file_counts_by_its_content(tmp_path):
    def run(path: Path) -> Run:
        keys = ["data.batch_key=batch", "data.labels_key=cell_type"]
        return plan(["data=file", f"data.path={path}", *keys]).runs[0]

    (tmp_path / "a").write_text("cells")
    (tmp_path / "b").write_text("cells")
    (tmp_path / "c").write_text("others")
    assert run(tmp_path / "a").id == run(tmp_path / "b").id != run(tmp_path / "c").id


def test_a_directory_of_ones_own_adds_options(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.yaml").write_text("defaults: [demo]\nn_cells: 77\n")
    (run,) = plan(["data=mine"], config_dir=str(tmp_path)).runs
    assert run.config["data"]["n_cells"] == 77
    assert run.choices["data"] == "mine"


@pytest.fixture(scope="module")
def complete(tmp_path_factory) -> Run:
    run = one(tmp_path_factory.mktemp("results"))
    execute(run)
    return run


def test_a_complete_run_holds_all_that_is_to_be_known(complete):
    assert complete.state == "complete"
    read = {path.name: json.loads(path.read_text()) for path in complete.directory.glob("*.json")}
    assert read["config.json"]["config"] == complete.config
    assert read["surroundings.json"].keys() == {"versions", "code", "git", "hardware"}
    assert read["costs.json"]["seconds"].keys() == {"imports", "data", "embedding", "scores", "picture"}
    assert 0 < read["costs.json"]["peak_memory_gib"] < 100
    assert 0 < read["metrics.json"]["Total"] < 1
    assert (complete.directory / "picture.png").stat().st_size > 1000
    with np.load(complete.directory / "embedding.npz") as saved:
        assert saved["z"].shape == (120, 5)
        assert saved["umap"].shape == (120, 2)
        assert len(saved["cell"]) == len(saved["batch"]) == len(saved["label"]) == 120


def test_a_complete_run_is_left_alone(complete):
    before = (complete.directory / "status.json").stat()
    assert run_all([complete]) == {complete: "complete"}
    assert (complete.directory / "status.json").stat() == before


def test_a_run_that_broke_off_is_made_anew_with_the_same_scores(complete, tmp_path):
    broken = replace(complete, results=tmp_path)
    leftover = broken.directory.parent / f".{broken.id}.123"
    leftover.mkdir(parents=True)
    (leftover / "metrics.json").write_text("{")
    assert broken.state == "missing"
    execute(broken)
    assert not leftover.exists()
    assert (broken.directory / "metrics.json").read_text() == (complete.directory / "metrics.json").read_text()


def test_a_failing_run_is_recorded_and_the_others_go_on(tmp_path, capsys):
    options = [*SMALL, "method.n_comps=999,5", f"results={tmp_path}"]
    assert app.main(options) == 1
    failed, good = plan(options).runs
    assert (failed.state, good.state) == ("failed", "complete")
    assert "n_comps" in (failed.directory / "traceback.txt").read_text()
    assert "1 of 2 runs complete" in capsys.readouterr().out
    page = write_report(tmp_path, tmp_path / "report")[-1].read_text()
    assert "Failed runs" in page


def test_methods_of_ones_own_need_a_function_and_a_file(tmp_path, monkeypatch):
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "mine.yaml").write_text("_target_: mine.embed\nscale: 2\n")
    (tmp_path / "mine.py").write_text(
        "from sccl.benchmark.methods import Embedding\n"
        "def embed(data, *, seed, scale):\n    return Embedding(scale * data.pca[:, :3])\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    options = ["method=mine", *SMALL[2:], f"results={tmp_path}", "trust=mine"]
    assert app.main(["--config-dir", str(tmp_path), *options]) == 0


def test_batches_and_labels_are_compared_as_text(tmp_path):
    from sccl.benchmark.data import batches, prepare

    adata = sccl.datasets.simulate(90, 40, n_batches=2, n_types=3, mean_count=1.0)
    adata.obs["lane"] = (adata.obs["batch"] == "batch_1").astype(int)
    adata.obs["cluster"] = adata.obs["cell_type"].cat.codes.astype(str)
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    options = [
        "data=file",
        f"data.path={path}",
        "data.batch_key=lane",
        "data.labels_key=cluster",
        "data.ignore_labels=[2]",
    ]
    (run,) = plan(options).runs
    assert batches(run.config["data"]) == ["0", "1"]
    data = prepare(run.config["data"], holdout="1")
    assert set(data.batch) == {"0"}
    assert "2" not in set(data.query_labels.iloc[data.scored])
    (wrong,) = plan([*options[:-1], "data.ignore_labels=[7]"]).runs
    with pytest.raises(ValueError, match=r"ignore_labels names \['7'\], but obs\['cluster'\] has \['0', '1', '2'\]"):
        prepare(wrong.config["data"])


def test_an_embedding_of_the_file_is_a_method(tmp_path):
    from sccl.benchmark.data import prepare

    adata = sccl.datasets.simulate(60, 30, mean_count=1.0)
    adata.obsm["X_mine"] = np.arange(180.0).reshape(60, 3)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    options = [f"data.path={tmp_path / 'cells.h5ad'}", "data=file", "data.batch_key=batch", "data.labels_key=cell_type"]
    (run,) = plan([*options, "method=obsm", "method.key=X_mine"]).runs
    data = prepare(run.config["data"])
    np.testing.assert_array_equal(obsm.embed(data, seed=0, key="X_mine").z_nd, adata.obsm["X_mine"])
    held_out = prepare(run.config["data"], holdout="batch_1")
    assert len(obsm.embed(held_out, seed=0, key="X_mine").query_nd) == 20
    with pytest.raises(KeyError, match="obsm has X_mine"):
        obsm.embed(data, seed=0, key="X_scGPT")
    with pytest.raises(OptionError, match=r"method=obsm also needs method\.key=KEY"):
        plan([*options, "method=obsm"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.distributed.reduce_op` is deprecated:FutureWarning")  # on import, by pyro
@pytest.mark.parametrize("name", ["drvi", "sysvi"])
def test_methods_of_scvi_tools_embed_every_cell_and_keep_none(name):
    from hydra.utils import get_method

    from sccl.benchmark.data import prepare

    if name == "drvi" and not hasattr(scvi.external, "DRVI"):
        pytest.skip("scvi-tools has DRVI from 1.5 on")
    (run,) = plan([f"method={name}", "method.max_epochs=1", "data.n_cells=150", "data.n_genes=200"]).runs
    data = prepare(run.config["data"])
    parameters = dict(run.config["method"])
    embed = get_method(parameters.pop("_target_"))

    def alive() -> int:
        gc.collect()
        return sum(issubclass(type(one), anndata.AnnData) for one in gc.get_objects())

    before = alive()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        embedding = embed(data, seed=0, **parameters)
    assert embedding.z_nd.shape == (150, parameters["n_latent"])
    assert np.isfinite(embedding.z_nd).all()
    assert len(embedding.loss) == 1
    assert alive() == before


def test_ignored_and_missing_labels_are_embedded_and_not_scored():
    from sccl.benchmark.data import prepare

    (run,) = plan(["data.n_cells=100", "data.n_genes=50", "data.ignore_labels=[type_2]"]).runs
    data = prepare(run.config["data"])
    assert "type_2" in set(data.labels)
    assert "type_2" not in set(data.labels.iloc[data.scored])
    part = prepare(run.config["data"], max_cells=30)
    assert len(part.scored) == 30
    assert set(part.scored) < set(data.scored)
    np.testing.assert_array_equal(part.scored, prepare(run.config["data"], max_cells=30).scored)


@pytest.mark.slow
def test_processes_of_this_machine_make_the_same_table_and_outlive_one_that_is_killed(complete, tmp_path, monkeypatch):
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "killed.yaml").write_text("_target_: killed.embed\nn_comps: 5\n")
    (tmp_path / "killed.py").write_text("import os\ndef embed(data, *, seed, n_comps):\n    os._exit(9)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    options = ["method=killed,pca", *SMALL[1:], f"results={tmp_path}", "+cluster=local", "trust=killed"]
    assert app.main(["--config-dir", str(tmp_path), *options]) == 1
    killed, good = plan(options, config_dir=str(tmp_path)).runs
    assert (killed.state, good.state) == ("missing", "complete")
    assert (good.directory / "metrics.json").read_text() == (complete.directory / "metrics.json").read_text()


@pytest.mark.slow
def test_a_study_killed_at_three_random_moments_ends_in_the_same_table(tmp_path):
    options = ["method=pca,contrastive", "training.max_epochs=2", "data.n_cells=200", "data.n_genes=80"]

    def start(results: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sccl.benchmark", *options, f"results={results}"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    began = time.monotonic()
    assert start(tmp_path / "whole").wait() == 0
    seconds = time.monotonic() - began
    moments = np.random.default_rng().uniform(0, seconds, 3)
    print(f"killed after {moments} of {seconds} seconds")
    for moment in moments:
        process = start(tmp_path / "killed")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        process.kill()
        process.wait()
    assert start(tmp_path / "killed").wait() == 0
    tables = [write_report(tmp_path / name, tmp_path / name / "report")[0] for name in ("whole", "killed")]
    pd.testing.assert_frame_equal(*(pd.read_csv(path) for path in tables), check_exact=True)
    assert tables[0].read_bytes() == tables[1].read_bytes()


@pytest.mark.slow
def test_the_quick_experiment_runs_from_the_command_line_and_is_skipped_the_second_time(tmp_path):
    command = [sys.executable, "-m", "sccl.benchmark", "--multirun", "+experiment=quick", f"results={tmp_path}"]
    subprocess.run(command, check=True, timeout=600)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("**/metrics.json")}
    assert len(written) == 8
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "8 of 8 runs are complete already" in again.stdout
    assert written == {path: path.stat().st_mtime_ns for path in written}
    table = pd.read_csv(write_report(tmp_path, tmp_path / "report")[1])
    assert table["seeds"].tolist() == [2, 2, 2, 2]
    assert table["Total"].notna().all()

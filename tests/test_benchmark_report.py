"""The report: its numbers, and the page in a real browser."""

import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sccl
from sccl.benchmark import report
from sccl.benchmark.plan.run import checksums
from sccl.benchmark.plan.study import plan
from sccl.benchmark.report import figures
from sccl.benchmark.report.order import in_order, sort_keys
from sccl.benchmark.report.results import read_runs
from sccl.benchmark.report.statistics import main_effects, over_seeds, paired_differences, relative_to_table
from sccl.benchmark.run.execute import execute


def table_of_runs(totals: dict[tuple[str, str, int], float]) -> pd.DataFrame:
    """Runs of one data set with the given total of each model, augmentation and seed."""
    records = [
        {"data": "d", "model": model, "augmentation": augmentation, "seed": seed, "Total": total}
        for (model, augmentation, seed), total in totals.items()
    ]
    runs = pd.DataFrame(records)
    runs.attrs = {"factors": ["data", "model", "augmentation"], "metrics": ["Total"]}
    return runs


@pytest.fixture
def additive() -> pd.DataFrame:
    """Model b is .2 better than a, augmentation y .1 better than x, and seeds differ."""
    worth = {"a": 0.0, "b": 0.2, "x": 0.0, "y": 0.1}
    return table_of_runs(
        {(m, a, seed): 0.3 + worth[m] + worth[a] + 0.01 * seed for m in "ab" for a in "xy" for seed in (0, 1, 2)}
    )


def test_means_and_deviations_are_over_seeds(additive):
    means, sds, seeds = over_seeds(additive, ["Total"])
    assert means.loc[("d", "b", "y"), "Total"] == pytest.approx(0.61)
    assert sds.loc[("d", "b", "y"), "Total"] == pytest.approx(0.01)
    assert (seeds == 3).all()


def test_main_effects_are_what_each_choice_adds(additive):
    effects = main_effects(additive).set_index(["factor", "value"])
    assert effects.loc[("model", "b"), "effect"] == pytest.approx(0.1)
    assert effects.loc[("augmentation", "x"), "effect"] == pytest.approx(-0.05)
    assert (effects["seeds"] == 3).all()
    assert (effects["blocks"] == 6).all()
    np.testing.assert_allclose(effects["low"], effects["effect"], atol=1e-9)  # the same in every seed


def test_main_effects_compare_like_with_like():
    # b was run with the better augmentation only: its advantage over a must not be the augmentation's
    runs = table_of_runs({("a", "x", 0): 0.1, ("a", "y", 0): 0.9, ("b", "y", 0): 0.9})
    effects = main_effects(runs).set_index(["factor", "value"])["effect"]
    assert effects["model", "b"] == effects["model", "a"] == 0


def test_values_that_are_compared_with_none_have_no_worth():
    runs = table_of_runs({("a", "x", 0): 0.1, ("a", "y", 0): 0.9, ("b", "z", 0): 0.9})
    assert main_effects(runs)["value"].tolist() == ["x", "y"]


def test_pairs_are_matched_by_seed_and_count_them():
    runs = table_of_runs(
        {("a", "x", 0): 0.5, ("a", "x", 1): 0.7, ("b", "x", 0): 0.6, ("b", "x", 1): 0.8, ("b", "x", 2): 0}
    )
    (pair,) = paired_differences(runs).to_dict("records")
    assert (pair["first"], pair["second"], pair["seeds"], pair["better"]) == ("a", "b", 2, 2)
    assert pair["difference"] == pytest.approx(0.1)


def test_one_seed_has_no_interval():
    runs = table_of_runs({("a", "x", 0): 0.5, ("b", "x", 0): 0.6})
    assert paired_differences(runs)["low"].isna().all()
    assert main_effects(runs)["high"].isna().all()


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    options = ["method=pca", "data.n_cells=120", "data.n_genes=60", f"results={folder}"]
    for run in plan([*options, "method.n_comps=3,5,10"]).runs:
        execute(run)
    return folder


@pytest.fixture(scope="module")
def written(results) -> dict[str, Path]:
    return {path.name: path for path in report.write_report(results, results / "report")}


def test_a_report_is_written_without_pytorch(results, tmp_path):
    code = (
        "import sys; from sccl.benchmark.report.command import main; code = main(sys.argv[1:]); "
        "sys.exit(' '.join({'torch', 'scvi', 'scanpy', 'jax'} & set(sys.modules)) or code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, results, "--out", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_setting_in_which_runs_differ_becomes_a_column(results):
    runs = read_runs(results)
    assert runs.attrs["factors"][-1] == "method.n_comps"
    assert sorted(runs["method.n_comps"]) == ["10", "3", "5"]


def write_cells(path: Path, seed: int) -> list[str]:
    sccl.datasets.simulate(n_cells=120, n_genes=60, seed=seed).write_h5ad(path)
    return ["method=pca", "method.n_comps=5", "data=file", "data.batch_key=batch", "data.labels_key=cell_type"]


def test_several_files_are_several_data_sets_and_never_averaged(tmp_path):
    for seed, name in enumerate("abc"):
        options = write_cells(tmp_path / f"{name}.h5ad", seed)
    paths = ",".join(str(tmp_path / f"{name}.h5ad") for name in "abc")
    for run in plan([*options, f"data.path={paths}", "seed=0,1", f"results={tmp_path}"]).runs:
        execute(run)
    runs = read_runs(tmp_path)
    assert runs["data"].tolist() == ["a", "a", "b", "b", "c", "c"]
    written = report.write_report(tmp_path, tmp_path / "report")
    table = pd.read_csv(tmp_path / "report" / "table.csv")
    assert table[["data", "seeds"]].to_numpy().tolist() == [["a", 2], ["b", 2], ["c", 2]]
    assert "| data |" in (tmp_path / "report" / "table.md").read_text()
    assert "Data set b" in written[-1].read_text()


def test_files_of_one_name_are_told_apart_by_what_they_hold(tmp_path):
    for folder, seed in (("first", 1), ("second", 2)):
        (tmp_path / folder).mkdir()
        options = write_cells(tmp_path / folder / "cells.h5ad", seed)
        for run in plan([*options, f"data.path={tmp_path / folder / 'cells.h5ad'}", f"results={tmp_path}"]).runs:
            execute(run)
    runs = read_runs(tmp_path)
    assert runs["data"].tolist() == ["cells", "cells"]
    assert runs["data.content"].nunique() == 2
    assert (over_seeds(runs, ["Total"])[2] == 1).all()
    report.write_report(tmp_path, tmp_path / "report")


def alter(directory: Path, name: str, change) -> None:
    """Rewrite a file of a run, as if it had been made in another way."""
    content = json.loads((directory / name).read_text())
    change(content)
    (directory / name).write_text(json.dumps(content))
    status = json.loads((directory / "status.json").read_text())
    (directory / "status.json").unlink()
    (directory / "status.json").write_text(json.dumps({**status, "files": checksums(directory)}))


def _set(*keys, to):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = to

    return change


def _reordered(content):
    content["config"]["method"] = dict(reversed(content["config"]["method"].items()))


@pytest.mark.parametrize(
    ("name", "change", "column"),
    [
        ("config.json", _set("config", "method", "_target_", to="mine.embed"), "method._target_"),
        ("config.json", _set("config", "data", "_target_", to="mine.load"), "data._target_"),
        ("config.json", _set("config", "data", "layer", to="counts"), "data.layer"),
        ("config.json", _set("config", "data", "ignore_labels", to=["type_1"]), "data.ignore_labels"),
        ("config.json", _set("config", "data", "subsample", to=100), "data.subsample"),
        ("config.json", _set("config", "score", "max_cells", to=100), "score.max_cells"),
        ("config.json", _set("config", "later", to=1), "later"),
        ("surroundings.json", _set("code", to="0123abcd"), "code"),
        ("surroundings.json", _set("versions", "numpy", to="1.0"), "version.numpy"),
        ("config.json", _reordered, "settings"),
    ],
)
def test_runs_that_differ_in_more_than_their_seed_are_never_averaged(tmp_path, results, name, change, column):
    first = next((results / "runs").iterdir())
    for seed in (0, 1, 2):
        shutil.copytree(first, tmp_path / "runs" / f"{seed}")
        alter(tmp_path / "runs" / f"{seed}", "config.json", _set("config", "seed", to=seed))
    assert over_seeds(read_runs(tmp_path), ["Total"])[2].tolist() == [3]
    alter(tmp_path / "runs" / "2", name, change)
    runs = read_runs(tmp_path)
    assert column in runs.attrs["factors"]
    assert sorted(over_seeds(runs, ["Total"])[2]) == [1, 2]
    report.write_report(tmp_path, tmp_path / "report")


def test_scores_of_different_data_are_not_put_on_one_scale(tmp_path):
    options = ["method=pca", "method.n_comps=3,5", "data.n_cells=120,140", "data.n_genes=60", f"results={tmp_path}"]
    for run in plan(options).runs:
        execute(run)
    runs = read_runs(tmp_path)
    scaled = relative_to_table(over_seeds(runs, runs.attrs["metrics"])[0])
    assert (scaled["cLISI"].groupby(level="data.n_cells").min() == 0).all()
    assert (scaled["cLISI"].groupby(level="data.n_cells").max() == 1).all()
    page = report.write_report(tmp_path, tmp_path / "report")[-1].read_text()
    assert "Data set demo, n_cells=120" in page
    assert "Data set demo, n_cells=140" in page


def test_dollars_and_underscores_in_names_are_drawn_as_they_are():
    rows = {"Seconds": [1.0, 2.0], "Total": [0.4, 0.5], "Total sd": [0.1, np.nan]}
    table = pd.DataFrame({**rows, "model": ["–", r"_$\frac{"], "method": ["$p", "contrastive"]})
    worth = pd.DataFrame({"factor": ["$f"], "value": ["$_{"], "effect": [0.1], "low": [0.0], "high": [0.2]})
    assert "$p" in figures.as_svg(figures.quality_against_time(table))
    assert "$f = $_{" in figures.as_svg(figures.effects(worth))


def test_settings_that_are_numbers_come_in_the_order_of_the_numbers():
    assert in_order(["10", "5", "3"]) == ["3", "5", "10"]
    assert in_order(["mask", "clear"]) == ["clear", "mask"]
    assert sort_keys(pd.Series(["10", "–", "0.5"]))[::2] == [10, 0.5]
    assert sort_keys(pd.Series(["[3, 4]", "5"])) is None


@pytest.mark.slow
def test_tables_that_are_to_be_compared_have_one_scale_of_colours(tmp_path):
    options = ["data.n_cells=120", "data.n_genes=60", "training.max_epochs=1", f"results={tmp_path}"]
    for run in plan([*options, "model=simclr,vicreg", "augmentation=mask", "sampling=uniform,batch"]).runs:
        execute(run)
    page = report.write_report(tmp_path, tmp_path / "report")[-1].read_text()
    section = page[page.index("Architecture × augmentation × sampling") : page.index("What each choice is worth")]
    found = re.findall(r"rgb\((\d+),(\d+),(\d+)\);color:#\w+\">([\d.]+)<", section)
    assert len(found) == 4
    shades = pd.DataFrame(found, columns=["red", "green", "blue", "value"]).astype(float)
    shades = shades.sort_values(["value", "red"], ascending=[True, False])  # what is shown is rounded
    assert shades["red"].is_monotonic_decreasing, shades  # over both tables
    assert (shades["red"].iloc[0], shades["red"].iloc[-1]) == (255, 8)


def test_scaled_scores_span_zero_to_one_within_a_table(results):
    runs = read_runs(results)
    scaled = relative_to_table(over_seeds(runs, runs.attrs["metrics"])[0])
    assert scaled["cLISI"].min() == 0
    assert scaled["cLISI"].max() == 1


def test_the_tables_hold_raw_and_scaled_scores(written):
    table = pd.read_csv(written["table.csv"])
    runs = pd.read_csv(written["runs.csv"])
    assert table["Total"].max() == pytest.approx(runs["Total"].max())
    assert {"Total sd", "Total scaled in table", "seeds"} <= set(table)
    assert table["Total"].is_monotonic_decreasing
    assert written["table.md"].read_text().count("\n") == 5


def test_every_row_says_how_to_make_it_again(written, results):
    page = written["report.html"].read_text()
    command = shlex.split(html.unescape(re.search(r"<code>sccl-bench ([^<]*)</code>", page).group(1)))
    (run,) = plan([*command, f"results={results}"]).runs
    assert run.state == "complete"


def test_no_results_are_said_to_be_none(tmp_path, capsys):
    assert report.main([str(tmp_path)]) == 2
    assert "no complete run" in capsys.readouterr().err


def browse(page: Path, folder: Path) -> tuple[str, str]:
    """Open a page in headless Chromium; return its document once all scripts ran, and what the console said."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-extensions",
            f"--user-data-dir={folder}",
            "--enable-logging=stderr",
            "--v=0",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env={key: value for key, value in os.environ.items() if key != "DBUS_SESSION_BUS_ADDRESS"},
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


CHECKS = """<script>
    const sorted = (name, clicks) => {
        const head = [...document.querySelectorAll("th")].find(head => head.textContent === name);
        for (let i = 0; i < clicks; i++) head.click();
        return [...head.closest("table").tBodies[0].rows]
            .map(row => row.cells[head.cellIndex].dataset.value).join(" ");
    };
    document.body.dataset.scores = sorted("Batch correction", 2);
    document.body.dataset.settings = sorted("method.n_comps", 1);
    const drawn = canvas => canvas.toDataURL();
    const select = document.querySelector(".explorer select"), canvases = [...document.querySelectorAll("canvas")];
    document.body.dataset.columns = [...select.options].map(option => option.textContent).join(" ");
    document.body.dataset.panels = [...document.querySelectorAll("figcaption")].map(one => one.textContent).join("; ");
    const blank = Object.assign(document.createElement("canvas"), { width: canvases[0].width, height: canvases[0].height });
    const before = canvases.map(drawn);
    select.selectedIndex = 1; select.dispatchEvent(new Event("change"));
    const after = canvases.map(drawn);
    document.body.dataset.recolored = canvases.every((_, i) => before[i] !== after[i] && after[i] !== drawn(blank));
    document.body.dataset.keys = [...document.querySelectorAll(".keys button")].map(one => one.textContent).join(" ");
    const canvas = canvases[0], tip = document.querySelector(".tip"), box = canvas.getBoundingClientRect();
    for (let y = 0; y < box.height && tip.hidden; y += 5) for (let x = 0; x < box.width && tip.hidden; x += 5)
        canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + x, clientY: box.top + y }));
    document.body.dataset.tip = tip.textContent;
</script></body>"""


@pytest.mark.slow
def test_the_page_sorts_colours_and_names_cells_and_asks_the_network_for_nothing(written, tmp_path):
    page = written["report.html"].read_text()
    # the page forbids itself every request but data: URLs; a violation would be on the console
    assert "default-src 'none'" in page
    clicked = tmp_path / "clicked.html"
    clicked.write_text(page.replace("</body>", CHECKS))
    document, console = browse(clicked, tmp_path / "profile")
    assert console == ""
    said = {name: html.unescape(value) for name, value in re.findall(r' data-(\w+)="([^"]*)"', document)}
    scores = [float(value) for value in said["scores"].split()]
    assert len(scores) == 3
    assert scores == sorted(scores)
    assert said["settings"].split() == ["10.0", "5.0", "3.0"]
    assert 'aria-sort="descending"' in document
    assert said["columns"] == "batch label"
    assert sorted(said["panels"].split("; ")) == [f"UMAP of pca, n_comps={n}" for n in (10, 3, 5)]
    assert said["recolored"] == "true"
    assert said["keys"].split()[:2] == ["type_1", "type_2"]
    assert re.match(r"cell_\d+\nbatch: batch_\d\nlabel: type_\d", said["tip"])


@pytest.mark.slow
def test_on_a_phone_a_tablet_and_a_screen_nothing_but_tables_scrolls_sideways(written, tmp_path):
    page = html.escape(written["report.html"].read_text())
    frames = "".join(
        f'<iframe srcdoc="{page}" style="width:{width}px; height:900px"></iframe>' for width in (390, 800, 1400)
    )
    measure = """<script>addEventListener("load", () => {
        document.body.dataset.widths = [...document.querySelectorAll("iframe")]
            .map(one => one.contentDocument.documentElement.scrollWidth - one.clientWidth).join(" ");
    });</script>"""
    (tmp_path / "frames.html").write_text(f"<html><body>{frames}{measure}</body></html>")
    document, _ = browse(tmp_path / "frames.html", tmp_path / "profile")
    assert [int(one) <= 0 for one in re.search(r'data-widths="([^"]+)"', document).group(1).split()] == [True] * 3


@pytest.mark.slow
def test_the_browser_test_sees_errors_and_requests(tmp_path):
    page = tmp_path / "page.html"
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
    page.write_text(f"<html><head>{policy}</head><body><img src='https://example.org/a.png'></body></html>")
    assert "example.org" in browse(page, tmp_path / "profile")[1]

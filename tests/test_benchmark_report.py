"""The report: its numbers, and the page in a real browser."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sccl.benchmark import report
from sccl.benchmark.execute import execute
from sccl.benchmark.results import read_runs
from sccl.benchmark.statistics import main_effects, over_seeds, paired_differences, relative_to_table
from sccl.benchmark.study import plan


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


def test_a_setting_in_which_runs_differ_becomes_a_column(results):
    runs = read_runs(results)
    assert runs.attrs["factors"][-1] == "method.n_comps"
    assert sorted(runs["method.n_comps"]) == ["10", "3", "5"]


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
    command = re.search(r"<code>sccl-bench ([^<]*)</code>", page).group(1).split()
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


@pytest.mark.slow
def test_the_page_loads_sorts_and_asks_the_network_for_nothing(written, tmp_path):
    page = written["report.html"].read_text()
    # the page forbids itself every request but data: URLs; a violation would be on the console
    assert "default-src 'none'" in page
    click = """<script>
        const head = [...document.querySelectorAll("th")].find(head => head.textContent === "Batch correction");
        head.click(); head.click();
        document.body.dataset.sorted = [...head.closest("table").tBodies[0].rows]
            .map(row => row.cells[head.cellIndex].dataset.value).join(" ");
    </script></body>"""
    clicked = tmp_path / "clicked.html"
    clicked.write_text(page.replace("</body>", click))
    document, console = browse(clicked, tmp_path / "profile")
    assert console == ""
    values = [float(value) for value in re.search(r'data-sorted="([^"]+)"', document).group(1).split()]
    assert values == sorted(values)
    assert len(values) == 3
    assert 'aria-sort="ascending"' in document


@pytest.mark.slow
def test_the_browser_test_sees_errors_and_requests(tmp_path):
    page = tmp_path / "page.html"
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
    page.write_text(f"<html><head>{policy}</head><body><img src='https://example.org/a.png'></body></html>")
    assert "example.org" in browse(page, tmp_path / "profile")[1]

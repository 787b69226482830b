"""A sweep and its report survive damage, strangers, full disks and each other."""

import io
import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sccl.benchmark import report
from sccl.benchmark.app import main
from sccl.benchmark.plan.explain import OptionError
from sccl.benchmark.plan.run import Run, checksums
from sccl.benchmark.plan.study import plan
from sccl.benchmark.report.results import damages, failures, read_runs
from sccl.benchmark.run.execute import execute
from sccl.benchmark.run.schedule import run_all
from sccl.storage import Taken, hold

pytestmark = pytest.mark.trust
OPTIONS = ["method=pca", "data.n_cells=120", "data.n_genes=60"]
FILES = [
    "config.json",
    "surroundings.json",
    "costs.json",
    "metrics.json",
    "embedding.npz",
    "picture.png",
    "status.json",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Run]:
    folder = tmp_path_factory.mktemp("results")
    runs = plan([*OPTIONS, "method.n_comps=3,5", f"results={folder}"]).runs
    for run in runs:
        execute(run)
    return runs


@pytest.fixture
def copied(runs, tmp_path) -> list[Run]:
    shutil.copytree(runs[0].results, tmp_path / "results")
    return [replace(run, results=tmp_path / "results") for run in runs]


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-2] + bytes([path.read_bytes()[-2] ^ 4, 10])),
    "something else": lambda path: path.write_bytes(b"[1, 2]\n"),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_run_is_listed_and_the_rest_is_shown(name, copied):
    bad, good = copied
    for what, damage in DAMAGES.items():
        if (name, what) == ("status.json", "gone"):
            continue  # a run without it never was one
        shutil.copytree(bad.directory, bad.results / "whole")
        damage(bad.directory / name)
        assert bad.state == "damaged", what
        (listed,) = damages(bad.results)
        assert listed[0] == str(bad.directory)
        assert name in listed[1]
        assert read_runs(bad.results)["directory"].tolist() == [str(good.directory)]
        shutil.rmtree(bad.directory)
        (bad.results / "whole").rename(bad.directory)


def test_the_page_lists_what_is_damaged(copied, capsys):
    bad, _ = copied
    DAMAGES["cut off"](bad.directory / "costs.json")
    page = report.write_report(bad.results, bad.results / "report")[-1].read_text()
    assert "Damaged runs" in page
    assert f"{bad.directory} is left out, for it is damaged: costs.json" in capsys.readouterr().err


def test_runs_without_checksums_are_looked_at_as_well(copied):
    for run in copied:
        status = json.loads((run.directory / "status.json").read_text())
        status.pop("files")
        (run.directory / "status.json").write_text(json.dumps(status))
    bad, good = copied
    assert (bad.state, good.state) == ("complete", "complete")
    for name in ("config.json", "surroundings.json", "costs.json", "metrics.json", "embedding.npz"):
        whole = (bad.directory / name).read_bytes()
        for what in ("empty", "cut off", "something else", "gone"):
            DAMAGES[what](bad.directory / name)
            assert bad.state == "damaged", (name, what)
            (bad.directory / name).write_bytes(whole)
    assert bad.state == "complete"


def test_the_next_sweep_makes_a_damaged_run_anew(copied):
    bad, good = copied
    before, kept = checksums(bad.directory), (good.directory / "status.json").stat().st_mtime_ns
    (bad.directory / "metrics.json").write_text("{")
    assert run_all(copied) == {bad: "complete", good: "complete"}
    assert checksums(bad.directory)["metrics.json"] == before["metrics.json"]
    assert (good.directory / "status.json").stat().st_mtime_ns == kept


def test_a_failed_run_without_its_traceback_is_listed_as_failed(copied):
    bad, _ = copied
    (bad.directory / "status.json").write_text('{"state": "failed"}')
    assert failures(bad.results)[0][1] == "its traceback is lost"
    (bad.directory / "traceback.txt").write_bytes(b"ValueError: \xff\n")
    assert failures(bad.results)[0][1].startswith("ValueError: ")
    (bad.directory / "config.json").unlink()
    assert [bad.state, damages(bad.results)[0][1]] == ["damaged", "config.json is missing"]


# ------------------------------------------------------------------------------------------------------ two at once


def test_a_run_that_another_process_makes_is_left_to_it_and_the_others_go_on(copied, capsys):
    first, second = copied
    shutil.rmtree(first.directory)
    shutil.rmtree(second.directory)
    with hold(first.lock, wait=False):
        work = first.lock.with_name(f".{first.id}.elsewhere-1.part")
        work.mkdir()
        with pytest.raises(Taken):
            execute(first, wait=False)
        assert work.is_dir()
        assert run_all([second]) == {second: "complete"}
    assert run_all([first]) == {first: "complete"}
    assert not work.exists()  # its owner is gone by now
    assert sorted(path.name for path in (first.results / "runs").iterdir()) == sorted([first.id, second.id])


def test_a_worker_ends_with_its_parent():
    code = (
        "import os, time, multiprocessing\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from sccl.benchmark.run.schedule import _end_with_parent\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert Path(f"/proc/{worker}").exists()
        parent.send_signal(signal.SIGKILL)
    for _ in range(200):
        if not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker outlived its parent")


# ------------------------------------------------------------------------------------------------------ surroundings


@contextmanager
def room_for(n_bytes):
    """No file may grow beyond this, as on a full disk; the system itself says so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_sweep_goes_on_where_nothing_can_be_written(copied, capsys):
    for run in copied:
        shutil.rmtree(run.directory)
    with room_for(0):
        assert set(run_all(copied).values()) == {"lost"}
    assert capsys.readouterr().out.count("cannot be kept: [Errno 27] File too large") == 2
    assert not list((copied[0].results / "runs").iterdir())
    assert set(run_all(copied).values()) == {"complete"}


# ---------------------------------------------------------------------------------------------------------- strangers


class Attack:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (os.system, (f"touch {self.trace}",))


def test_a_crafted_results_folder_runs_nothing(copied, tmp_path):
    bad, good = copied
    buffer = io.BytesIO()
    np.savez(buffer, z=np.array([Attack(tmp_path / "trace")], dtype=object))
    for content in (buffer.getvalue(), pickle.dumps(Attack(tmp_path / "trace"))):
        (bad.directory / "embedding.npz").write_bytes(content)
        status = json.loads((bad.directory / "status.json").read_text())
        (bad.directory / "status.json").unlink()
        for files in (checksums(bad.directory), {}):  # it may well know our checksums
            (bad.directory / "status.json").write_text(json.dumps({**status, "files": files}))
            report.write_report(bad.results, bad.results / "report")
            assert bad.state == "damaged"
    assert not (tmp_path / "trace").exists()
    assert good.state == "complete"


FOREIGN = {
    "method/x.yaml": "_target_: os.system\ncommand: touch TRACE\n",
    "data/x.yaml": "_target_: os.system\ncommand: touch TRACE\nbatch_key: batch\nlabels_key: label\n",
    "data/y.yaml": "_target_: sccl.datasets.load.Path.touch\nbatch_key: batch\nlabels_key: label\n",
    "data/z.yaml": "defaults: [demo]\nnested: {_target_: os.system, command: touch TRACE}\n",
    "model/x.yaml": "name: evil_module:Model\n",
    "augmentation/x.yaml": "'evil_module:Views': {}\n",
    "sampling/x.yaml": "'evil_module:Cells': {}\n",
    "experiment/x.yaml": "# @package _global_\ntrust: [os]\nmethod: {_target_: os.system}\n",
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("holdout", ["null", "each"])
def test_a_folder_of_options_has_nothing_called_that_is_not_the_packages_own(
    name, holdout, tmp_path, monkeypatch, capsys
):
    trace = tmp_path / "trace"
    (tmp_path / "evil_module.py").write_text(f"open({str(trace)!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "options" / name
    path.parent.mkdir(parents=True)
    path.write_text(FOREIGN[name].replace("TRACE", str(trace)))
    group = path.parent.name.replace("experiment", "+experiment")
    options = [f"{group}={path.stem}", f"holdout={holdout}", f"results={tmp_path / 'results'}"]
    assert main(["--config-dir", str(tmp_path / "options"), *options]) == 2
    assert "which would be called. If you know and trust what that does, say so: trust=" in capsys.readouterr().err
    assert not trace.exists()
    assert not (tmp_path / "results").exists()


def test_a_package_is_trusted_by_its_whole_name_and_by_the_command_line(tmp_path):
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "mine.yaml").write_text("_target_: mylab.deep.embed\n")
    for trust in ("mylab", "mylab.deep", "mylab.deep.embed", "[other,mylab]"):
        assert len(plan(["method=mine", f"trust={trust}"], config_dir=str(tmp_path)).runs) == 1
    for trust in ("my", "mylab.de", "[other]", "[]"):
        with pytest.raises(OptionError, match=r"mylab\.deep\.embed"):
            plan(["method=mine", f"trust={trust}"], config_dir=str(tmp_path))
    with pytest.raises(OptionError, match="name of a package"):
        plan(["method=mine", "trust=3"], config_dir=str(tmp_path))
    runs = [
        plan(["method=mine", f"trust={trust}"], config_dir=str(tmp_path)).runs[0] for trust in ("mylab", "[mylab,a]")
    ]
    assert runs[0].id == runs[1].id
    assert not any("trust" in option for option in runs[0].command)

"""Runs as jobs of a real Slurm, started here if there is none."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "slurm"
NEEDED = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "runuser")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Environment variables with which Slurm's commands find a Slurm of one node."""
    if shutil.which("sinfo") and subprocess.run(["sinfo"], capture_output=True).returncode == 0:
        yield {}
        return
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        pytest.skip(f"no Slurm, and none can be started: {', '.join(missing)} not installed (slurm-wlm and munge)")
    if os.geteuid() != 0:
        pytest.skip("no Slurm, and only root can start one")
    # munge wants a path that everybody can search
    state = Path("/run") / f"sccl-test-slurm-{os.getpid()}"
    done = subprocess.run([SCRIPTS / "up.sh", state], capture_output=True, text=True)
    try:
        if done.returncode != 0:
            pytest.skip(f"Slurm did not start here: {done.stderr.strip().splitlines()[-1:]}")
        yield {"SLURM_CONF": str(state / "slurm.conf")}
    finally:
        subprocess.run([SCRIPTS / "down.sh", state], check=True)
        shutil.rmtree(state, ignore_errors=True)


@pytest.mark.slow
def test_a_failing_job_is_reported_a_killed_one_is_lost_and_the_rest_complete(slurm, tmp_path):
    (tmp_path / "conf" / "method").mkdir(parents=True)
    (tmp_path / "conf" / "method" / "killed.yaml").write_text("_target_: killed.embed\nn_comps: 5\n")
    (tmp_path / "killed.py").write_text("import os\ndef embed(data, *, seed, n_comps):\n    os._exit(9)\n")
    results = tmp_path / "results"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sccl.benchmark",
            "--multirun",
            "--config-dir",
            tmp_path / "conf",
            "+cluster=slurm",
            "trust=killed",
            "method=pca,killed",
            "method.n_comps=5,999",
            "data.n_cells=120",
            "data.n_genes=60",
            f"results={results}",
        ],
        env=os.environ | slurm | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    assert "Submitted 4 Slurm tasks" in done.stdout
    assert "1 of 4 runs complete" in done.stdout
    assert done.stderr.count("failed:") == 1
    assert done.stderr.count("lost:") == 2
    (traceback,) = results.glob("runs/*/traceback.txt")
    assert "n_comps" in traceback.read_text()


@pytest.mark.slow
def test_an_interruption_cancels_what_was_submitted(slurm, tmp_path):
    (tmp_path / "conf" / "method").mkdir(parents=True)
    (tmp_path / "conf" / "method" / "slow.yaml").write_text("_target_: slow.embed\nn_comps: 5\n")
    (tmp_path / "slow.py").write_text("import time\ndef embed(data, *, seed, n_comps):\n    time.sleep(600)\n")
    options = [
        "+cluster=slurm",
        "trust=slow",
        "method=slow",
        "data.n_cells=120",
        "data.n_genes=60",
        f"results={tmp_path / 'results'}",
    ]
    # where tests run in the background, interruptions are ignored until somebody asks for them
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from sccl.benchmark.app import main; main()"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", start, "--config-dir", tmp_path / "conf", *options],
        env=os.environ | slurm | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert "Submitted 1 Slurm tasks" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "cancelled" in said
    assert process.returncode != 0
    for _ in range(60):
        left = subprocess.run(["squeue", "--noheader"], env=os.environ | slurm, capture_output=True, text=True).stdout
        if not left.strip():
            return
        time.sleep(1)
    pytest.fail(left)


@pytest.mark.slow
@pytest.mark.skipif(os.cpu_count() == 1, reason="Slurm gives each process a core of its own")
def test_two_processes_of_one_job_train_one_model(slurm, tmp_path):
    import numpy as np

    import sccl

    adata = sccl.datasets.simulate(n_cells=200, n_genes=60, n_batches=2, seed=0)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    options = ["--steps", "12"]
    done = subprocess.run(
        [
            "sbatch",
            "--wait",
            f"--output={tmp_path}/log",
            "docs/distributed.sbatch",
            tmp_path / "cells.h5ad",
            tmp_path,
            *options,
        ],
        cwd=Path(__file__).parents[1],
        env=os.environ | slurm | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (tmp_path / "log").read_text()[-3000:]
    sccl.pp.preprocess(adata, batch_key="batch")
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    model = sccl.CLModel.load(tmp_path / "model", adata)
    assert model.training_[0]["n_steps"] == 12
    assert np.allclose(np.load(tmp_path / "embedding.npy"), model.get_latent_representation(), atol=1e-5)

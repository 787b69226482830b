"""Two processes learn as one does from the joint minibatches."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from two_processes import data, losses_and_gradients, trained

import sccl
from sccl.module import architectures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two real processes left."""
    folder = tmp_path_factory.mktemp("processes")
    script = Path(__file__).parent / "two_processes.py"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", script, folder],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def left_in(folder, name):
    for rank in (0, 1):
        with np.load(folder / f"{name}-{rank}.npz") as file:
            yield dict(file)


@pytest.mark.parametrize("name", architectures.__all__)
def test_loss_gradient_and_state_are_those_of_one_process(name, folder):
    alone = losses_and_gradients(name, 0, 1)
    scale = max(np.abs(value).max() for key, value in alone.items() if key.startswith("gradient"))
    for together in left_in(folder, name):
        assert together.keys() == alone.keys()
        for key, value in alone.items():
            assert np.allclose(together[key], value, rtol=1e-5, atol=1e-5 * scale), key


def test_a_training_takes_the_same_steps_on_the_same_cells_to_the_same_end(folder):
    alone = trained(data(), seed=0)
    first, second = left_in(folder, "training")
    assert all(np.array_equal(first[key], second[key]) for key in (*alone, *first))
    assert first["n_steps"] == alone["n_steps"] == 10
    assert np.array_equal(first["cells"], alone["cells"])
    for name in ("train_loss", "alignment", "uniformity", "effective_rank"):
        assert np.allclose(first[name], alone[name], rtol=1e-3), name
    assert np.allclose(first["embedding"], alone["embedding"], atol=0.1 * alone["embedding"].std())


def test_only_the_first_process_writes(folder):
    assert [path.name for path in (folder / "checkpoint").iterdir()] == ["training.safetensors"]
    assert not (folder / "lightning_logs").exists()


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"strategy": "ddp_spawn", "devices": 2}, ValueError, '`strategy`: several processes train by "ddp"'),
        ({"strategy": "ddp", "devices": 2, "early_stopping": True}, ValueError, "`early_stopping` is not supported"),
        ({"strategy": "ddp", "devices": 2, "sync_batchnorm": True}, TypeError, "with several processes it always is"),
    ],
)
def test_what_several_processes_cannot_do_is_said_before_they_start(how, error, message):
    with pytest.raises(error, match=message):
        sccl.CLModel(data()).train(1, accelerator="cpu", enable_progress_bar=False, **how)

"""A training that fails or is interrupted: what the model is then, and how to go on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

import sccl
from sccl.storage import hold

pytestmark = pytest.mark.trust
QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}
# Of what a training hands from step to step, each model has something else.
MODELS = {
    "SimCLR": (
        sccl.SimCLR,
        {"dropout_rate": 0.2},
        {"augmentation": torch.nn.functional.dropout, "sampling": "uniform"},
    ),
    "MoCo": (sccl.MoCo, {"memory_bank_size": 50}, {"batch_size": 20}),
    "NNCLR": (sccl.NNCLR, {"memory_bank_size": 50}, {"batch_size": 30, "schedule": "constant"}),
    "BYOL": (sccl.BYOL, {}, {"validation_size": 0.2}),
    "CLModel": (sccl.CLModel, {}, {"early_stopping": True, "early_stopping_patience": 1, "lr": 1e-9}),
    # in the middle of an epoch
    "steps": (sccl.CLModel, {}, {"max_steps": 8, "batch_size": 30, "validation_size": 0.2}),
    "neighbours": (sccl.SimCLR, {}, {"sampling": {"neighbor": {"k": 5, "refresh_every": 2}}, "augmentation": "mask"}),
}


@pytest.fixture(scope="module")
def adata():
    adata = sccl.datasets.simulate(n_cells=90, n_genes=30, n_batches=2, n_types=3, seed=0, mean_count=1.0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return adata


class PowerCut(BaseException):
    """Nothing in the package can expect it."""


class At(Callback):
    """Do something after so many steps."""

    def __init__(self, step, do):
        self.step, self.do = step, do

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == self.step:
            self.do()


def cut():
    raise PowerCut


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.module.state_dict().items()}


def is_same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def make(adata, name, seed=0):
    torch.manual_seed(seed)
    np.random.seed(seed)
    cls, network, training = MODELS[name]
    return cls(adata, n_latent=8, n_hidden=8, **network), {**training, **QUIET}


@pytest.mark.parametrize("name", MODELS)
def test_a_training_that_was_killed_at_any_step_ends_as_if_it_had_not_been(name, adata, tmp_path):
    whole, training = make(adata, name)
    whole.train(4, **training)
    n_steps, drawn_after = whole.training_[0]["n_steps"], torch.rand(3)
    for step in (n_steps // 2, n_steps):
        folder = tmp_path / str(step)
        broken, training = make(adata, name)
        with pytest.raises(PowerCut):
            broken.train(4, checkpoint_dir=folder, callbacks=[At(step, cut)], **training)
        # another process: other weights, and another state of chance
        resumed, training = make(adata, name, seed=7)
        resumed.train(4, checkpoint_dir=folder, resume=True, **training)
        assert is_same(state_of(whole), state_of(resumed))
        assert np.array_equal(whole.get_latent_representation(), resumed.get_latent_representation())
        assert {key: frame.to_csv() for key, frame in whole.history.items()} == {
            key: frame.to_csv() for key, frame in resumed.history.items()
        }
        assert np.array_equal(whole.train_indices, resumed.train_indices)
        assert torch.equal(torch.rand(3), drawn_after)
    # once more, after its end
    again, training = make(adata, name, seed=8)
    again.train(4, checkpoint_dir=folder, resume=True, **training)
    assert is_same(state_of(whole), state_of(again))
    assert torch.equal(torch.rand(3), drawn_after)


def test_a_training_that_is_not_the_one_is_refused_and_so_is_a_folder_in_use(adata, tmp_path):
    model, training = make(adata, "MoCo")
    model.train(2, checkpoint_dir=tmp_path / "a", resume=True, **training)  # there was none: it begins
    before = state_of(model)
    for other, message in (
        ({"checkpoint_dir": tmp_path / "a"}, r"holds a training. Pass `resume=True`"),
        ({"resume": True}, "`resume` needs `checkpoint_dir`"),
        ({"checkpoint_dir": tmp_path / "a", "resume": True}, "epochs before=0, where this one has 2"),
        ({"ckpt_path": "x"}, "pass `checkpoint_dir`"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            model.train(2, **other, **training)
    model, training = make(adata, "MoCo")
    with pytest.raises(ValueError, match=r"with lr=0.001, where this one has 0.5"):
        model.train(2, lr=0.5, checkpoint_dir=tmp_path / "a", resume=True, **training)
    with hold(tmp_path / "a", wait=False), pytest.raises(RuntimeError, match="another process trains with"):
        model.train(2, checkpoint_dir=tmp_path / "a", resume=True, **training)
    assert not model.is_trained
    path = tmp_path / "a" / "training.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"training.safetensors .* is damaged"):
        model.train(2, checkpoint_dir=tmp_path / "a", resume=True, **training)
    assert len(before) == len(state_of(model))


@pytest.mark.parametrize("is_trained", [False, True])
def test_a_training_that_fails_leaves_the_model_as_it_was(is_trained, adata):
    model = sccl.CLModel(adata, n_latent=8)
    if is_trained:
        model.train(2, **QUIET)
        embedding, history = model.get_latent_representation(), model.history
    before = state_of(model)
    attributes = dict(vars(model))
    for problem in (
        {"lr": 1e20},
        {"callbacks": [At(3, cut)]},
        {"augmentation": lambda x: x[:, :3], "sampling": "uniform"},
        {"callbacks": [At(1, lambda: model.module.requires_grad_(False) and cut())]},
    ):
        with pytest.raises((FloatingPointError, PowerCut, ValueError, RuntimeError)):
            model.train(5, **{"batch_size": 30, **problem}, **QUIET)
        assert is_same(before, state_of(model))
        assert vars(model) == attributes
        assert model.module.encoder[0].weight.requires_grad
    if is_trained:
        assert np.array_equal(model.get_latent_representation(), embedding)
        assert model.history.keys() == history.keys()
    else:
        with pytest.raises(RuntimeError, match="train"):
            model.get_latent_representation()
    model.train(1, **QUIET)


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def ctrl_c():
    """Python's own answer to Ctrl-C, which a shell turns off in what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_raises_and_leaves_a_model_that_can_be_used(adata, tmp_path):
    model = sccl.CLModel(adata, n_latent=8)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=r"after 3 of \d+ steps: the model keeps what it learned until then"):
        model.train(5, batch_size=30, callbacks=[At(3, press_ctrl_c)], **QUIET)
    assert signal.getsignal(signal.SIGINT) is handler
    assert model.get_latent_representation().std() > 0.1
    assert not torch.equal(model.module.readout.weight_dd, torch.eye(8))
    assert model.training_[0]["n_steps"] == 3
    model.save(tmp_path / "model")
    model.train(1, **QUIET)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_before_the_first_step_leaves_the_model_as_it_was(adata):
    class AtOnce(Callback):
        def on_train_start(self, *args):
            press_ctrl_c()

    model = sccl.CLModel(adata, n_latent=8)
    before = state_of(model)
    with pytest.raises(KeyboardInterrupt, match="before its first step: the model is what it was before"):
        model.train(5, callbacks=[AtOnce()], **QUIET)
    assert is_same(before, state_of(model))
    assert not model.is_trained


@pytest.mark.parametrize("step", [2, 6])
def test_sigterm_ends_the_process_with_its_code(step, adata):
    model = sccl.SimCLR(adata, n_latent=8)
    before = state_of(model)
    with pytest.raises(SystemExit) as caught:
        model.train(2, batch_size=30, callbacks=[At(step, lambda: os.kill(os.getpid(), signal.SIGTERM))], **QUIET)
    assert caught.value.code == 143
    assert is_same(before, state_of(model))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_save_of_the_best_and_a_checkpoint_get_along(adata, tmp_path, monkeypatch):
    monkeypatch.setattr("scvi.settings.logging_dir", str(tmp_path / "best"))
    model, training = make(adata, "BYOL")
    model.train(3, checkpoint_dir=tmp_path / "last", enable_checkpointing=True, **training)
    assert (tmp_path / "last" / "training.safetensors").is_file()
    assert list((tmp_path / "best").rglob("model.safetensors"))
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.slow
def test_nothing_is_lost_to_real_kills():
    script = Path(__file__).parent / "trust" / "attack.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, "--cases", "0.02", "--no-sweeps"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = done.stdout.strip().splitlines()[2:]
    assert len(rows) == 6
    assert all(row.endswith("| 0 |") for row in rows)

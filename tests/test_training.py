"""Training: what it is asked for, what it says, and whether it noticed that something went wrong."""

import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scvi
import torch
from anndata import AnnData, read_h5ad
from lightning.pytorch.callbacks import Callback
from scipy import sparse

import sccl

QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}
MODELS = [
    "CLModel", "CLModelFast", "SimCLR", "DCL", "MoCo", "NNCLR", "BYOL", "SimSiam", "BarlowTwins", "VICReg", "TiCo", "Concerto",
    "CLEAR", "CLAIRE",
]  # fmt: skip
ROOT = Path(__file__).parents[1]


def cells(n_cells=200, n_batches=2, seed=0):
    adata = sccl.datasets.simulate(
        n_cells=n_cells, n_genes=100, n_batches=n_batches, n_types=4, mean_count=1.0, seed=seed
    )
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return adata


@pytest.fixture(scope="module")
def adata():
    return cells()


# ------------------------------------------------------------------------------------------------------------ arguments

WRONG = [
    ({"use_gpu": True}, TypeError, 'no `use_gpu`: pass `accelerator="gpu"`'),
    ({"plan_kwargs": {"lr": 1e-3}}, TypeError, "no `plan_kwargs`: pass `lr`, `weight_decay`"),
    ({"datasplitter_kwargs": {}}, TypeError, "no `datasplitter_kwargs`: pass `batch_size`"),
    ({"n_epochs": 3}, TypeError, "no `n_epochs`: pass `max_epochs`"),
    ({"learning_rate": 1e-3}, TypeError, "no `learning_rate`: pass `lr`"),
    ({"verbose": True}, TypeError, "no `verbose`: pass `enable_progress_bar=False`"),
    ({"max_epoch": 3}, TypeError, "no `max_epoch`; did you mean `max_epochs`"),
    ({"early_stoping": True}, TypeError, "no `early_stoping`; did you mean `early_stopping`"),
    ({"gradient_clip": 1.0}, TypeError, "no `gradient_clip`; did you mean `gradient_clip_val`"),
    ({"max_epochs": 2.5}, ValueError, "`max_epochs` must be a whole number of at least 1, found 2.5"),
    ({"max_epochs": True}, ValueError, "`max_epochs` must be a whole number of at least 1, found True"),
    ({"max_epochs": 0}, ValueError, "`max_epochs` .* found 0"),
    ({"max_steps": "10"}, ValueError, "`max_steps` must be a whole number of at least 1, found '10'"),
    ({"batch_size": 2.5}, ValueError, "`batch_size` must be a whole number of at least 2, found 2.5"),
    ({"batch_size": "256"}, ValueError, "`batch_size` must be a whole number of at least 2, found '256'"),
    ({"batch_size": 1}, ValueError, "`batch_size` .* found 1"),
    ({"lr": "1e-3"}, ValueError, r"`lr` must be a number in \(0, ∞\), found '1e-3'"),
    ({"lr": True}, ValueError, "`lr` must be a number .* found True"),
    ({"lr": 0}, ValueError, "`lr` .* found 0"),
    ({"lr": np.inf}, ValueError, "`lr` .* found inf"),
    ({"weight_decay": -1}, ValueError, r"`weight_decay` must be a number in \[0, ∞\), found -1"),
    ({"schedule": "cosin"}, ValueError, "`schedule` must be one of 'cosine', 'constant', found 'cosin'"),
    ({"warmup": 1}, ValueError, r"`warmup` must be a number in \[0, 1\), found 1"),
    ({"train_size": 1.5}, ValueError, r"`train_size` must be a number in \(0, 1\], found 1.5"),
    ({"train_size": 0.004}, ValueError, "at least 2 cells, found 1"),
    ({"train_size": "all"}, ValueError, "`train_size` .* found 'all'"),
    ({"validation_size": 1}, ValueError, r"`validation_size` must be a number in \(0, 1\), found 1"),
    ({"train_size": 0.9, "validation_size": 0.2}, ValueError, "`train_size` and `validation_size` must not exceed 1"),
    ({"early_stopping": "yes"}, ValueError, "`early_stopping` must be True or False, found 'yes'"),
    ({"early_stopping": True, "train_size": 1.0}, ValueError, "leaves none"),
    ({"early_stopping_patience": 2.5}, ValueError, "`early_stopping_patience` must be a whole number"),
    ({"early_stopping_monitor": "elbo_validation"}, ValueError, "`early_stopping_monitor` must be one of 'validation_loss'"),
    ({"check_val_every_n_epoch": 0}, ValueError, "`check_val_every_n_epoch` .* found 0"),
    ({"enable_progress_bar": 1}, ValueError, "`enable_progress_bar` must be True or False"),
    ({"callbacks": ["early"]}, ValueError, "`callbacks` must be callbacks of lightning.pytorch, found str"),
    ({"use_rep": "X_pac"}, KeyError, "`use_rep`: 'X_pac' is not in adata.obsm"),
    ({"augmentation": "claer"}, KeyError, "clear"),
    ({"sampling": "unifrom"}, KeyError, "uniform"),
]  # fmt: skip


@pytest.mark.parametrize(("kwargs", "error", "message"), WRONG, ids=["-".join(map(str, case[0])) for case in WRONG])
def test_an_argument_that_makes_no_sense_is_named_before_anything_happens(adata, kwargs, error, message):
    model = sccl.SimCLR(adata)
    state = torch.get_rng_state()
    before = [parameter.clone() for parameter in model.module.parameters()]
    with pytest.raises(error, match=message):
        model.train(**{**QUIET, **kwargs})
    assert all(torch.equal(a, b) for a, b in zip(before, model.module.parameters(), strict=True))
    assert not model.is_trained
    if not {"train_size", "early_stopping"} & set(kwargs):  # splits are drawn
        assert torch.equal(torch.get_rng_state(), state)


def test_whole_numbers_of_any_kind_are_fine(adata):
    model = sccl.SimCLR(adata)
    model.train(np.int64(1), batch_size=np.int32(64), lr=np.float32(1e-3), weight_decay=0, **QUIET)
    assert model.is_trained


def test_hyperparameters_that_do_not_exist_are_named_with_those_that_do(adata):
    with pytest.raises(TypeError, match=r"'n_layers'.*n_hidden.*list"):
        sccl.CLModel(adata, n_layers=2)
    with pytest.raises(TypeError, match=r"'gene_likelihood'.*temperature"):
        sccl.CLModel(adata, gene_likelihood="zinb")
    assert sccl.CLModel(adata, n_hidden=[64, 32]).module.encoder[3].in_features == 64


def test_the_users_callbacks_are_left_as_they_are(adata):
    class Counts(Callback):
        n_epochs = 0

        def on_train_epoch_end(self, trainer, pl_module):
            self.n_epochs += 1

    callbacks = [Counts()]
    sccl.SimCLR(adata).train(2, early_stopping=True, callbacks=callbacks, **{**QUIET, "enable_progress_bar": True})
    assert [type(callback) for callback in callbacks] == [Counts]
    assert callbacks[0].n_epochs == 2
    sccl.SimCLR(adata).train(1, callbacks=callbacks[0], **QUIET)
    assert callbacks[0].n_epochs == 3
    sccl.SimCLR(adata).train(1, callbacks=None, **QUIET)


# ------------------------------------------------------------------------------------------------------------- history


def test_validation_that_begins_later_is_in_the_history(adata):
    model = sccl.SimCLR(adata)
    model.train(3, **QUIET)
    assert "validation_loss" not in model.history
    model.train(2, early_stopping=True, **QUIET)
    assert model.history["train_loss"].index.tolist() == [0, 1, 2, 3, 4]
    assert model.history["validation_loss"].index.tolist() == [3, 4]
    assert np.isfinite(model.history["validation_loss"]).all(axis=None)
    model.train(4, check_val_every_n_epoch=2, **QUIET)
    assert model.history["validation_loss"].index.tolist() == [3, 4, 6, 8]
    model.train(1, **QUIET)
    assert model.history["train_loss"].index.tolist() == list(range(10))
    assert len(model.history["validation_loss"]) == 4


def test_the_history_is_kept_where_checkpoints_are_written(adata, tmp_path, monkeypatch):
    monkeypatch.setattr(scvi.settings, "logging_dir", str(tmp_path))
    model = sccl.SimCLR(adata)
    model.train(2, **QUIET)
    model.train(2, enable_checkpointing=True, **QUIET)
    assert len(model.history["train_loss"]) == 4


# --------------------------------------------------------------------------------------------------------------- noise

FIVE_LINES = re.search(
    r"```python\nimport sccl\n\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL
).group(1)  # fmt: skip
SIMULATE = "import sccl\nadata = sccl.datasets.simulate(n_cells=300, n_genes=150, mean_count=1.0, seed=0)\n"


def run(code, folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )  # fmt: skip


def without_bar(text):
    return re.sub(r"[^\r\n]*\d+%\|[^\r\n]*", "", text).strip()


def test_the_readmes_lines_show_a_progress_bar_and_nothing_else(tmp_path):
    assert FIVE_LINES.count("\n") == 5
    more = "\nmodel.save('../model')\nloaded = sccl.CLModel.load('../model', adata)\nloaded.get_latent_representation(adata)"
    more += "\nsccl.CLModel.load('../model', adata=False)\nsccl.CLModel.load_query_data(adata, '../model')"
    (tmp_path / "here").mkdir()
    done = run(SIMULATE + FIVE_LINES + more, tmp_path / "here")
    assert "Epoch 50/50: 100%" in done.stdout
    assert without_bar(done.stdout + done.stderr) == ""
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("setting", ["verbosity", "argument"])
def test_the_progress_bar_can_be_silenced(adata, capfd, setting):
    verbosity = scvi.settings.verbosity
    try:
        if setting == "verbosity":
            scvi.settings.verbosity = logging.WARNING
        kwargs = {"enable_progress_bar": False} if setting == "argument" else {}
        sccl.SimCLR(adata).train(1, accelerator="cpu", **kwargs)
    finally:
        scvi.settings.verbosity = verbosity
    assert capfd.readouterr() == ("", "")


def test_the_frameworks_levels_are_left_as_they_are(adata):
    names = ("lightning.pytorch", "lightning.fabric", "scvi.data._download", "scvi")
    levels = [logging.getLogger(name).level for name in names]
    model = sccl.SimCLR(adata)
    model.train(1, **QUIET)
    with pytest.raises(FloatingPointError):
        model.train(3, lr=1e30, **QUIET)
    assert [logging.getLogger(name).level for name in names] == levels


def test_what_the_frameworks_say_can_be_seen(adata, caplog):
    verbosity = scvi.settings.verbosity
    try:
        scvi.settings.verbosity = logging.DEBUG
        sccl.SimCLR(adata).train(1, **QUIET)
    finally:
        scvi.settings.verbosity = verbosity
    assert "GPU available" in caplog.text


# ----------------------------------------------------------------------------------------------------------- judgement


@pytest.mark.parametrize("name", MODELS)
def test_a_training_that_goes_well_is_silent(adata, name, recwarn):
    model = getattr(sccl, name)(adata)
    model.train(5, **QUIET)
    assert not recwarn.list
    assert np.isfinite(model.get_latent_representation()).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_learning_rate_that_is_much_too_large_is_noticed(adata, name):
    model = getattr(sccl, name)(adata)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.train(max_steps=30, lr=1e6, **QUIET)
        except FloatingPointError as error:
            assert "lower `lr`" in str(error)
            assert not model.is_trained
            return
    (warning,) = caught
    assert re.search("(diverged|collapsed).*lower `lr`", str(warning.message))


def test_a_model_that_failed_when_trained_further_is_what_it_was(adata):
    model = sccl.SimCLR(adata)
    model.train(1, **QUIET)
    embedding = model.get_latent_representation()
    with pytest.raises(FloatingPointError, match="lower `lr`"):
        model.train(3, lr=1e30, **QUIET)
    assert np.array_equal(model.get_latent_representation(), embedding)


def test_the_judgement_draws_nothing(adata):
    def state():
        torch.manual_seed(0)
        sccl.SimCLR(adata).train(1, **QUIET)
        return torch.get_rng_state()

    from sccl.model.to_train import OwnCells

    with_judgement = state()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OwnCells, "judge", lambda *args, **kwargs: None)
        assert torch.equal(state(), with_judgement)


ONE_BATCH = "there is one batch only.*batch_key.*augmentation=.mask"


def test_a_single_batch_is_remarked_upon_only_where_others_are_sought():
    adata = cells(n_batches=1)
    with pytest.warns(UserWarning, match=ONE_BATCH):
        sccl.CLModel(adata).train(1, **QUIET)
    with pytest.warns(UserWarning, match=ONE_BATCH):
        sccl.CLAIRE(adata).train(1, **QUIET)
    sccl.CLModel(adata).train(1, augmentation="mask", sampling="uniform", **QUIET)
    sccl.SimCLR(adata).train(1, **QUIET)


def test_a_query_of_one_batch_is_usual(adata):
    reference = sccl.CLModel(adata)
    reference.train(1, **QUIET)
    query = cells(n_batches=1, seed=1)
    query.obs["batch"] = "new"
    for freeze in ("weights", "none"):
        sccl.CLModel.load_query_data(query, reference, freeze=freeze).train(1, **QUIET)


def test_batches_without_a_common_gene_are_noticed():
    one, two = cells(n_batches=1, seed=0), cells(n_batches=1, seed=1)
    adata = AnnData(
        sparse.block_diag([one.X, two.X], format="csr"),
        obs=pd.DataFrame({"batch": ["symbols"] * 200 + ["ENSG"] * 200}, index=[f"cell{i}" for i in range(400)]),
    )
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    with pytest.warns(UserWarning) as caught:
        sccl.CLModel(adata).train(1, **QUIET)
    assert any("'ENSG', 'symbols' expresses is expressed in another batch" in str(one.message) for one in caught)


def test_batches_without_a_common_kind_of_cell_are_noticed():
    from sccl.train.judgement import judge_pairs

    with pytest.warns(UserWarning, match="found none: no cells of two of the 2 batches are mutual"):
        judge_pairs(0, np.repeat([0, 1], 20))


@pytest.fixture(scope="module")
def real_cells(real_data):
    adata = read_h5ad(real_data / "pbmc_3tech.h5ad")
    adata = adata[np.random.default_rng(0).choice(adata.n_obs, 1000, replace=False)].copy()
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=1000)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return adata


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CLModel", "CLAIRE"])  # the others: test_architectures.py
def test_trainings_on_real_cells_are_silent(name, real_cells, recwarn):
    getattr(sccl, name)(real_cells).train(max_steps=100, **QUIET)
    assert not recwarn.list

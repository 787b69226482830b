"""The verbs of a model: set up, train, embed, save, load."""

import os

import numpy as np
import pandas as pd
import pytest
import scvi
import torch
from scipy.sparse import csr_matrix

import sccl
from sccl.augment import Compose, Mask

QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}


@pytest.fixture
def adata():
    """300 simulated cells, preprocessed and registered."""
    adata = sccl.datasets.simulate(n_cells=300, n_genes=120, n_batches=2, n_types=4, seed=0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=100)
    sccl.CLModel.setup_anndata(adata, batch_key="batch", labels_key="cell_type")
    return adata


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model that was trained for two epochs, with its cells."""
    adata = sccl.datasets.simulate(n_cells=200, n_genes=80, n_batches=2, n_types=3, seed=1)
    sccl.pp.preprocess(adata, batch_key="batch")
    sccl.SimCLR.setup_anndata(adata, batch_key="batch")
    model = sccl.SimCLR(adata, n_latent=16)
    model.train(2, **QUIET)
    return model


def test_an_embedding_has_the_contracts_shape_and_follows_the_seed(adata):
    embeddings = []
    for seed in (0, 0, 1):
        scvi.settings.seed = seed
        model = sccl.CLModel(adata)
        model.train(3, batch_size=64, **QUIET)
        embeddings.append(model.get_latent_representation())
    assert embeddings[0].shape == (300, 64)
    assert embeddings[0].dtype == np.float32
    assert np.array_equal(embeddings[0], embeddings[1])
    assert not np.array_equal(embeddings[0], embeddings[2])


def test_setup_on_one_class_serves_all(adata):
    assert sccl.SimCLR(adata).adata_manager is sccl.CLModel(adata).adata_manager
    other = sccl.datasets.simulate(n_cells=50, n_genes=200, seed=0)
    sccl.pp.preprocess(other)
    sccl.SimCLR.setup_anndata(other)
    assert sccl.CLModel(other).summary_stats.n_cells == 50


def test_an_embedding_does_not_depend_on_order_batch_size_or_company(trained):
    whole = trained.get_latent_representation()
    order = np.random.default_rng(0).permutation(200)
    shuffled = trained.adata[order].copy()
    for z in (
        trained.get_latent_representation(shuffled)[np.argsort(order)],
        trained.get_latent_representation(batch_size=7),
        np.concatenate([trained.get_latent_representation(indices=[i]) for i in range(200)]),
    ):
        assert np.abs(z - whole).max() <= 1e-5


def test_indices_may_be_unsorted_repeated_negative_boolean_or_empty(trained):
    whole = trained.get_latent_representation()
    mask = np.arange(200) % 7 == 0
    for indices, expected in (
        ([5, 2, 2, 199], whole[[5, 2, 2, 199]]),
        ([-1], whole[[-1]]),
        (mask, whole[mask]),
        (mask.tolist(), whole[mask]),
        ([], whole[:0]),
    ):
        z = trained.get_latent_representation(indices=indices)
        assert z.shape == expected.shape
        assert np.allclose(z, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("indices", "error", "named"),
    [
        ([200], IndexError, "holds 200, but there are 200"),
        ([-201], IndexError, "-201"),
        (np.ones(3, bool), ValueError, "mask of 3 cells"),
        ([0.5], ValueError, "row numbers"),
        (["a"], ValueError, "row numbers"),
        ([[0]], ValueError, "one dimension"),
    ],
)
def test_indices_that_make_no_sense_are_refused(trained, indices, error, named):
    with pytest.raises(error, match=named):
        trained.get_latent_representation(indices=indices)


def test_embedding_leaves_new_cells_as_they_are(trained):
    query = trained.adata[:20].copy()
    query.uns.clear()
    query.obs = query.obs[[]]
    trained.get_latent_representation(query)
    assert not query.uns
    assert not len(query.obs.columns)


def test_the_projection_is_what_the_loss_sees(trained):
    z = trained.get_latent_representation(projection=True)
    h = torch.from_numpy(trained.get_latent_representation())
    with torch.no_grad():
        assert np.allclose(z, trained.module.architecture.project(h), atol=1e-5)


def test_genes_are_matched_by_name(trained):
    adata, whole = trained.adata, trained.get_latent_representation()
    order = np.random.default_rng(0).permutation(adata.n_vars)
    assert np.allclose(trained.get_latent_representation(adata[:, order].copy()), whole, atol=1e-5)
    extra = pd.DataFrame(np.ones((200, 2), np.float32), columns=["x1", "x2"], index=adata.obs_names)
    wider = sc_concat(adata, extra)
    assert np.allclose(trained.get_latent_representation(wider), whole, atol=1e-5)
    with pytest.raises(ValueError, match="lacks 3 of the 80 genes"):
        trained.get_latent_representation(adata[:, 3:].copy())
    doubled = adata.copy()
    doubled.var_names = [*doubled.var_names[:-1], doubled.var_names[0]]
    with pytest.raises(ValueError, match=r"lacks 1|more than once"):
        trained.get_latent_representation(doubled)


def sc_concat(adata, extra):
    """The same cells with further genes, in front."""
    import anndata as ad

    x = csr_matrix(np.hstack([extra.to_numpy(), adata.X.toarray()]))
    return ad.AnnData(x, obs=adata.obs[[]], var=pd.DataFrame(index=[*extra.columns, *adata.var_names]))


def test_a_saved_model_embeds_bit_for_bit_alike(trained, tmp_path):
    trained.save(tmp_path / "model")
    whole = trained.get_latent_representation()
    loaded = sccl.SimCLR.load(tmp_path / "model", trained.adata)
    assert np.array_equal(loaded.get_latent_representation(), whole)
    assert repr(loaded) == repr(trained)
    pd.testing.assert_frame_equal(loaded.history["train_loss"], trained.history["train_loss"])

    order = np.random.default_rng(0).permutation(trained.adata.n_vars)
    reordered = trained.adata[:, order].copy()
    loaded = sccl.SimCLR.load(tmp_path / "model", reordered)
    assert np.array_equal(loaded.get_latent_representation(), whole)
    assert list(reordered.var_names) == list(trained.adata.var_names[order])

    elsewhere = trained.adata.copy()
    elsewhere.obs["batch"] = "never seen"
    assert np.array_equal(sccl.SimCLR.load(tmp_path / "model", elsewhere).get_latent_representation(), whole)
    with pytest.raises(ValueError, match="lacks 1 of the 80 genes"):
        sccl.SimCLR.load(tmp_path / "model", trained.adata[:, 1:].copy())
    with pytest.raises(ValueError, match="different class"):
        sccl.CLModel.load(tmp_path / "model", trained.adata)


def test_a_model_without_its_cells_still_embeds_others(trained, tmp_path):
    trained.save(tmp_path / "model")
    loaded = sccl.SimCLR.load(tmp_path / "model", adata=False)
    assert np.array_equal(loaded.get_latent_representation(trained.adata), trained.get_latent_representation())
    with pytest.raises(ValueError, match="`adata`"):
        loaded.get_latent_representation()


def test_the_history_is_a_frame_per_metric(adata):
    model = sccl.SimCLR(adata)
    assert model.history is None
    model.train(4, early_stopping=True, batch_size=64, **QUIET)
    assert set(model.history) == {"train_loss", "validation_loss", "alignment", "uniformity", "effective_rank"}
    for name, frame in model.history.items():
        assert list(frame.columns) == [name]
        assert frame[name].dtype == float
        assert frame.index.tolist() == [0, 1, 2, 3]
        assert np.isfinite(frame[name]).all()
    model.train(2, **QUIET)
    assert len(model.history["train_loss"]) == 6


def test_validation_is_off_unless_asked_for(adata):
    model = sccl.SimCLR(adata)
    model.train(1, **QUIET)
    assert "validation_loss" not in model.history
    assert len(model.train_indices) == 300
    model = sccl.SimCLR(adata)
    model.train(1, validation_size=0.2, **QUIET)
    assert len(model.validation_indices) == 60
    assert len(model.train_indices) == 240
    with pytest.raises(ValueError, match="leaves none"):
        model.train(1, train_size=1.0, early_stopping=True, **QUIET)


def test_early_stopping_and_checkpoints_watch_the_validation_loss(adata, tmp_path, monkeypatch):
    monkeypatch.setattr(scvi.settings, "logging_dir", str(tmp_path))
    model = sccl.SimCLR(adata)
    model.train(
        50, lr=1e-9, early_stopping=True, early_stopping_patience=3, early_stopping_min_delta=0.5,
        enable_checkpointing=True, **QUIET,
    )  # fmt: skip
    assert len(model.history["validation_loss"]) == 4
    (checkpoint,) = {path.parent for path in tmp_path.rglob("model.safetensors")}
    assert sccl.SimCLR.load(checkpoint, adata).is_trained


def test_training_lasts_a_number_of_steps_whatever_the_number_of_cells(adata):
    for batch_size, n_epochs in ((300, 12), (60, 3), (10, 1)):
        model = sccl.SimCLR(adata)
        model.train(max_steps=12, batch_size=batch_size, **QUIET)
        assert model.training_[0]["n_steps"] == 12
        assert len(model.history["train_loss"]) == n_epochs


def test_a_last_epoch_that_is_a_part_of_one_is_logged_and_validated(adata):
    model = sccl.SimCLR(adata)
    model.train(max_steps=13, batch_size=60, validation_size=0.2, **QUIET)
    assert model.training_[0]["n_steps"] == 13
    assert len(model.history["train_loss"]) == len(model.history["validation_loss"]) == 4  # of 4, 4, 4 and 1 step


def test_training_ends_with_epochs_or_steps_whichever_comes_first(adata):
    def n_epochs(model, *args, **kwargs):
        model.train(*args, augmentation="mask", sampling="uniform", **kwargs, **QUIET)
        return len(model.history["train_loss"])

    assert n_epochs(sccl.CLModel(adata), 2, max_steps=100) == 2
    assert n_epochs(sccl.CLModel(adata), 9, max_steps=3, batch_size=300) == 3
    assert n_epochs(sccl.CLModel(adata), batch_size=300) == 50  # few cells are not learned by heart
    assert n_epochs(sccl.SimCLR(adata), batch_size=30) == 100  # published: 1000 steps of 10 an epoch
    assert n_epochs(sccl.CLModel(adata), 60, batch_size=300) == 60


def test_augmentations_may_be_named_built_mapped_or_written_as_functions(adata):
    for augmentation in ("clear", Mask(0.3), Compose([Mask(0.2), torch.relu]), {"mask": {"p": 1.0}}, torch.relu):
        sccl.SimCLR(adata).train(1, augmentation=augmentation, sampling="uniform", **QUIET)


def test_an_untrained_or_failed_model_embeds_nothing(adata):
    model = sccl.SimCLR(adata)
    with pytest.raises(RuntimeError, match="train"):
        model.get_latent_representation()
    with pytest.raises(FloatingPointError, match="lr"):
        model.train(3, lr=1e30, **QUIET)
    with pytest.raises(RuntimeError, match="train"):
        model.get_latent_representation()


def test_unknown_hyperparameters_are_refused_with_the_nearest(adata):
    with pytest.raises(TypeError, match="did you mean 'temperature'"):
        sccl.SimCLR(adata, temperatur=0.1)
    with pytest.raises(ValueError, match="temperature"):
        sccl.SimCLR(adata, temperature=-1.0)
    with pytest.raises(ValueError, match="n_latent"):
        sccl.SimCLR(adata, n_latent=0)


def test_repr_says_what_it_is(trained):
    text = repr(trained)
    for part in ("SimCLR", "n_latent=16", "trained", "200 cells × 80 genes", "2 batches"):
        assert part in text


@pytest.mark.parametrize("n_cores", [1, 16])
def test_training_warns_of_nothing_on_any_number_of_cores(adata, n_cores, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(n_cores)))
    sccl.SimCLR.setup_anndata(adata, batch_key="batch")
    sccl.SimCLR(adata).train(2, train_size=0.8, check_val_every_n_epoch=1, **QUIET)


def test_importing_the_package_is_cheap():
    import subprocess
    import sys

    code = "import sys, sccl; print(any(name in sys.modules for name in ('torch', 'scvi', 'scanpy', 'lightly')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"

"""The readout: a last linear layer that pairs of cells of one kind determine."""

import numpy as np
import pytest
import scvi
import torch

import sccl
from sccl import graph
from sccl.augment import Compose, CrossBatchPositive, Mask
from sccl.module import Readout
from sccl.module.readout import reliable_axes

QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}


def paired_cells(n_pairs=2000, seed=0):
    """Cells of two batches, paired: axis 0 is what pairs share, 1 a batch effect, 2 and 3 are each cell's own."""
    rng = np.random.default_rng(seed)
    kind = rng.normal(size=(n_pairs, 1))
    first, second = (
        np.hstack([3 * kind + 0.5 * rng.normal(size=(n_pairs, 1)), shift + rng.normal(size=(n_pairs, 1)), noise])
        for shift, noise in ((1.5, rng.normal(size=(n_pairs, 2))), (-1.5, rng.normal(size=(n_pairs, 2))))
    )
    pairs = np.column_stack([np.arange(n_pairs), np.arange(n_pairs, 2 * n_pairs)])
    return np.vstack([first, second]).astype(np.float32), pairs


def axes_by_hand(h, pairs):
    """What the docstring of `reliable_axes` says, pair by pair: the metric, axes times their transpose."""
    within = np.mean([np.outer(h[i] - h[j], h[i] - h[j]) / 2 for i, j in pairs], axis=0, dtype=float)
    within = within / 3 + np.eye(len(within)) * np.diag(within).mean() * 2 / 3
    ratio, vectors = np.linalg.eig(np.linalg.inv(within) @ np.cov(h.astype(float).T))
    metric = np.zeros_like(within)
    for value, vector in zip(ratio.real, vectors.real.T, strict=True):
        metric += max(0.0, 1 - 1 / value) ** 2 * np.outer(vector, vector) / (vector @ within @ vector)
    return metric


@pytest.mark.parametrize("n_pairs", [40, 300])
def test_the_axes_are_those_that_their_definition_gives(n_pairs):
    h, pairs = paired_cells(n_pairs)
    pairs[::2] = pairs[::2, ::-1]  # in any order
    axes = reliable_axes(h, pairs)
    np.testing.assert_allclose(axes @ axes.T, axes_by_hand(h, pairs), rtol=1e-6, atol=1e-9)


def test_what_pairs_share_stays_and_a_batch_effect_and_noise_go():
    h, pairs = paired_cells()
    readout = Readout(4)
    readout.fit(h, pairs)
    scale = readout.weight_dd.norm(dim=1)  # of each axis of the input in the embedding
    assert scale[0] > 10 * scale[1:].max()
    z = readout(torch.from_numpy(h)).numpy()
    assert abs(z.mean(axis=0)).max() < 1e-4
    assert abs(np.corrcoef(z[:, 0], h[:, 0])[0, 1]) > 0.99  # the most reliable axis comes first


def test_where_pairs_say_nothing_it_is_the_identity():
    h, pairs = paired_cells(50)
    x = torch.from_numpy(h)
    readout = Readout(4)
    assert torch.equal(readout(x), x)
    for useless in (pairs[:0], pairs[:3], np.column_stack([pairs[:, 0]] * 2)):
        readout.fit(h, useless)
        assert torch.equal(readout(x), x)
    opposite = np.column_stack([np.arange(len(h)), np.arange(len(h)) + len(h)])
    readout.fit(np.vstack([h, -h]), opposite)  # they differ more than any cells
    assert torch.equal(readout(x), x)
    readout.fit(h, pairs)
    assert not torch.allclose(readout(x), x)
    readout.reset()
    assert torch.equal(readout(x), x)


def test_the_pairs_are_the_mutual_nearest_neighbours_of_shared_populations():
    rng = np.random.default_rng(0)
    x, batch = rng.normal(size=(600, 5)).astype(np.float32), np.repeat(["a", "b", "c"], 200)
    x[:, 0] += 3 * (np.arange(600) % 3 == 0) * (batch != "c")  # a population that one batch lacks
    views = Compose([CrossBatchPositive(k_anchor=3, min_shared=0.95), Mask(0.4)])
    assert views.pairs.shape == (0, 2)
    mutual = graph.mutual_nearest_neighbors(x, batch, k=3, max_share=0.05)
    shared = graph.shared_populations(x, batch)
    i, j = mutual.T
    matched = np.minimum(shared.matched(i, shared.codes[j]), shared.matched(j, shared.codes[i]))
    expected = mutual[matched >= 0.95]
    assert 0 < len(expected) < len(mutual)
    assert np.array_equal(views.bind(graph.CellSpace(x, batch)).pairs, expected)


@pytest.fixture(scope="module")
def adata():
    """500 simulated cells of two batches, registered."""
    adata = sccl.datasets.simulate(n_cells=500, n_genes=200, n_batches=2, n_types=4, mean_count=1.0, seed=0)
    sccl.pp.preprocess(adata, batch_key="batch")
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return adata


def train(adata, cls=sccl.CLModel, **kwargs):
    scvi.settings.seed = 0
    model = cls(adata, n_latent=16)
    model.train(10, **QUIET, **kwargs)
    return model


def is_identity(model):
    readout = model.module.readout
    return torch.equal(readout.weight_dd, torch.eye(16)) and not readout.mean_d.any()


def test_the_recipe_is_read_out_and_what_has_no_pairs_is_not(adata, tmp_path):
    model, plain = train(adata), train(adata, sccl.SimCLR)
    assert not is_identity(model)
    assert is_identity(plain)
    assert np.array_equal(plain.get_latent_representation(readout=False), plain.get_latent_representation())
    h, z = model.get_latent_representation(readout=False), model.get_latent_representation()
    weight, mean = (part.numpy() for part in (model.module.readout.weight_dd, model.module.readout.mean_d))
    np.testing.assert_allclose(z, (h - mean) @ weight, rtol=1e-4, atol=1e-4)
    with torch.no_grad():  # what the loss compares knows nothing of it
        projected = model.module.architecture.project(torch.from_numpy(h)).numpy()
    np.testing.assert_allclose(model.get_latent_representation(projection=True), projected, rtol=1e-4, atol=1e-4)
    model.save(tmp_path / "model")
    assert np.array_equal(sccl.CLModel.load(tmp_path / "model", adata).get_latent_representation(), z)
    model.train(1, augmentation="mask", **QUIET)
    assert is_identity(model)  # that of the training before is no longer right


def test_only_cells_that_are_trained_on_determine_it(adata):
    model = train(adata, train_size=0.5)
    assert not is_identity(model)
    mean_of_all = model.get_latent_representation(readout=False).mean(axis=0)
    assert not np.allclose(model.module.readout.mean_d.numpy(), mean_of_all, atol=1e-4)


def test_a_copy_that_adapts_to_a_query_keeps_the_readout_of_its_reference(adata):
    reference = train(adata)
    adapted = sccl.CLModel.load_query_data(adata[::2].copy(), reference)
    adapted.train(2, **QUIET)
    assert torch.equal(adapted.module.readout.weight_dd, reference.module.readout.weight_dd)
    assert torch.equal(adapted.module.readout.mean_d, reference.module.readout.mean_d)

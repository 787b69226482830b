"""Views of which zeros are left out: the same cells, the same loss, the same gradient."""

from dataclasses import dataclass
from functools import partial

import anndata as ad
import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix, random_array

import sccl
from sccl.augment import (
    BBKNN,
    MNN,
    Augmentation,
    Compose,
    CrossBatchPositive,
    CrossOver,
    GaussianNoise,
    InnerSwap,
    Mask,
    MultiplicativeNoise,
    Operation,
    preset,
    row_function,
)
from sccl.augment.sparse import SparseRows, rows_of
from sccl.module import BYOL, ContrastiveModule, Encoder, SimCLR, nt_xent

N_CELLS, N_GENES = 90, 70
SPARSE = {
    "nothing": [],
    "mask": [Mask(0.4)],
    "multiplicative noise": [MultiplicativeNoise(0.7, p=0.6)],
    "swap": [InnerSwap(0.3)],
    "cross over": [CrossOver(0.25)],
    "neighbour in its place": [CrossBatchPositive(p=0.9, min_shared=0.0)],
    "exchange with neighbours": [BBKNN(0.5, k=5, mode="exchange", n_mixed=2)],
    "geometric mean": [MNN(0.5, k=3, mode="geometric")],
    "the recipe": [preset("cross_batch")],
    "several": [CrossBatchPositive(), CrossOver(0.3), Mask(0.2), InnerSwap(0.2), Mask(0.2)],
}


@pytest.fixture(scope="module")
def csr():
    x = random_array((N_CELLS, N_GENES), density=0.2, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    x = csr_matrix(x).tolil()
    x[3] = 0  # a cell without any expression
    return csr_matrix(x)


@pytest.fixture(scope="module")
def space(csr):
    return sccl.graph.CellSpace(csr.toarray(), np.resize(["a", "b"], N_CELLS))


def views_of(pipeline, csr, space):
    pipeline = pipeline.bind(space) if pipeline.needs_neighbors else pipeline
    cells, everything = np.arange(0, N_CELLS, 2), np.arange(N_CELLS)
    steps = [pipeline.draw(cells, pool=everything, seed=1, epoch=0, view=view) for view in range(2)]
    dense = torch.stack([pipeline.fill(torch.empty(cells.size, N_GENES), csr, cells, drawn) for drawn in steps])
    return dense, pipeline.fill_sparse(csr, cells, steps)


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("architecture", [SimCLR, BYOL])
def test_loss_and_gradients_are_those_of_dense_views(name, architecture, csr, space):
    pipeline = Compose(SPARSE[name])
    assert pipeline.is_sparse
    dense, sparse = views_of(pipeline, csr, space)
    assert np.array_equal(sparse.to_dense(), dense.flatten(0, 1).numpy())
    assert (sparse.stops - sparse.starts <= N_GENES).all()
    torch.manual_seed(0)
    module = ContrastiveModule(Encoder(N_GENES, n_hidden=24), architecture(64))
    assert module.takes_sparse_rows
    losses, gradients = [], []
    for views in (dense, sparse):
        module.zero_grad()
        loss = module(views).projections.loss
        loss.backward()
        losses.append(loss.item())
        gradients.append({key: one.grad.clone() for key, one in module.named_parameters() if one.requires_grad})
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    scale = max(one.abs().max().item() for one in gradients[0].values())
    for key, gradient in gradients[0].items():
        assert torch.allclose(gradients[1][key], gradient, rtol=1e-5, atol=1e-5 * scale), key


@pytest.mark.parametrize(
    "augmentation",
    [GaussianNoise(), BBKNN(mode="interpolate"), MNN(), torch.relu, preset("clear"), Compose([Mask(), torch.relu])],
    ids=repr,
)
def test_views_with_more_values_than_the_cells_have_stay_dense(augmentation):
    assert not Compose([augmentation]).is_sparse


@row_function
def fill_row(x, row):
    """Write into every gene."""
    x[:] = np.float32(1.0)
    return False


@dataclass(frozen=True)
class Filled(Augmentation):
    """Declares what it does not keep."""

    p: float = 1.0

    def apply(self, x_ng, partners_png, generator):
        return torch.ones_like(x_ng)

    def operation(self):
        return Operation(fill_row, (), is_sparse=True)


def test_an_augmentation_that_declares_itself_sparse_and_is_not_is_named(csr, space):
    with pytest.raises(ValueError, match=r"'fill_row'.* declares `is_sparse`"):
        views_of(Compose([Filled()]), csr, space)


def test_training_and_embedding_take_the_sparse_path_only_where_it_is_one(csr, monkeypatch):
    adata = ad.AnnData(csr, obs={"batch": np.resize(["a", "b"], N_CELLS)})
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    taken = []
    for cls in (ContrastiveModule,):
        forward = cls.forward
        monkeypatch.setattr(cls, "forward", lambda self, x, forward=forward: taken.append(type(x)) or forward(self, x))
    for model, kwargs, expected in (
        (sccl.CLModel, {"validation_size": 0.2}, SparseRows),
        (sccl.CLModel, {"augmentation": "clear"}, torch.Tensor),
        (sccl.Concerto, {"augmentation": "mask"}, torch.Tensor),  # its teacher attends to genes
    ):
        taken.clear()
        trained = model(adata, n_latent=8)
        train = partial(trained.train, 1, sampling="uniform", accelerator="cpu", enable_progress_bar=False)
        train(**kwargs)
        assert set(taken) == {expected}
    embedded = trained.get_latent_representation(readout=False)
    with torch.no_grad():
        dense = trained.module.encoder(torch.from_numpy(csr.toarray()))
    assert np.allclose(embedded, dense.numpy(), rtol=1e-5, atol=1e-5)


def test_rows_of_a_matrix_share_its_memory(csr):
    rows = rows_of(csr, np.array([5, 0, 5]))
    assert np.shares_memory(rows.values, csr.data)
    assert np.array_equal(rows.to_dense(), csr[[5, 0, 5]].toarray())


@pytest.mark.parametrize("temperature", [0.5, 0.026, 0.01])
def test_the_gradient_of_nt_xent_is_what_autograd_makes_of_its_formula(temperature):
    z = torch.randn(2, 30, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    results = []
    for loss in (nt_xent, formula):
        z1, z2 = (one.clone().requires_grad_() for one in z)
        value = 3 * loss(z1, z2, temperature)
        results.append([value, *torch.autograd.grad(value, [z1, z2])])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def formula(z1, z2, temperature):
    z = torch.nn.functional.normalize(torch.cat([z1, z2]), dim=1)
    s = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    return (s.logsumexp(1) - s[torch.arange(len(z)), torch.arange(len(z)).roll(len(z1))]).mean()

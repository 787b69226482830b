"""What is watched while training, and how the learning rate moves."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix

from sccl.module import ContrastiveModule, Encoder, SimCLR
from sccl.train import ContinuedRunner, ContrastiveTrainingPlan, alignment, effective_rank, uniformity
from sccl.train.judgement import judge_embedding, judge_genes
from sccl.train.plan import learning_rate_factor


def test_alignment_is_the_mean_squared_distance_on_the_sphere():
    a, b = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, -3.0]])
    assert alignment(a, b) == pytest.approx((0 + 4) / 2)


def test_uniformity_is_the_log_of_the_mean_gaussian_potential():
    z = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)).double()
    unit = (z / z.norm(dim=1, keepdim=True)).numpy()
    potentials = [np.exp(-2 * ((unit[i] - unit[j]) ** 2).sum()) for i in range(20) for j in range(i)]
    assert uniformity(z).item() == pytest.approx(np.log(np.mean(potentials)))
    assert uniformity(torch.ones(4, 3)) == pytest.approx(0.0, abs=1e-5)


def test_effective_rank_counts_the_dimensions_in_use():
    rng = np.random.default_rng(0)
    for rank in (1, 3, 8):
        orthogonal = np.linalg.qr(rng.normal(size=(200, 9)) - 0.0)[0]
        h = orthogonal[:, :rank] - orthogonal[:, :rank].mean(0)
        h = np.linalg.qr(h)[0] @ np.linalg.qr(rng.normal(size=(16, rank)))[0].T
        assert effective_rank(torch.tensor(h)).item() == pytest.approx(rank, abs=1e-3)
    singular = np.linalg.svd((h := rng.normal(size=(50, 6))) - h.mean(0), compute_uv=False)
    share = singular / singular.sum()
    assert effective_rank(torch.tensor(h)).item() == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert effective_rank(torch.ones(5, 4)) == pytest.approx(1.0)


def test_cosine_warms_up_peaks_and_ends_at_zero():
    factors = np.array([learning_rate_factor(i, n_steps=100, warmup=0.1, schedule="cosine") for i in range(101)])
    assert factors[0] > 0
    assert np.all(np.diff(factors[:10]) > 0)
    assert factors.argmax() == 10
    assert factors[10] == 1
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0)


def test_constant_stays():
    assert {learning_rate_factor(i, n_steps=50, warmup=0.0, schedule="constant") for i in range(51)} == {1.0}


def plan_of(**kwargs):
    return ContrastiveTrainingPlan(ContrastiveModule(Encoder(10), SimCLR(64)), n_steps=10, **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"lr": 0.0}, "lr"),
        ({"lr": float("nan")}, "lr"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"schedule": "linear"}, "schedule"),
        ({"warmup": 1.0}, "warmup"),
    ],
)
def test_arguments_out_of_range_are_refused(kwargs, named):
    with pytest.raises(ValueError, match=named):
        plan_of(**kwargs)


def embedding_of(rank, size=1.0, n_cells=64):
    """Cells in so many dimensions of 64."""
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(n_cells, rank, generator=generator) @ torch.randn(rank, 64, generator=generator)
    return (size * h / h.square().mean().sqrt()).numpy()


def test_a_good_embedding_is_not_remarked_upon(recwarn):
    for h in (embedding_of(64), embedding_of(5), embedding_of(64, size=5.0), embedding_of(1, n_cells=3)):
        judge_embedding(h, lr=1e-3)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("h", "message"),
    [
        (embedding_of(1), "has collapsed: its effective rank is 1.0. of 64.*augmentations.*`lr`"),
        (np.ones((64, 64), np.float32), "has collapsed: its effective rank is 1.00 of 64"),
        (embedding_of(64, size=100.0), "has diverged: .* of size 100, .*lower `lr`, found 0.5"),
        (embedding_of(64) + 1000, "has diverged: .* of size 1e[+]03"),  # all cells far from the centre
    ],
)
def test_a_collapse_and_a_divergence_warn(h, message):
    with pytest.warns(UserWarning, match=message):
        judge_embedding(h, lr=0.5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_embedding_that_is_not_finite_is_an_error(wrong):
    h = embedding_of(64)
    h[3, 5] = wrong
    with pytest.raises(FloatingPointError, match=r"lower `lr`, found 0\.5"):
        judge_embedding(h, lr=0.5)


def test_batches_without_a_common_gene_are_named(recwarn):
    batch = np.repeat([0, 1, 2], 20)
    x = np.zeros((60, 30), np.float32)
    x[:40, :10] = x[40:, 20:] = 1
    x[0, 20] = 1
    judge_genes(csr_matrix(x), batch, ["a", "b", "c"])
    assert not recwarn.list
    x[0, 20] = 0
    judge_genes(csr_matrix(x[:45]), batch[:45], ["a", "b", "c"])  # five cells say little
    assert not recwarn.list
    with pytest.warns(UserWarning, match="No gene that batch 'c' expresses .* named in two ways"):
        judge_genes(csr_matrix(x), batch, ["a", "b", "c"])


def test_a_second_training_continues_each_metric_where_it_is():
    first = {"train_loss": pd.DataFrame({"train_loss": [3.0, 2.0]}), "old": pd.DataFrame({"old": [1.0, 1.0]})}
    logged = {
        "train_loss": pd.DataFrame({"train_loss": [1.5, 1.0, 0.5]}),
        "validation_loss": pd.DataFrame({"validation_loss": [1.2]}, index=[1]),
    }
    runner = ContinuedRunner.__new__(ContinuedRunner)
    runner._before = first
    runner.trainer, runner.model = (
        SimpleNamespace(logger=SimpleNamespace(history=logged), is_global_zero=True),
        SimpleNamespace(),
    )
    runner._update_history()
    history = runner.model.history_
    assert history["train_loss"]["train_loss"].to_dict() == {0: 3.0, 1: 2.0, 2: 1.5, 3: 1.0, 4: 0.5}
    assert history["validation_loss"]["validation_loss"].to_dict() == {3: 1.2}
    assert len(history["old"]) == 2

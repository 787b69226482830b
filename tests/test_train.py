"""What is watched while training, and how the learning rate moves."""

import numpy as np
import pytest
import torch

from sccl.module import ContrastiveModule, Encoder, SimCLR
from sccl.train import ContrastiveTrainingPlan, alignment, effective_rank, uniformity
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


def end_epoch(h_nd):
    """What the plan says at the end of an epoch whose last representations are these."""
    plan = plan_of()
    plan.log = plan.log_dict = lambda *args, **kwargs: None  # there is no trainer
    output = plan.module(torch.rand(2, len(h_nd), 10))
    plan._last = output._replace(h_vnd=torch.stack([h_nd, h_nd]))
    plan._losses = [output.projections.loss.detach()]
    plan.on_train_epoch_end()


def test_a_collapse_warns(recwarn):
    h = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    end_epoch(h)
    end_epoch(h[:3])  # three cells span two dimensions: no reason to worry
    assert not recwarn.list
    with pytest.warns(UserWarning, match="collapsing: after epoch 0 its effective rank is 1"):
        end_epoch(h[:, :1] * torch.ones(1, 64))

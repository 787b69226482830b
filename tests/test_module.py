"""The shared encoder and SimCLR's loss."""

import numpy as np
import pytest
import torch
from lightly.loss import NTXentLoss
from torch import nn

from sccl.module import ContrastiveModule, Encoder, SimCLR, nt_xent


def nt_xent_by_hand(z1, z2, temperature):
    """Equation 1 of Chen et al. 2020, term by term."""
    z = np.concatenate([z1, z2])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    n = len(z1)
    losses = []
    for i in range(2 * n):
        similarity = z @ z[i] / temperature
        positive = similarity[(i + n) % (2 * n)]
        losses.append(np.log(np.exp(np.delete(similarity, i)).sum()) - positive)
    return np.mean(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 5.0])
@pytest.mark.parametrize("n_cells", [2, 3, 64])
def test_nt_xent_is_the_papers_and_lightlys_in_value_and_gradient(n_cells, temperature):
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (
        [torch.randn(n_cells, 16, generator=generator.manual_seed(i), requires_grad=True) for i in range(2)]
        for _ in range(2)
    )
    loss = nt_xent(*ours, temperature)
    expected = NTXentLoss(temperature=temperature)(*theirs)
    loss.backward()
    expected.backward()
    assert abs(loss.item() - expected.item()) < 1e-5
    assert abs(loss.item() - nt_xent_by_hand(*(z.detach().double().numpy() for z in ours), temperature)) < 1e-5
    for a, b in zip(ours, theirs, strict=True):
        assert (a.grad - b.grad).abs().max() < 1e-5


def test_the_encoder_is_the_references():
    kinds = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d, nn.Dropout]
    layers = Encoder(30, n_hidden=128, n_latent=64)
    assert all(isinstance(layer, kind) for layer, kind in zip(layers, kinds, strict=True))
    assert Encoder(30)(torch.rand(5, 30)).shape == (5, 64)


def test_a_module_represents_and_projects():
    torch.manual_seed(0)
    module = ContrastiveModule(Encoder(30, n_latent=8), SimCLR(8, n_projection=5))
    output = module(torch.rand(2, 6, 30))
    assert output.h_vnd.shape == (2, 6, 8)
    assert output.projections.z1_nd.shape == (6, 5)
    assert output.projections.loss.requires_grad
    module.eval()
    x = torch.rand(4, 30)
    assert torch.equal(module.represent(x), module.encoder(x))
    assert torch.equal(module.represent(x, projection=True), module.architecture.project(module.encoder(x)))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Encoder(3, n_hidden=0), "n_hidden"),
        (lambda: Encoder(3, n_latent=-1), "n_latent"),
        (lambda: Encoder(3, dropout_rate=1.0), "dropout_rate"),
        (lambda: SimCLR(8, temperature=0.0), "temperature"),
    ],
)
def test_sizes_out_of_range_are_refused(make, named):
    with pytest.raises(ValueError, match=named):
        make()

"""Each architecture computes its paper's loss, keeps its targets and queues in order, and learns cell types."""

import inspect
import math

import anndata
import numpy as np
import pytest
import torch
from lightly.loss import NTXentLoss
from lightning.pytorch.callbacks import Callback
from purity import purity
from torch.nn.functional import normalize

import sccl
from sccl.module import (
    NNCLR,
    AttentionEncoder,
    Concerto,
    ContrastiveModule,
    Encoder,
    MoCo,
    MomentumArchitecture,
    Queue,
    architectures,
)
from sccl.module.architectures.moco import info_nce
from sccl.train import ContrastiveTrainingPlan, effective_rank

QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}
NAMES = architectures.__all__
ARCHITECTURES = [getattr(architectures, name) for name in NAMES]
WITH_MOMENTUM = [cls for cls in ARCHITECTURES if issubclass(cls, MomentumArchitecture)]
N_CELLS, N_LATENT = 12, 8

all_architectures = pytest.mark.parametrize("cls", ARCHITECTURES, ids=NAMES)
with_momentum = pytest.mark.parametrize("cls", WITH_MOMENTUM, ids=[cls.__name__ for cls in WITH_MOMENTUM])


@pytest.fixture(scope="module")
def adata():
    adata = sccl.datasets.simulate(n_cells=100, n_genes=50, n_batches=2, n_types=3, seed=0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return adata


def representations(n=4, n_cells=N_CELLS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(n_cells, N_LATENT, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(n)
    ]


def arguments(architecture, h):
    """The views that an architecture takes: two, or four if it has a target."""
    return h[: len(inspect.signature(architecture.forward).parameters)]


def both(head, a, b):
    z = head(torch.cat([a, b]))
    return z[: len(a)], z[len(a) :]


def unit(z):
    return z / z.norm(dim=1, keepdim=True)


# The losses, written out from the papers' formulas, cell by cell: each is named as its architecture.


def simclr(a, h1, h2, nt_xent_of=None):
    z1, z2 = nt_xent_of or both(a.projector, h1, h2)
    z, n = unit(torch.cat([z1, z2])), len(z1)
    losses = []
    for i in range(2 * n):
        s = (z @ z[i] / a.temperature).exp()
        losses.append(-torch.log(s[(i + n) % (2 * n)] / (s.sum() - s[i])))
    return torch.stack(losses).mean()


def dcl(a, h1, h2):
    z1, z2 = (unit(z) for z in both(a.projector, h1, h2))
    losses = []
    for z, other in ((z1, z2), (z2, z1)):
        for i in range(len(z)):
            rest = [j for j in range(len(z)) if j != i]
            negatives = (z[rest] @ z[i] / 0.5).exp().sum() + (other[rest] @ z[i] / 0.5).exp().sum()
            losses.append(-(z[i] @ other[i]) / 0.5 + torch.log(negatives))
    return torch.stack(losses).mean()


def moco(a, h1, h2, t1, t2):
    q, k = unit(a.projector(h1)), unit(a.target_projector(t2)).detach()
    positive = ((q * k).sum(1) / a.temperature).exp()
    negative = (q @ a.queue.bank[: int(a.queue.n_filled)].T / a.temperature).exp().sum(1)
    return -torch.log(positive / (positive + negative)).mean()


def nnclr(a, h1, h2):
    z1, z2 = both(a.projector, h1, h2)
    p1, p2 = both(a.predictor, z1, z2)
    nn1, nn2 = ([a.queue.bank[(unit(a.queue.bank) @ zi).argmax()] for zi in unit(z).detach()] for z in (z1, z2))
    return (simclr(a, None, None, (torch.stack(nn1), p2)) + simclr(a, None, None, (torch.stack(nn2), p1))) / 2


def byol(a, h1, h2, t1, t2):
    p1, p2 = both(a.predictor, *both(a.projector, h1, h2))
    z1, z2 = both(a.target_projector, t1, t2)
    return -((unit(p1) * unit(z2).detach()).sum(1) + (unit(p2) * unit(z1).detach()).sum(1)).mean() / 2


def simsiam(a, h1, h2):
    z1, z2 = both(a.projector, h1, h2)
    p1, p2 = both(a.predictor, z1, z2)
    return -((unit(p1) * unit(z2).detach()).sum(1) + (unit(p2) * unit(z1).detach()).sum(1)).mean() / 2


def barlowtwins(a, h1, h2):
    z1, z2 = ((z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt() for z in both(a.projector, h1, h2))
    c = z1.T @ z2 / len(z1)
    on = torch.diagonal(c)
    return ((1 - on) ** 2).sum() + 0.005 * ((c**2).sum() - (on**2).sum())


def vicreg(a, h1, h2):
    """Equations 1 to 6 of the paper, with the weights by which its authors' code departs from them."""
    z1, z2 = both(a.projector, h1, h2)
    n, d = z1.shape
    variance = sum(torch.clamp(1 - (z.var(0) + 1e-4).sqrt(), min=0).sum() / d for z in (z1, z2))
    covariance = 0
    for z in (z1, z2):
        c = (z - z.mean(0)).T @ (z - z.mean(0)) / (n - 1)
        covariance = covariance + ((c**2).sum() - (torch.diagonal(c) ** 2).sum()) / d
    invariance = ((z1 - z2) ** 2).sum(1).mean()
    return 5 / d * invariance + 5 / 2 * variance + covariance


def tico(a, h1, h2, t1, t2):
    z1, z2 = unit(a.projector(h1)), unit(a.target_projector(t2)).detach()
    c = 0.9 * a.criterion.C + 0.1 * (z1.T @ z1 / len(z1)).detach()
    return ((z1 - z2) ** 2).sum(1).mean() / 2 + 8 * torch.stack([z @ c @ z for z in z1]).mean()


def concerto(a, h1, h2, t1, t2):
    s1, s2 = both(a.projector, h1, h2)
    u1, u2 = both(a.teacher_projector, t1, t2)
    return (simclr(a, None, None, (s1, u2)) + simclr(a, None, None, (s2, u1))) / 2


@all_architectures
def test_the_loss_is_the_papers_in_value_and_gradient(cls):
    torch.manual_seed(0)
    formula = globals()[cls.__name__.lower()]
    settings = {
        MoCo: {"memory_bank_size": 30},
        NNCLR: {"memory_bank_size": 20},
        Concerto: {"projection_dropout": 0.0},
    }.get(cls, {})
    architecture = cls(N_LATENT, **settings).double()
    for seed in (1, 2):  # fills queues, MoCo's in part, and moves averages
        architecture(*arguments(architecture, representations(seed=seed)))
    h = arguments(architecture, representations())
    learning = [parameter for parameter in architecture.parameters() if parameter.requires_grad]
    expected = formula(architecture, *h)
    expected_gradients = torch.autograd.grad(expected, [*h, *learning], allow_unused=True)
    loss = architecture(*h).loss
    gradients = torch.autograd.grad(loss, [*h, *learning], allow_unused=True)
    assert abs(loss.item() - expected.item()) < 1e-5
    for gradient, of_formula in zip(gradients, expected_gradients, strict=True):
        assert (gradient is None) == (of_formula is None)
        assert gradient is None or (gradient - of_formula).abs().max() < 1e-5


def test_moco_is_lightlys_loss_once_the_queue_is_full():
    queries, keys, negatives = (torch.randn(n, N_LATENT) for n in (N_CELLS, N_CELLS, 30))
    theirs = NTXentLoss(temperature=0.2, memory_bank_size=(30, N_LATENT))
    theirs.memory_bank.bank.copy_(normalize(negatives, dim=1))
    ours = info_nce(queries, normalize(keys, dim=1), normalize(negatives, dim=1), 0.2)
    assert abs(ours - theirs(queries, keys)) < 1e-5


def test_symmetric_moco_is_the_mean_over_both_directions():
    torch.manual_seed(0)
    a = MoCo(N_LATENT, symmetric=True).double()
    a(*representations(seed=1))
    h1, h2, t1, t2 = representations()
    expected = (moco(a, h1, h2, t1, t2) + moco(a, h2, h1, t2, t1)) / 2
    assert abs(a(h1, h2, t1, t2).loss - expected) < 1e-5
    assert int(a.queue.n_filled) == 4 * N_CELLS


@with_momentum
def test_targets_get_no_gradient_and_no_optimiser(cls):
    module = ContrastiveModule(Encoder(20, n_latent=N_LATENT), cls(N_LATENT))
    module(torch.rand(2, 5, 20)).projections.loss.backward()
    frozen = [*module.target.parameters(), *module.architecture.target_projector.parameters()]
    assert not any(parameter.requires_grad for parameter in frozen)
    assert all(parameter.grad is None for parameter in frozen)
    optimizer = ContrastiveTrainingPlan(module, n_steps=1).configure_optimizers()["optimizer"]
    optimised = {id(parameter) for parameter in optimizer.param_groups[0]["params"]}
    assert optimised == {id(p) for p in module.parameters()} - {id(p) for p in frozen}


@with_momentum
def test_targets_start_as_the_encoder_and_are_its_moving_average(cls):
    module = ContrastiveModule(Encoder(20, n_latent=N_LATENT), cls(N_LATENT, momentum=0.9))
    for online, target in zip(module.encoder.parameters(), module.target.parameters(), strict=True):
        assert torch.equal(online, target)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    pairs = (module.encoder, module.target), (module.architecture.projector, module.architecture.target_projector)
    expected = [0.9 * t + (1 - 0.9) * o for a, b in pairs for o, t in zip(a.parameters(), b.parameters(), strict=True)]
    module.update_target(step=0, n_steps=10)
    for target, e in zip([p for _, b in pairs for p in b.parameters()], expected, strict=True):
        torch.testing.assert_close(target, e)


class TargetWatch(Callback):
    """Check the moving average after every step of a training, with the cosine written out."""

    def __init__(self, momentum):
        self.momentum, self.steps = momentum, 0

    def on_train_batch_start(self, trainer, pl_module, *_):
        self.before = [p.clone() for p in pl_module.module.target.parameters()]

    def on_train_batch_end(self, trainer, pl_module, *_):
        n_steps = pl_module.n_steps
        cosine = (math.cos(math.pi * self.steps / (n_steps - 1)) + 1) / 2
        self.last = 1 - (1 - self.momentum) * cosine
        module = pl_module.module
        for before, online, target in zip(
            self.before, module.encoder.parameters(), module.target.parameters(), strict=True
        ):
            torch.testing.assert_close(target, self.last * before + (1 - self.last) * online)
        self.steps += 1
        assert trainer.global_step == self.steps


def test_momentum_rises_to_1_at_the_last_step_of_a_training(adata):
    model = sccl.BYOL(adata, momentum=0.5)
    watch = TargetWatch(0.5)
    model.train(3, batch_size=30, callbacks=[watch], **QUIET)
    assert watch.steps == 12
    assert watch.last == 1
    online, target = model.module.encoder[0].weight, model.module.target[0].weight
    assert not torch.equal(online, target)


@all_architectures
def test_validation_changes_nothing(cls):
    module = ContrastiveModule(Encoder(20, n_latent=N_LATENT), cls(N_LATENT))
    module(torch.rand(2, 6, 20))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module.eval()
    loss = module(torch.rand(2, 6, 20)).projections.loss
    assert loss.isfinite()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_queue_is_first_in_first_out_and_knows_how_full_it_is():
    queue = Queue(5, 2)
    assert queue.filled_kd.shape == (0, 2)
    batches = [torch.full((2, 2), float(i)) for i in range(1, 6)]
    contents = []
    for batch in batches:
        queue.push(batch)
        contents.append(queue.filled_kd[:, 0].tolist())
    # The third batch fits by half.
    assert contents == [[1, 1], [1, 1, 2, 2], [1, 1, 2, 2, 3], [4, 4, 2, 2, 3], [4, 4, 5, 5, 3]]
    assert queue.is_full
    small = Queue(3, 2)
    small.push(torch.arange(10.0).reshape(5, 2))
    assert torch.equal(small.filled_kd, torch.arange(6.0).reshape(3, 2))


def test_mocos_queue_holds_keys_alone():
    a = MoCo(N_LATENT, memory_bank_size=20).double()
    h = representations()
    a(*h)
    assert torch.allclose(a.queue.filled_kd, normalize(a.target_projector(h[3]), dim=1))
    assert not a.queue.filled_kd.requires_grad


def test_nnclr_takes_the_cell_itself_until_the_queue_is_full():
    queue = Queue(4, 2)
    z = torch.tensor([[1.0, 0.1], [0.1, 1.0]], requires_grad=True)
    queue.push(torch.tensor([[5.0, 0.0], [0.0, 7.0]]))
    assert torch.equal(queue.nearest(z), z)
    assert not queue.nearest(z).requires_grad
    queue.push(torch.tensor([[-1.0, 0.0], [0.0, -1.0]]))
    assert queue.nearest(z).tolist() == [[5.0, 0.0], [0.0, 7.0]]


@all_architectures
def test_a_saved_model_continues_from_the_same_state(cls, adata, tmp_path):
    model = getattr(sccl, cls.__name__)(adata)
    model.train(1, batch_size=40, **QUIET)
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model", adata)
    state, restored = model.module.state_dict(), loaded.module.state_dict()
    assert state.keys() == restored.keys()
    assert all(torch.equal(state[name], restored[name]) for name in state)
    if cls in (MoCo, NNCLR):
        assert int(restored["architecture.queue.n_filled"]) == 100
    embeddings = []
    for m in (model, loaded):
        torch.manual_seed(5)
        m.train(1, batch_size=40, **QUIET)
        embeddings.append(m.get_latent_representation())
    assert np.array_equal(*embeddings)


@all_architectures
def test_a_seed_repeats_bit_for_bit_and_another_differs(cls, adata):
    embeddings = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model = getattr(sccl, cls.__name__)(adata)
        model.train(2, batch_size=40, **QUIET)
        embeddings.append(model.get_latent_representation())
    assert np.array_equal(embeddings[0], embeddings[1])
    assert not np.array_equal(embeddings[0], embeddings[2])


@all_architectures
def test_a_single_validation_cell_has_a_finite_loss(cls):
    adata = sccl.datasets.simulate(n_cells=20, n_genes=30, n_types=2, seed=0)
    sccl.pp.preprocess(adata, n_top_genes=None)
    sccl.CLModel.setup_anndata(adata)
    model = getattr(sccl, cls.__name__)(adata)
    model.train(2, train_size=0.95, validation_size=0.05, **QUIET)
    assert np.isfinite(model.history["validation_loss"]).all(axis=None)


def test_concertos_teacher_and_student_both_learn_by_gradient():
    torch.manual_seed(0)
    module = ContrastiveModule(Encoder(30, n_latent=N_LATENT), Concerto(N_LATENT))
    module(torch.rand(2, 6, 30)).projections.loss.backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    # Every gene's embedding and the attention to it depend on expression.
    assert (module.target.embedding_gd.grad.abs().sum(1) > 0).all()
    assert (module.target.context.weight.grad.abs() > 0).all()


def test_attention_is_soft_over_expressed_genes_and_equals_the_sum_over_gene_vectors():
    torch.manual_seed(0)
    encoder = AttentionEncoder(9, 4, n_embedding=5).double().eval()
    x = torch.tensor([[0.0, 0.3, 2.5, 0, 0, 1, 0, 0, 0], [0.0] * 9], dtype=torch.float64)
    weight = encoder.attention(x)
    assert torch.allclose(weight.sum(1), torch.ones(2, dtype=torch.float64))
    assert torch.equal(weight[0] > 0, x[0] > 0)
    vectors_gd = x[0, :, None] * encoder.embedding_gd
    score = (vectors_gd @ encoder.context.weight[0])[x[0] > 0].softmax(0)
    pooled = (score[:, None] * vectors_gd[x[0] > 0]).sum(0)
    assert torch.allclose(encoder(x)[0], encoder.output(pooled[None])[0])
    assert encoder(x).isfinite().all()
    assert not torch.allclose(encoder(x * 1.01)[0], encoder(x)[0], atol=1e-6)  # no rounding of values


@all_architectures
def test_the_signature_names_every_hyper_parameter_and_so_does_the_documentation(cls):
    model_cls = getattr(sccl, cls.__name__)
    own = inspect.signature(cls).parameters
    shown = inspect.signature(model_cls).parameters
    shared = list(inspect.signature(sccl.CLModel.__init__).parameters)[1:-1]
    assert list(shown) == [*shared, *list(own)[1:]]
    for name in list(own)[1:]:
        assert shown[name].default == own[name].default
        assert name in model_cls.__doc__
        assert name in cls.__doc__


@all_architectures
def test_hyper_parameters_out_of_range_or_unknown_are_refused(cls, adata):
    model_cls = getattr(sccl, cls.__name__)
    for name, parameter in list(inspect.signature(cls).parameters.items())[1:]:
        if not isinstance(parameter.default, bool):
            for wrong in (-1, math.nan, "two"):
                with pytest.raises(ValueError, match=rf"`{name}` must be .*, found {wrong!r}"):
                    model_cls(adata, **{name: wrong})
        with pytest.raises(TypeError, match=f"did you mean '{name}'"):
            model_cls(adata, **{name[:-1]: 1})


def test_clear_is_moco_with_its_own_settings(adata):
    shown = inspect.signature(sccl.CLEAR).parameters
    assert {name: shown[name].default for name in ("temperature", "memory_bank_size", "n_projection")} == {
        "temperature": 0.2,
        "memory_bank_size": 1024,
        "n_projection": 128,
    }
    model = sccl.CLEAR(adata, temperature=0.3)
    assert model.module.architecture.temperature == 0.3
    assert model.module.architecture.queue.bank.shape == (1024, 128)
    model.train(1, **QUIET)
    assert model.trainer.num_training_batches == 1  # of 512, the recipe's size
    model.train(1, batch_size=50, **QUIET)
    assert model.trainer.num_training_batches == 2


def test_claire_is_symmetric_moco_on_a_deeper_encoder_and_mutual_neighbours(adata, tmp_path):
    shown = inspect.signature(sccl.CLAIRE).parameters
    own = {"n_latent": 128, "n_projection": 128, "temperature": 0.07, "memory_bank_size": 2048}
    own |= {"n_hidden": (500, 250), "momentum": 0.999, "symmetric": True}
    assert {name: shown[name].default for name in own} == own
    torch.manual_seed(0)
    model = sccl.CLAIRE(adata)
    shapes = [tuple(layer.weight.shape) for layer in model.module.encoder if isinstance(layer, torch.nn.Linear)]
    assert shapes == [(500, 50), (250, 500), (128, 250)]
    steps = []

    class Look(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            steps.append(trainer.train_dataloader.sampler.augmentation.draw(cells, pool=cells, seed=0, epoch=0, view=1))

    cells, batch = np.arange(100), adata.obs["batch"].to_numpy()
    model.train(6, callbacks=[Look()], **QUIET)
    first, last = (start[0].partners[0] for start in (steps[0], steps[-1]))
    assert (batch[first] != batch)[first != cells].all()
    assert (first != cells).any()
    assert not np.array_equal(first, last)  # refined on the embedding after five epochs
    assert all(start[0].applied.all() for start in steps)
    model.save(tmp_path / "model")
    loaded = sccl.CLAIRE.load(tmp_path / "model", adata)
    assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())


def test_an_encoder_has_a_hidden_layer_per_width():
    def encoder(**kwargs):
        torch.manual_seed(0)
        return Encoder(20, n_latent=N_LATENT, **kwargs)

    one, same = encoder(n_hidden=7).state_dict(), encoder(n_hidden=[7]).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    torch.manual_seed(0)
    plain = torch.nn.Sequential(
        torch.nn.Linear(20, 7), torch.nn.BatchNorm1d(7), torch.nn.ReLU(), torch.nn.Linear(7, N_LATENT)
    )
    assert all(torch.equal(one[name], value) for name, value in plain.state_dict().items())
    deep = encoder(n_hidden=(9, 7, 5))
    kinds = [torch.nn.Linear, torch.nn.BatchNorm1d, torch.nn.ReLU] * 3
    assert all(isinstance(layer, kind) for layer, kind in zip(deep, kinds, strict=False))
    assert deep(torch.rand(4, 20)).shape == (4, N_LATENT)
    for wrong in (0, (9, 0), (9, 1.5)):
        with pytest.raises(ValueError, match="`n_hidden` must be a whole number"):
            encoder(n_hidden=wrong)


@pytest.fixture(scope="module")
def pbmc(real_data):
    adata = anndata.read_h5ad(real_data / "pbmc_3tech.h5ad")
    sccl.pp.preprocess(adata, batch_key="batch")
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return adata


# CLEAR's minibatches of 512 make half as many steps of an epoch.
@pytest.mark.slow
@pytest.mark.parametrize(("name", "max_epochs"), [*((name, 60) for name in NAMES), ("CLEAR", 120)])
def test_sixty_epochs_on_real_cells_keep_types_together_and_do_not_collapse(name, max_epochs, pbmc, recwarn):
    torch.manual_seed(0)
    model = getattr(sccl, name)(pbmc)
    model.train(max_epochs, augmentation="clear", **QUIET)
    assert not recwarn.list
    z = model.get_latent_representation()
    assert purity(z, pbmc.obs["cell_type"]) >= 0.80
    assert purity(np.random.default_rng(0).permutation(z), pbmc.obs["cell_type"]) < 0.3  # what no learning gives
    assert effective_rank(torch.from_numpy(z)) >= 8


@pytest.mark.slow
def test_claire_mixes_the_batches_of_real_cells_and_keeps_types_together(pbmc):
    torch.manual_seed(0)
    model = sccl.CLAIRE(pbmc, momentum=0.99)  # the default is for longer trainings
    model.train(60, **QUIET)
    z = model.get_latent_representation()
    assert purity(z, pbmc.obs["cell_type"]) >= 0.75
    assert purity(z, pbmc.obs["batch"]) <= 0.5  # 0.86 on principal components
    assert effective_rank(torch.from_numpy(z)) >= 8

"""Every augmentation draws from the distribution it documents, on sparse rows and on dense tensors alike."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import csr_matrix

from sccl.augment import (
    Augmentation,
    Compose,
    CrossOver,
    GaussianNoise,
    InnerSwap,
    Mask,
    MultiplicativeNoise,
    Operation,
    as_compose,
    from_config,
    preset,
    row_function,
    to_config,
)

N_CELLS, N_GENES = 400, 500
PATHS = ("fused", "torch")
ALL = (Mask, GaussianNoise, InnerSwap, CrossOver)


@pytest.fixture(scope="module")
def x():
    """Log-expression with 30 % non-zeros, all of them different, and one empty cell."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 3.0, (N_CELLS, N_GENES)) * (rng.random((N_CELLS, N_GENES)) < 0.3)
    x[7] = 0
    return x.astype(np.float32)


def view_of(augmentation, x, path, *, seed=0, epoch=0, view=0, cells=None):
    """One view made by the fused pass or by torch, from the same draws of cells and partners."""
    pipeline = Compose([augmentation])
    cells = np.arange(len(x)) if cells is None else np.asarray(cells)
    steps = pipeline.draw(cells, pool=np.arange(len(x)), seed=seed, epoch=epoch, view=view)
    if path == "fused":
        return pipeline.fill(torch.empty(len(cells), x.shape[1]), csr_matrix(x), cells, steps).numpy()
    dense = torch.from_numpy(x)
    return pipeline.apply(dense[cells], [dense[step.partners] for step in steps], steps).numpy()


def is_binomial(successes, n, p, level=1e-4):
    return stats.binomtest(int(successes), int(n), p).pvalue > level


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("fraction", [0.05, 0.4, 0.9])
def test_mask_zeroes_its_fraction_and_keeps_the_rest(x, path, fraction):
    view = view_of(Mask(fraction, p=1.0), x, path)
    nonzero = x > 0
    assert is_binomial((view[nonzero] == 0).sum(), nonzero.sum(), fraction)
    assert np.array_equal(view[view != 0], x[view != 0])


@pytest.mark.parametrize("path", PATHS)
def test_mask_after_a_dense_operation_masks_all_genes_alike(x, path):
    shifted = Compose([lambda v: v + 1.0, Mask(0.3, p=1.0)])
    view = view_of(shifted, x, path)
    assert is_binomial((view == 0).sum(), view.size, 0.3)
    assert np.array_equal(view[view != 0], (x + 1.0)[view != 0])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("sigma", "fraction"), [(0.2, 0.8), (1.5, 0.3)])
def test_noise_is_normal_on_its_fraction_of_all_genes(x, path, sigma, fraction):
    noise = view_of(GaussianNoise(sigma, fraction, p=1.0), x, path).astype(np.float64) - x
    changed = noise != 0
    assert abs(changed.mean() - fraction) < 4 * np.sqrt(fraction * (1 - fraction) / noise.size) + 1e-4
    draws = noise[x == 0]
    draws = draws[draws != 0] / sigma
    assert stats.kstest(draws, "norm").pvalue > 1e-4
    assert abs(draws.std() - 1) < 0.02
    assert abs(changed[x == 0].mean() - changed[x > 0].mean()) < 0.01


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("shift", [0.0, 1.0], ids=["zeros kept", "no zeros"])
def test_multiplicative_noise_is_log_normal_on_what_is_not_zero(x, path, shift):
    pipeline = (
        Compose([lambda v: v + shift, MultiplicativeNoise(0.7)]) if shift else Compose([MultiplicativeNoise(0.7)])
    )
    before = x + np.float32(shift)
    view = view_of(pipeline, x, path).astype(np.float64)
    assert np.array_equal(view == 0, before == 0)
    factor = np.log(view[view != 0] / before[view != 0]) / 0.7
    assert stats.kstest(factor, "norm").pvalue > 1e-4
    assert abs(factor.std() - 1) < 0.02


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_swap_permutes_disjoint_pairs(path, fraction):
    x = np.random.default_rng(0).permutation(N_CELLS * 60).reshape(N_CELLS, 60).astype(np.float32)
    view = view_of(InnerSwap(fraction, p=1.0), x, path)
    assert np.array_equal(np.sort(view), np.sort(x))
    source = np.array([[list(row).index(value) for value in new] for row, new in zip(x, view, strict=True)])
    assert np.array_equal(np.take_along_axis(source, source, 1), np.tile(np.arange(60), (N_CELLS, 1)))
    moved = source != np.arange(60)
    assert (moved.sum(1) == 2 * round(fraction * 30)).all()
    if fraction < 1:
        assert stats.chisquare(moved.sum(0)).pvalue > 1e-4
        assert stats.chisquare(np.bincount(source[moved], minlength=60)).pvalue > 1e-4


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("fraction", [0.25, 0.7])
def test_crossover_takes_its_fraction_from_one_other_cell(x, path, fraction):
    pipeline = Compose([CrossOver(fraction, p=1.0)])
    cells = np.arange(N_CELLS)
    ((_, _, (partner,)),) = pipeline.draw(cells, pool=cells, seed=0, epoch=0, view=0)
    view = view_of(pipeline, x, path)
    other = x[partner]
    assert ((view == x) | (view == other)).all()
    differs = x != other
    assert is_binomial((view[differs] == other[differs]).sum(), differs.sum(), fraction)


def test_crossover_draws_partners_evenly_from_the_pool_and_never_the_cell_itself():
    cells, pool = np.repeat(np.arange(0, 20), 500), np.arange(0, 40, 2)
    epochs = [
        CrossOver(p=1.0).partners(
            cells, np.random.default_rng(i).integers(2**64, size=cells.size, dtype=np.uint64), view=0, pool=pool
        )[0]
        for i in range(3)
    ]
    drawn = np.concatenate(epochs)
    assert set(drawn) == set(pool)
    assert not (drawn == np.tile(cells, 3)).any()
    odd = np.tile(cells, 3) % 2 == 1  # not in the pool, so that all of it is open to them
    assert stats.chisquare(np.bincount(drawn[odd] // 2)).pvalue > 1e-4


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("cls", ALL)
def test_p_is_the_chance_that_a_cell_changes(x, path, cls):
    changed = (view_of(cls(p=0.3), x, path) != x).any(1)
    assert is_binomial(changed.sum(), N_CELLS - 1, 0.3)
    assert np.array_equal(view_of(cls(p=0.0), x, path), x)


@pytest.mark.parametrize("path", PATHS)
def test_views_cells_and_epochs_are_independent(x, path):
    x = np.ones_like(x)
    masks = {
        (epoch, view): view_of(Mask(0.5, p=1.0), x, path, epoch=epoch, view=view) for epoch in (0, 1) for view in (0, 1)
    }
    reference = masks[0, 0]
    for other in (masks[0, 1], masks[1, 0], masks[1, 1], np.roll(reference, 1, axis=0), np.roll(reference, 1, axis=1)):
        assert abs(np.corrcoef(reference.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(x.size)


def test_augmentations_of_one_composition_are_independent(x):
    x = np.ones_like(x)
    twice = view_of(Compose([Mask(0.5, p=1.0), Mask(0.5, p=1.0)]), x, "fused")
    assert is_binomial(twice.sum(), twice.size, 0.25)


@pytest.mark.parametrize("cls", ALL)
def test_a_cell_has_the_same_view_whatever_the_batch(x, cls):
    everything = view_of(cls(p=0.5), x, "fused")
    some = [3, 250, 7, 3]
    assert np.array_equal(view_of(cls(p=0.5), x, "fused", cells=some), everything[some])


@pytest.mark.parametrize("path", PATHS)
def test_one_seed_repeats_and_another_differs(x, path):
    first, again, other = (view_of(preset("clear"), x, path, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1)])
def test_fused_and_torch_agree_in_distribution_for_any_order(x, order):
    clear = preset("clear").augmentations
    pipeline = Compose([clear[i] for i in order])
    fused, dense = (
        np.concatenate([view_of(pipeline, x, path, epoch=epoch) for epoch in range(4)]).astype(np.float64)
        for path in PATHS
    )
    assert np.isfinite(fused).all()
    for statistic in (lambda v: v, lambda v: v**2, lambda v: v == 0, lambda v: v < 0):
        a, b = statistic(fused).mean(1), statistic(dense).mean(1)
        assert abs((a - b).mean()) < 4.5 * (a - b).std() / np.sqrt(len(a)), "cells"
    sample = np.random.default_rng(0).choice(fused.size, 20_000, replace=False)
    assert stats.ks_2samp(fused.ravel()[sample], dense.ravel()[sample]).pvalue > 1e-4


def test_views_never_share_memory_with_the_data(x):
    csr = csr_matrix(x)
    before = csr.copy()
    pipeline = preset("clear")
    cells = np.arange(N_CELLS)
    for view in range(2):
        steps = pipeline.draw(cells, pool=cells, seed=0, epoch=0, view=view)
        out = pipeline.fill(torch.empty(x.shape), csr, cells, steps)
        assert not np.shares_memory(out.numpy(), csr.data)
        out.zero_()
    assert np.array_equal(csr.data, before.data)
    tensor = torch.from_numpy(x.copy())
    pipeline(tensor).zero_()
    Compose([])(tensor).zero_()
    assert np.array_equal(tensor.numpy(), x)


def test_a_user_function_works_in_both_places_and_at_any_position(x):
    def double_some(x_ng):
        x_ng *= 1 + (torch.rand(x_ng.shape[0], 1) < 0.5)  # in place, and random
        return x_ng

    pipeline = Compose([Mask(0.5, p=1.0), double_some, Mask(0.0, p=1.0)])
    for path in PATHS:
        view = view_of(pipeline, x, path)
        kept = view != 0
        doubled = (view == 2 * x) & kept
        assert ((view == x) | doubled)[kept].all()
        assert 0.35 < doubled.any(1)[kept.any(1)].mean() < 0.65
        assert np.array_equal(view, view_of(pipeline, x, path))
    with pytest.raises(ValueError, match="must return cells × genes"):
        view_of(Compose([lambda v: v[:, :3]]), x, "fused")


def test_a_user_function_leaves_torchs_generator_alone():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    view_of(Compose([torch.rand_like]), np.ones((3, 4), np.float32), "torch")
    assert torch.equal(state, torch.get_rng_state())


def test_a_subclass_with_its_own_partners_works_without_a_fused_part(x):
    class Neighbour(Augmentation):
        p = 1.0
        n_partners = 2

        def partners(self, cells, keys, *, view, pool):
            return np.stack([(cells + 1) % pool.size, (cells + 2) % pool.size])

        def apply(self, x_ng, partners_png, generator):
            return partners_png.mean(0)

    expected = (np.roll(x, -1, axis=0) + np.roll(x, -2, axis=0)) / 2
    for path in PATHS:
        assert np.allclose(view_of(Neighbour(), x, path), expected)


@row_function
def negate_row(x, row):
    x *= np.float32(-row.parameters[3])
    return False


@row_function
def silent_row(x, row):
    x *= np.float32(2)


@dataclass(frozen=True)
class Own(Augmentation):
    """An augmentation that the fused pass has never heard of, with more parameters than any other."""

    function: object
    p: float = 1.0

    def apply(self, x_ng, partners_png, generator):
        return -5 * x_ng

    def operation(self):
        return Operation(self.function, (1, 2, 3, 5))


def test_an_augmentation_brings_its_own_row_function_to_the_fused_pass(x):
    pipeline = Compose([Mask(0.2), Own(negate_row), InnerSwap(0.3)])
    assert pipeline.is_fused
    expected = view_of(Compose([Mask(0.2), lambda x: -5 * x, InnerSwap(0.3)]), x, "fused")
    assert np.array_equal(view_of(pipeline, x, "fused"), expected)


def test_a_row_function_that_does_not_speak_of_zeros_is_refused(x):
    with pytest.raises(TypeError, match=r"cannot compile silent_row.* must return whether zeros stay zero"):
        view_of(Compose([Own(silent_row)]), x, "fused")


def test_calling_an_augmentation_changes_a_tensor_by_its_own_cells(x):
    tensor = torch.from_numpy(x)
    generator = torch.Generator().manual_seed(3)
    view = CrossOver(0.5, p=1.0)(tensor, generator=generator)
    assert view.shape == tensor.shape
    assert set(view.unique().tolist()) <= set(tensor.unique().tolist())
    assert torch.equal(view, CrossOver(0.5, p=1.0)(tensor, generator=generator.manual_seed(3)))


@settings(max_examples=60, deadline=None)
@given(
    n_cells=st.integers(1, 9),
    n_genes=st.integers(1, 70),
    density=st.floats(0, 1),
    fraction=st.floats(0, 1),
    p=st.floats(0, 1),
    order=st.permutations(ALL),
    seed=st.integers(0, 2**31 - 1),
)
def test_any_shape_strength_and_order_gives_finite_views(n_cells, n_genes, density, fraction, p, order, seed):
    rng = np.random.default_rng(seed)
    x = (rng.random((n_cells, n_genes)) * (rng.random((n_cells, n_genes)) < density)).astype(np.float32)
    pipeline = Compose([cls(fraction=fraction, p=p) for cls in order])
    for path in PATHS:
        view = view_of(pipeline, x, path, seed=seed)
        assert view.shape == x.shape
        assert np.isfinite(view).all()


@pytest.mark.parametrize(
    ("cls", "kwargs", "named"),
    [
        (Mask, {"fraction": 1.1}, "fraction"),
        (Mask, {"p": -0.1}, "`p`"),
        (GaussianNoise, {"sigma": -1.0}, "sigma"),
        (GaussianNoise, {"sigma": float("nan")}, "sigma"),
        (MultiplicativeNoise, {"sigma": -1.0}, "sigma"),
        (MultiplicativeNoise, {"sigma": float("inf")}, "sigma"),
        (
            MultiplicativeNoise,
            {"sigma": "much"},
            r"MultiplicativeNoise: `sigma` must be in \[0, ∞\), found 'much'",
        ),
        (Mask, {"p": None}, r"Mask: `p` must be in \[0, 1\], found None"),
        (InnerSwap, {"fraction": float("nan")}, "fraction"),
        (CrossOver, {"p": 2}, "`p`"),
    ],
)
def test_strengths_out_of_range_are_refused(cls, kwargs, named):
    with pytest.raises(ValueError, match=named):
        cls(**kwargs)


def test_configurations_go_there_and_back():
    assert from_config(to_config(preset("clear"))) == preset("clear")
    assert as_compose({"crossover": {"p": 1.0}, "mask": {}}) == Compose([CrossOver(p=1.0), Mask()])
    assert as_compose("clear") is preset("clear")
    assert as_compose(Mask(0.1)) == Compose([Compose([Mask(0.1)])])


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'mask'"):
        from_config({"msk": {}})
    with pytest.raises(KeyError, match="did you mean 'fraction'"):
        from_config({"mask": {"fractoin": 0.3}})
    with pytest.raises(KeyError, match="clear"):
        preset("claer")
    with pytest.raises(ValueError, match="found int"):
        Compose([3])
    with pytest.raises(ValueError, match="cannot be written"):
        to_config(Compose([torch.relu]))

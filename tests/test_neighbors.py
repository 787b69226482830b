"""Views borrow from the right cells: graph neighbours, mutual neighbours of other batches, and never anybody else."""

import anndata
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import csr_matrix

import sccl
from sccl import graph
from sccl.augment import BBKNN, MNN, Compose, CrossBatchPositive, InnerSwap, Mask, from_config, preset, to_config
from sccl.augment.keys import cell_keys

PATHS = ("fused", "torch")
MODES = ("interpolate", "geometric", "exchange")
N_CELLS, N_GENES, N_TYPES = 300, 80, 4

both_paths = pytest.mark.parametrize("path", PATHS)


class Toy:
    """Types that stand out, shifted in each of three unequal batches, whose cells stand in random order."""

    def __init__(self, n_cells=N_CELLS, noise=0.4, seed=0, spread=2.0):
        rng = np.random.default_rng(seed)
        self.batch = rng.choice(["a", "b", "c"], n_cells, p=[0.5, 0.3, 0.2])
        self.type = rng.integers(N_TYPES, size=n_cells)
        shift = {name: rng.normal(0, 1.5, 10) for name in "abc"}
        self.space = (
            rng.normal(0, spread, (N_TYPES, 10))[self.type]
            + np.stack([shift[name] for name in self.batch])
            + rng.normal(0, noise, (n_cells, 10))
        )
        # Values of both signs, all different, and zeros.
        self.x = rng.normal(1, 1, (n_cells, N_GENES)) * (rng.random((n_cells, N_GENES)) < 0.4)
        self.x = self.x.astype(np.float32)

    def bind(self, augmentation):
        return augmentation.bind(graph.CellSpace(self.space, self.batch))


@pytest.fixture(scope="module")
def toy():
    return Toy()


def steps_of(augmentation, n_cells=N_CELLS, *, epoch=0, view=0, cells=None, pool=None):
    everything = np.arange(n_cells)
    return Compose([augmentation]).draw(
        everything if cells is None else cells,
        pool=everything if pool is None else pool,
        seed=0,
        epoch=epoch,
        view=view,
    )


def view_of(augmentation, x, path, *, epoch=0, view=0):
    """One view, and what was drawn for it."""
    pipeline, cells = Compose([augmentation]), np.arange(len(x))
    steps = steps_of(augmentation, len(x), epoch=epoch, view=view)
    if path == "fused":
        return pipeline.fill(torch.empty(x.shape), csr_matrix(x), cells, steps).numpy(), steps
    dense = torch.from_numpy(x)
    return pipeline.apply(dense, [dense[step.partners] for step in steps], steps).numpy(), steps


def partners_of(bound, n_cells=N_CELLS, *, view=0, n_draws=200, pool=None):
    """Partners of all cells in many epochs: draws × partners × cells."""
    cells = np.arange(n_cells)
    pool = cells if pool is None else pool
    return np.stack(
        [
            bound.partners(cells, cell_keys(cells, seed=0, epoch=epoch, view=view), view=view, pool=pool)
            for epoch in range(n_draws)
        ]
    )


def is_binomial(successes, n, p, level=1e-4):
    return stats.binomtest(int(successes), int(n), p).pvalue > level


# BBKNN: who


def test_bbknn_partners_are_all_members_of_the_cells_row_of_the_symmetric_graph_and_no_others(toy):
    k = 3
    table = graph.batch_balanced_knn(toy.space, toy.batch, k=k)
    drawn = partners_of(toy.bind(BBKNN(k=k)), n_draws=600)[:, 0]
    one_way = 0
    for cell in range(N_CELLS):
        listed = set(table[cell]) - {-1}
        chosen_by = set(np.flatnonzero((table == cell).any(axis=1)))
        reached = set(drawn[:, cell])
        assert reached <= listed | chosen_by
        assert listed <= reached
        one_way += len(reached & (chosen_by - listed))
    # Edges count in the direction in which only the other cell has this one in its list, too.
    assert one_way > N_CELLS


def test_bbknn_draws_batches_with_equal_chances_however_many_neighbours_they_have(toy):
    drawn = partners_of(toy.bind(BBKNN(k=5)))[:, 0]
    for own in "abc":
        counts = [(toy.batch[drawn[:, toy.batch == own]] == other).sum() for other in "abc"]
        assert stats.chisquare(counts).pvalue > 1e-4
    degrees = graph.as_graph(graph.batch_balanced_knn(toy.space, toy.batch, k=5), N_CELLS).degrees
    assert degrees.max() > 2 * degrees.min()  # or the test would say nothing


def test_bbknn_draws_the_neighbours_in_a_batch_with_equal_chances(toy):
    bound = toy.bind(BBKNN(k=4))
    drawn = partners_of(bound, n_draws=3000)[:, 0, :20]
    pvalues = []
    for cell in range(20):
        for name in "abc":
            among = drawn[toy.batch[drawn[:, cell]] == name, cell]
            pvalues.append(stats.chisquare(np.unique(among, return_counts=True)[1]).pvalue)
    assert stats.kstest(pvalues, "uniform").pvalue > 1e-4


def test_bbknn_partners_are_neighbours_and_not_positions_in_a_list(toy):
    drawn = partners_of(toy.bind(BBKNN(k=3)))[:, 0]
    width = graph.as_graph(graph.batch_balanced_knn(toy.space, toy.batch, k=3), N_CELLS).degrees.max()
    assert drawn.max() > N_CELLS - 10
    # Looked up as positions, all of them would be.
    assert (drawn < width).mean() < 2 * width / N_CELLS


def test_the_neighbours_that_are_mixed_are_drawn_independently(toy):
    drawn = partners_of(toy.bind(BBKNN(k=5, n_mixed=2)))
    same_batch = toy.batch[drawn[:, 0]] == toy.batch[drawn[:, 1]]
    assert abs(same_batch.mean() - 1 / 3) < 0.02
    assert 0.02 < (drawn[:, 0] == drawn[:, 1]).mean() < 0.2


# Mixing: what


def expected_mix(x, y, alpha, mode):
    x, y = x.astype(np.float64), y.astype(np.float64)
    if mode == "interpolate":
        return alpha * x + (1 - alpha) * y
    return np.maximum(x, 0) ** alpha * np.maximum(y, 0) ** (1 - alpha)


@both_paths
@pytest.mark.parametrize("mode", ["interpolate", "geometric"])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n_mixed", [1, 3])
def test_a_fixed_alpha_weighs_the_cell_against_the_mean_of_its_neighbours(toy, path, mode, alpha, n_mixed):
    bound = toy.bind(BBKNN(alpha, mode=mode, n_mixed=n_mixed, draw_alpha=False, p=1.0))
    view, (step,) = view_of(bound, toy.x, path)
    assert step.applied.all()
    assert (toy.x < 0).any()
    assert np.isfinite(view).all()
    other = toy.x[step.partners].mean(axis=0, dtype=np.float64)
    if n_mixed > 1 and mode == "geometric":
        other[np.abs(other) < 1e-6] = 0
    assert np.allclose(view, expected_mix(toy.x, other, alpha, mode), atol=1e-5)


@both_paths
def test_exchange_takes_each_gene_from_one_of_the_two_and_never_a_whole_cell(toy, path):
    alpha, x = 0.3, np.random.default_rng(0).normal(size=(N_CELLS, 200)).astype(np.float32)
    view, (step,) = view_of(toy.bind(BBKNN(alpha, mode="exchange", p=1.0)), x, path)
    other = x[step.partners[0]]
    is_own, is_other = view == x, view == other
    assert (is_own ^ is_other).all()
    assert is_binomial(is_own.sum(), is_own.size, alpha)
    per_cell = is_own.sum(axis=1)
    # Gene by gene: a cell that is swapped as a whole would have 0 or 200.
    assert 30 < per_cell.min() < per_cell.max() < 95
    assert stats.chisquare(is_own.sum(axis=0)).pvalue > 1e-4
    assert abs(np.corrcoef(is_own[:, 0], is_own[:, 1])[0, 1]) < 0.25


@both_paths
@pytest.mark.parametrize("cls", [BBKNN, MNN])
def test_within_batch_exchange_is_gene_by_gene_too_and_alpha_is_the_share_kept(toy, path, cls):
    x = np.random.default_rng(0).normal(size=(N_CELLS, 200)).astype(np.float32)
    view, (step,) = view_of(toy.bind(cls(0.6, mode="exchange", p=1.0)), x, path, view=0)
    start = x if cls is BBKNN else x[step.partners[0]]
    kept = (view == start).mean(axis=1)
    assert abs(kept.mean() - 0.6) < 0.01
    assert 0.4 < kept.min() < kept.max() < 0.8


@both_paths
@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("mode", ["interpolate", "geometric"])
def test_a_drawn_alpha_is_uniform_from_alpha_to_1_one_per_cell(toy, path, alpha, mode):
    # Cells of the first kind hold 1 and those of the second e: λ can be read off every gene.
    is_high = np.arange(N_CELLS) % 2 == 1
    x = np.tile(np.where(is_high, np.e, 1.0)[:, None], 7).astype(np.float32)
    shares = []
    for epoch in range(8):
        view, (step,) = view_of(toy.bind(BBKNN(alpha, mode=mode, p=1.0)), x, path, epoch=epoch)
        differs = is_high != is_high[step.partners[0]]
        high = (view.astype(np.float64) - 1) / (np.e - 1) if mode == "interpolate" else np.log(view)
        assert np.ptp(high, axis=1).max() < 1e-5
        shares.append(np.where(is_high, high[:, 0], 1 - high[:, 0])[differs])
    shares = np.concatenate(shares)
    assert shares.size > 500
    assert stats.kstest(shares, stats.uniform(alpha, 1 - alpha).cdf).pvalue > 1e-4


@both_paths
@pytest.mark.parametrize("modes", [MODES, MODES[::-1], ("exchange", "interpolate")])
def test_one_of_several_modes_is_drawn_per_cell_all_with_equal_chances(toy, path, modes):
    is_high = np.arange(N_CELLS) % 2 == 1
    x = np.tile(np.where(is_high, 4.0, 1.0)[:, None], 40).astype(np.float32)
    counts = dict.fromkeys(modes, 0)
    for epoch in range(10):
        bound = toy.bind(BBKNN(0.5, mode=modes, draw_alpha=False, p=1.0))
        view, (step,) = view_of(bound, x, path, epoch=epoch)
        for row in view[is_high != is_high[step.partners[0]]]:
            values = set(row.tolist())
            counts[{2.5: "interpolate", 2.0: "geometric"}.get(min(values), "exchange")] += 1
            assert len(values) == 1 or values == {1.0, 4.0}
    assert sum(counts.values()) > 1000
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4


@pytest.mark.parametrize(
    "augmentation",
    [
        BBKNN(0.5, mode="interpolate"),
        BBKNN(0.3, mode=MODES, n_mixed=2),
        MNN(0.5, mode="geometric"),
        MNN(0.2, mode=("interpolate", "exchange"), n_mixed=3),
        CrossBatchPositive(0.7),
    ],
    ids=repr,
)
def test_the_fused_pass_and_torch_agree_in_distribution(toy, augmentation):
    bound = toy.bind(augmentation)
    fused, dense = (
        np.concatenate([view_of(bound, toy.x, path, epoch=epoch, view=1)[0] for epoch in range(20)]).astype(np.float64)
        for path in PATHS
    )
    for statistic in (lambda v: v, lambda v: v**2, lambda v: v == 0, lambda v: v < 0):
        a, b = statistic(fused).mean(1), statistic(dense).mean(1)
        assert abs((a - b).mean()) <= 4.5 * (a - b).std() / np.sqrt(len(a))
    sample = np.random.default_rng(0).choice(fused.size, 20_000, replace=False)
    assert stats.ks_2samp(fused.ravel()[sample], dense.ravel()[sample]).pvalue > 1e-4


@both_paths
def test_bbknn_may_be_followed_by_a_swap_which_permutes_what_bbknn_made(toy, path):
    bound = toy.bind(BBKNN(mode="interpolate", p=1.0))
    alone, _ = view_of(bound, toy.x, path)
    swapped, _ = view_of(Compose([bound, InnerSwap(0.5, p=1.0)]), toy.x, path)
    assert swapped.shape == alone.shape
    assert np.array_equal(np.sort(swapped), np.sort(alone))
    assert (swapped != alone).any(axis=1).all()


@both_paths
def test_neighbours_work_at_any_position_of_a_composition(toy, path):
    pipeline = toy.bind(Compose([Mask(1.0, p=1.0), BBKNN(0.25, mode="interpolate", draw_alpha=False, p=1.0)]))
    view, (_, step) = view_of(pipeline, toy.x, path)
    assert np.allclose(view, 0.75 * toy.x[step.partners[0]], atol=1e-6)  # what is borrowed was not masked
    pipeline = toy.bind(Compose([BBKNN(0.25, mode="interpolate", p=1.0), Mask(1.0, p=1.0)]))
    assert not view_of(pipeline, toy.x, path)[0].any()


@both_paths
@pytest.mark.parametrize("cls", [BBKNN, MNN, CrossBatchPositive])
def test_p_is_the_chance_that_a_view_borrows(toy, path, cls):
    bound = toy.bind(cls(p=0.3))
    changed = [(view_of(bound, toy.x, path, epoch=epoch, view=1)[0] != toy.x).any(axis=1) for epoch in range(10)]
    # Cells without a mutual neighbour keep their place.
    some = steps_of(toy.bind(cls(p=1.0)), view=1)[0].applied
    assert some.mean() > 0.5
    changed = np.concatenate([one[some] for one in changed])
    assert is_binomial(changed.sum(), changed.size, 0.3)
    assert np.array_equal(view_of(toy.bind(cls(p=0.0)), toy.x, path, view=1)[0], toy.x)


# MNN and cross-batch positives


def anchors_of(toy, k=5, max_share=1.0):
    """Mutual nearest neighbours of each cell, found with plain NumPy in each pair of batches moved to its means.

    Up to k of a batch are looked at, and no more than a share of it.
    """
    found = {cell: set() for cell in range(len(toy.batch))}
    for one, other in (("a", "b"), ("a", "c"), ("b", "c")):
        i, j = np.flatnonzero(toy.batch == one), np.flatnonzero(toy.batch == other)
        u, v = (toy.space[m] - toy.space[m].mean(axis=0) for m in (i, j))
        u, v = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (u, v))
        similarity = u @ v.T
        k_i, k_j = (max(min(k, round(max_share * len(m))), 1) for m in (i, j))
        forth = np.argsort(-similarity, axis=1)[:, :k_j]
        back = np.argsort(-similarity, axis=0)[:k_i]
        for p in range(len(i)):
            for q in forth[p]:
                if p in back[:, q]:
                    found[i[p]].add(j[q])
                    found[j[q]].add(i[p])
    return found


@pytest.mark.parametrize(
    ("augmentation", "max_share"), [(MNN(k_anchor=5, p=1.0), 1.0), (CrossBatchPositive(1.0, 10, min_shared=0), 0.05)]
)
def test_second_views_start_from_mutual_neighbours_under_their_row_numbers(toy, augmentation, max_share):
    bound = toy.bind(augmentation)
    anchors = anchors_of(toy, augmentation.k_anchor, max_share)
    starts = partners_of(bound, view=1, n_draws=100)[:, 0]
    for cell in range(N_CELLS):
        reached = set(starts[:, cell])
        lonely = {cell} if isinstance(bound, MNN) else {-1}
        assert reached <= (anchors[cell] or lonely)
    some = np.array([bool(anchors[cell]) for cell in range(N_CELLS)])
    assert some.mean() > 0.5
    assert (toy.batch[starts[:, some]] != toy.batch[some]).all()
    assert (toy.type[starts[:, some]] == toy.type[some]).mean() > 0.95


def test_first_views_of_mnn_are_the_cell_mixed_with_a_near_cell_of_its_batch(toy):
    k = 4
    start, mixed = np.moveaxis(partners_of(toy.bind(MNN(k=k)), view=0), 1, 0)
    assert (start == np.arange(N_CELLS)).all()
    for cell in range(N_CELLS):
        members = np.flatnonzero(toy.batch == toy.batch[cell])
        unit = toy.space / np.linalg.norm(toy.space, axis=1, keepdims=True)
        others = members[members != cell]
        nearest = others[np.argsort(-(unit[others] @ unit[cell]), kind="stable")[:k]]
        assert set(mixed[:, cell]) == set(nearest)


def test_second_views_of_mnn_are_mixed_with_a_cell_of_the_mutual_neighbours_batch(toy):
    start, mixed = np.moveaxis(partners_of(toy.bind(MNN(k=4)), view=1), 1, 0)
    assert (toy.batch[start] == toy.batch[mixed]).all()
    assert (start != mixed).all()
    assert (start != np.arange(N_CELLS)).mean() > 0.5


@both_paths
@pytest.mark.parametrize("view", [0, 1])
def test_an_mnn_view_weighs_its_start_against_the_mean_of_what_is_mixed_in(toy, path, view):
    bound = toy.bind(MNN(0.7, mode="interpolate", draw_alpha=False, n_mixed=2, p=1.0))
    made, (step,) = view_of(bound, toy.x, path, view=view)
    start, mixed = toy.x[step.partners[0]], toy.x[step.partners[1:]].mean(axis=0)
    assert np.allclose(made, 0.7 * start + 0.3 * mixed, atol=1e-6)


@both_paths
def test_a_cross_batch_positive_is_the_neighbour_itself_in_the_second_view_alone(toy, path):
    bound = toy.bind(CrossBatchPositive(1.0, min_shared=0))
    first, _ = view_of(bound, toy.x, path, view=0)
    second, (step,) = view_of(bound, toy.x, path, view=1)
    assert np.array_equal(first, toy.x)
    expected = np.where(step.applied[:, None], toy.x[step.partners[0]], toy.x)
    assert np.array_equal(second, expected)
    assert np.array_equal(step.applied, [bool(one) for one in anchors_of(toy, 10, 0.05).values()])


@both_paths
def test_what_follows_a_cross_batch_positive_changes_the_neighbour(toy, path):
    view, (step, _) = view_of(toy.bind(Compose([CrossBatchPositive(1.0), Mask(0.5, p=1.0)])), toy.x, path, view=1)
    shown = np.where(step.applied[:, None], toy.x[step.partners[0]], toy.x)
    assert np.array_equal(view[view != 0], shown[view != 0])
    assert is_binomial((view[shown != 0] == 0).sum(), (shown != 0).sum(), 0.5)


def test_a_refresh_keeps_the_mutual_pairs_that_are_alike_in_the_embedding_and_can_take_the_others_back():
    toy = Toy(n_cells=600, noise=3.0)
    bound = toy.bind(MNN(k_anchor=10, refresh_every=1))

    def same_type(augmentation):
        start = partners_of(augmentation, 600, view=1, n_draws=20)[:, 0]
        return (toy.type[start] == toy.type)[start != np.arange(600)]

    rng = np.random.default_rng(1)
    latent = np.eye(N_TYPES)[toy.type] + rng.normal(0, 0.05, (600, N_TYPES))
    refreshed = bound.refresh(latent)
    assert same_type(bound).mean() < 0.8
    assert same_type(refreshed).mean() > 0.99
    assert same_type(refreshed).size < same_type(bound).size
    again = refreshed.refresh(np.ones((600, 2)))
    assert same_type(again).size == same_type(bound).size
    # The augmentation that was refreshed is as it was.
    assert same_type(bound).mean() < 0.8


def test_a_composition_refreshes_those_that_ask_for_it_alone():
    toy = Toy(n_cells=600, noise=3.0)
    latent = np.eye(N_TYPES)[toy.type] + np.random.default_rng(1).normal(0, 0.05, (600, N_TYPES))
    pipeline = toy.bind(Compose([MNN(k_anchor=10), MNN(k_anchor=10, refresh_every=3), Mask()]))
    refreshed = pipeline.refresh(latent)
    assert pipeline.refresh_every == 3
    before, after = (
        [partners_of(one, 600, view=1, n_draws=3) for one in both.augmentations[:2]] for both in (pipeline, refreshed)
    )
    assert np.array_equal(before[0], after[0])
    assert not np.array_equal(before[1], after[1])
    assert Compose([MNN(), Mask()]).refresh_every is None


def test_refined_pairs_are_fewer_and_purer():
    toy = Toy(n_cells=600, noise=2.0)

    def same_type(refine):
        start = partners_of(toy.bind(MNN(refine=refine)), 600, view=1, n_draws=20)[:, 0]
        return (toy.type[start] == toy.type)[(start >= 0) & (start != np.arange(600))]

    assert same_type(True).size < same_type(False).size
    assert same_type(True).mean() > same_type(False).mean()


def test_cells_of_a_population_that_other_batches_lack_stay_their_own_positives():
    toy = Toy(n_cells=1200, noise=0.8, spread=1.0)
    here = (toy.batch == "a") | (toy.type != 0)
    space, batch, lonely = toy.space[here], toy.batch[here], toy.type[here] == 0

    def replaced(**kwargs):
        start = partners_of(
            CrossBatchPositive(1.0, **kwargs).bind(graph.CellSpace(space, batch)), here.sum(), view=1, n_draws=5
        )[:, 0]
        return (start >= 0).any(axis=0)

    everyone, shared = replaced(min_shared=0), replaced()
    assert everyone[lonely].mean() > 0.4 and shared[lonely].mean() < 0.15
    assert shared[~lonely].mean() > 0.9 * everyone[~lonely].mean()


@pytest.mark.parametrize("name", ["pbmc_3tech", "kang_ifnb"])
def test_mutual_neighbours_of_real_cells_are_of_other_batches_and_of_the_same_type(name, real_data):
    adata = anndata.read_h5ad(real_data / f"{name}.h5ad")
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=2000)
    batch, types = (adata.obs[key].to_numpy() for key in ("batch", "cell_type"))
    space = graph.representation(adata)
    for augmentation in (MNN(), CrossBatchPositive()):
        start = partners_of(augmentation.bind(graph.CellSpace(space, batch)), adata.n_obs, view=1, n_draws=5)[:, 0]
        cells = np.broadcast_to(np.arange(adata.n_obs), start.shape)
        is_anchored = (start >= 0) & (start != cells)
        assert is_anchored.mean() > 0.3
        assert (batch[start] != batch[cells])[is_anchored].all()
        assert (types[start] == types[cells])[is_anchored].mean() >= 0.85


# Who may be borrowed from, and when nobody is there


@pytest.mark.parametrize("cls", [BBKNN, MNN, CrossBatchPositive])
@pytest.mark.parametrize("view", [0, 1])
def test_nobody_borrows_from_a_cell_outside_of_the_pool(toy, cls, view):
    pool = np.random.default_rng(0).permutation(N_CELLS)[:200]
    drawn = partners_of(toy.bind(cls()), view=view, n_draws=20, pool=pool)[..., pool]
    borrowed = drawn[(drawn >= 0) & (drawn != pool)]
    assert np.isin(borrowed, pool).all()
    assert borrowed.size or (cls is CrossBatchPositive and view == 0)


@pytest.mark.parametrize("make", [BBKNN, MNN, CrossBatchPositive, lambda: Compose([Mask(), BBKNN()])])
def test_unbound_augmentations_say_what_to_do(make):
    with pytest.raises(ValueError, match=r"does not know the cells' neighbours yet.*bind"):
        Compose([make()]).draw(np.arange(5), pool=np.arange(5), seed=0, epoch=0, view=1)
    with pytest.raises(ValueError, match="bind"):
        Compose([make()])(torch.rand(5, 3))


@pytest.mark.parametrize("cls", [BBKNN, MNN])
def test_with_one_batch_cells_borrow_within_it(cls):
    space = np.random.default_rng(0).normal(size=(30, 4))
    bound = cls(k=3, p=1.0).bind(graph.CellSpace(space, np.zeros(30)))
    nearest, _ = graph.knn(space, k=3)
    neighbors = graph.as_graph(nearest, 30, symmetric=cls is BBKNN)
    for view in (0, 1):
        drawn = partners_of(bound, 30, view=view)
        for cell in range(30):
            row = neighbors.indices[neighbors.indptr[cell] : neighbors.indptr[cell + 1]]
            assert set(drawn[:, -1, cell]) == set(row)
            assert cls is BBKNN or set(drawn[:, 0, cell]) == {cell}


def test_cells_of_large_batches_take_the_positives_of_the_landmark_nearest_to_them():
    rng = np.random.default_rng(0)
    kind, batch = rng.integers(6, size=5000), np.repeat(["a", "b"], [4000, 1000])
    space = 5 * np.eye(6)[kind] + rng.normal(0, 0.5, (5000, 6)) + (batch == "a")[:, None]
    bound = CrossBatchPositive(1.0).bind(graph.CellSpace(space, batch))
    landmark = graph.nearest_landmark(space, batch)
    assert np.unique(landmark[batch == "a"]).size == 2000
    start = partners_of(bound, 5000, view=1, n_draws=30)[:, 0]
    for cell in np.flatnonzero(landmark != np.arange(5000))[:200]:
        own = bound.pairs[(bound.pairs == landmark[cell]).any(axis=1)]
        assert set(start[:, cell]) <= (set(own.ravel()) - {landmark[cell]} or {-1})
    some = start[0] >= 0
    assert some[batch == "a"].mean() > 0.3
    assert (kind[start[0][some]] == kind[some]).mean() > 0.95


def test_with_one_batch_no_second_view_starts_elsewhere():
    toy = Toy(n_cells=30)
    bound = CrossBatchPositive(1.0).bind(graph.CellSpace(toy.space, np.zeros(30)))
    assert np.array_equal(view_of(bound, toy.x, "fused", view=1)[0], toy.x)


@both_paths
def test_a_batch_of_a_single_cell_is_handled(path):
    toy = Toy(n_cells=60)
    toy.batch[7] = "d"
    # Nobody is near it in its batch, so it is mixed with itself.
    view, (step,) = view_of(toy.bind(MNN(p=1.0)), toy.x, path)
    assert step.partners[:, 7].tolist() == [7, 7]
    assert np.allclose(view[7], toy.x[7], atol=1e-6)
    drawn = partners_of(toy.bind(BBKNN(k=2)), 60)[:, 0]
    assert set(toy.batch[drawn[:, 7]]) == {"a", "b", "c"}
    assert set(toy.batch[drawn[:, np.arange(60) != 7]].ravel()) == {"a", "b", "c", "d"}


@both_paths
def test_a_single_cell_keeps_its_place(path):
    x = np.ones((1, 5), np.float32)
    for cls in (BBKNN, MNN, CrossBatchPositive):
        bound = cls(p=1.0).bind(graph.CellSpace(np.ones((1, 3)), np.zeros(1)))
        for view in (0, 1):
            assert np.allclose(view_of(bound, x, path, view=view)[0], x)


@settings(max_examples=60, deadline=None)
@given(
    n_cells=st.integers(1, 25),
    n_batches=st.integers(1, 5),
    n_genes=st.integers(1, 20),
    k=st.integers(1, 30),
    n_mixed=st.integers(1, 3),
    alpha=st.floats(0, 1),
    draw_alpha=st.booleans(),
    mode=st.lists(st.sampled_from(MODES), min_size=1, max_size=3),
    cls=st.sampled_from([BBKNN, MNN]),
    seed=st.integers(0, 1000),
)
def test_any_sizes_give_finite_views_of_known_cells(
    n_cells, n_batches, n_genes, k, n_mixed, alpha, draw_alpha, mode, cls, seed
):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n_cells, n_genes)) * (rng.random((n_cells, n_genes)) < 0.5)).astype(np.float32)
    space, batch = rng.integers(0, 3, (n_cells, 3)).astype(float), rng.integers(n_batches, size=n_cells)
    bound = cls(alpha, k=k, mode=mode, p=1.0, draw_alpha=draw_alpha, n_mixed=n_mixed).bind(
        graph.CellSpace(space, batch)
    )
    for path in PATHS:
        for view in (0, 1):
            made, (step,) = view_of(bound, x, path, view=view)
            assert made.shape == x.shape
            assert np.isfinite(made).all()
            assert step.partners.shape == (bound.n_partners, n_cells)
            assert step.applied.all() or (cls is BBKNN and n_cells == 1)
            assert np.abs(made).max(initial=0) <= np.abs(x).max(initial=0) * 1.0001


# Settings


@pytest.mark.parametrize(
    ("cls", "settings", "named"),
    [
        (BBKNN, {"alpha": 1.1}, "alpha"),
        (BBKNN, {"alpha": float("nan")}, "alpha"),
        (BBKNN, {"k": 0}, "`k`"),
        (BBKNN, {"p": -0.5}, "`p`"),
        (BBKNN, {"n_mixed": 0}, "n_mixed"),
        (BBKNN, {"mode": "average"}, "mode"),
        (BBKNN, {"mode": ()}, "mode"),
        (MNN, {"alpha": -0.1}, "alpha"),
        (MNN, {"k": 0}, "`k`"),
        (MNN, {"k_anchor": 0}, "k_anchor"),
        (MNN, {"mode": ("interpolate", "int")}, "mode"),
        (MNN, {"refresh_every": 0}, "refresh_every"),
        (CrossBatchPositive, {"p": 1.5}, "`p`"),
        (CrossBatchPositive, {"k_anchor": 0}, "k_anchor"),
        (CrossBatchPositive, {"min_shared": -0.1}, r"`min_shared` must be in \[0, 1\], found -0.1"),
        (CrossBatchPositive, {"min_shared": float("nan")}, "`min_shared`.*found nan"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(cls, settings, named):
    with pytest.raises(ValueError, match=rf"{cls.__name__}: .*{named}"):
        cls(**settings)


def test_settings_go_to_a_mapping_and_back():
    pipeline = Compose([CrossBatchPositive(0.4), MNN(mode=MODES[:2], refresh_every=2), BBKNN(0.3, n_mixed=2)])
    assert from_config(to_config(pipeline)) == pipeline
    assert from_config(to_config(preset("ours"))) == preset("ours")


def test_a_bound_augmentation_is_a_copy_and_equal(toy):
    unbound = MNN()
    assert toy.bind(unbound) == unbound
    with pytest.raises(ValueError, match="bind"):
        steps_of(unbound)

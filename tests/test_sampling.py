"""Which cells share a minibatch: every cell, as often as promised, in the company that was asked for."""

import os
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.callbacks import Callback
from scipy import stats

import sccl
from sccl import graph
from sccl.augment import MNN, Compose, preset
from sccl.dataloaders import BatchSampling, NeighborSampling, UniformSampling, as_sampling
from sccl.dataloaders.requests import RequestSampler

N_CELLS = 1000
CELLS = np.random.default_rng(0).permutation(2 * N_CELLS)[:N_CELLS]  # those that are trained on, in their own order


@pytest.fixture(scope="module")
def batch():
    """Batches of about 600, 300 and 100 cells, and one of 5."""
    codes = np.random.default_rng(1).choice(3, N_CELLS, p=[0.6, 0.3, 0.1])
    codes[:5] = 3
    return codes


@pytest.fixture(scope="module")
def space():
    return np.random.default_rng(2).normal(size=(2 * N_CELLS, 4))


def of_all(batch):
    """Batches of all rows, those that are not trained on among them."""
    codes = np.full(2 * N_CELLS, 2)
    codes[CELLS] = batch
    return codes


def epoch_of(sampling, batch, *, batch_size=64, seed=0, cells=CELLS):
    return sampling.minibatches(cells, batch, batch_size=batch_size, rng=np.random.default_rng(seed))


def code_of(batch, cells=CELLS):
    """Batch of a cell by its row number."""
    codes = np.full(cells.max() + 1, -1)
    codes[cells] = batch
    return codes


def is_each_once(minibatches, cells=CELLS):
    return np.array_equal(np.sort(np.concatenate(minibatches)), np.sort(cells))


# Uniform


def test_uniform_minibatches_mix_batches_as_the_data_do(batch):
    codes = code_of(batch)
    minibatches = epoch_of(UniformSampling(), batch)
    assert is_each_once(minibatches)
    table = np.array([np.bincount(codes[part], minlength=4)[:3] for part in minibatches])
    assert stats.chi2_contingency(table).pvalue > 1e-4


# Batch


def test_batch_minibatches_come_from_a_single_batch_and_hold_every_cell_once(batch):
    codes = code_of(batch)
    minibatches = epoch_of(BatchSampling(), batch)
    assert is_each_once(minibatches)
    batches = [np.unique(codes[part]) for part in minibatches]
    assert all(found.size == 1 for found in batches)
    # In proportion: as many minibatches as a batch's cells fill.
    counts = np.bincount(np.concatenate(batches))
    assert counts.tolist() == [-(-np.count_nonzero(batch == code) // 64) for code in range(4)]


def test_single_batch_minibatches_come_in_random_order_and_cells_in_new_company(batch):
    codes = code_of(batch)
    epochs = [epoch_of(BatchSampling(), batch, seed=seed) for seed in (0, 1)]
    orders = [[codes[part[0]] for part in minibatches] for minibatches in epochs]
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])
    company = [{cell: frozenset(part) for part in minibatches for cell in part} for minibatches in epochs]
    assert np.mean([company[0][cell] == company[1][cell] for cell in CELLS]) < 0.05


@pytest.mark.parametrize("p_intra", [0.0, 0.25, 0.5, 0.9])
def test_p_intra_is_the_share_of_cells_in_single_batch_minibatches(batch, p_intra):
    codes = code_of(batch)
    in_own = []
    for seed in range(10):
        minibatches = epoch_of(BatchSampling(p_intra), batch, seed=seed)
        assert is_each_once(minibatches)
        in_own.append({cell for part in minibatches if np.unique(codes[part]).size == 1 for cell in part})
    share = np.mean([len(own) for own in in_own]) / N_CELLS
    assert abs(share - p_intra) < 0.02
    if p_intra:
        # Others in each epoch, so that every cell takes part.
        assert len(set.union(*in_own)) > 0.9 * N_CELLS


def test_cells_of_a_small_batch_share_mixed_minibatches(batch):
    codes, small = code_of(batch), CELLS[batch == 3]
    parts = [part for part in epoch_of(BatchSampling(0.5), batch) if np.isin(part, small).any()]
    assert all(np.unique(codes[part]).size > 1 for part in parts)
    # With nobody to be mixed with, they are among themselves rather than lost.
    alone = [part for part in epoch_of(BatchSampling(1.0), batch) if np.isin(part, small).any()]
    assert [sorted(part) for part in alone] == [sorted(small)]


@pytest.mark.parametrize("n_small", [15, 16])
def test_sixteen_cells_are_enough_to_be_contrasted_within_a_batch(n_small):
    batch = np.repeat([0, 1, 2], [100, n_small, 3])
    codes, cells = code_of(batch, np.arange(batch.size)), np.arange(batch.size)
    minibatches = epoch_of(BatchSampling(), batch, batch_size=32, cells=cells)
    with_small = [set(codes[part]) for part in minibatches if 1 in codes[part]]
    assert with_small == ([{1}] if n_small == 16 else [{1, 2}])


def test_a_single_left_over_cell_joins_others():
    batch = np.repeat([0, 1], [40, 1])
    minibatches = epoch_of(BatchSampling(), batch, batch_size=16, cells=np.arange(41))
    assert is_each_once(minibatches, np.arange(41))
    assert min(part.size for part in minibatches) >= 2


def test_even_shares_give_batches_the_same_number_of_minibatches_and_no_cell_twice_in_one(batch):
    codes, even = code_of(batch), BatchSampling(share="even")
    seen = np.zeros(2 * N_CELLS)
    for seed in range(20):
        minibatches = epoch_of(even, batch, seed=seed)
        assert all(np.unique(codes[part]).size == 1 for part in minibatches)
        counts = np.bincount([codes[part[0]] for part in minibatches])
        assert counts[0] == counts[1] == counts[2] >= 5
        assert all(np.unique(part).size == part.size for part in minibatches)
        assert max(part.size for part in minibatches) <= 64
        total = len(epoch_of(BatchSampling(), batch, seed=seed))
        assert abs(len(minibatches) - total) <= 2  # about as many altogether
        np.add.at(seen, np.concatenate(minibatches), 1)
    # Cells of small batches come several times and those of the largest not always, but nobody is left out.
    mean = [seen[CELLS[batch == code]].mean() / 20 for code in range(3)]
    assert mean[0] < 1 < mean[1] < mean[2]
    assert (seen[CELLS] > 0).all()


@pytest.mark.parametrize(
    "sampling",
    [
        UniformSampling(),
        BatchSampling(),
        BatchSampling(0.5),
        BatchSampling(0.37, "even"),
        BatchSampling(share="even"),
        NeighborSampling(0.5),
        NeighborSampling(0.5, within=BatchSampling(0.5)),
        BatchSampling(min_shared=0.9),
        NeighborSampling(0.5, within=BatchSampling(0.5, "even", min_shared=0.9)),
    ],
    ids=repr,
)
def test_every_epoch_has_the_same_number_of_minibatches_and_a_seed_repeats_it(sampling, batch, space):
    bound = sampling.bind(graph.CellSpace(space, of_all(batch)))
    epochs = [epoch_of(bound, batch, seed=seed) for seed in range(8)]
    assert len({len(minibatches) for minibatches in epochs}) == 1
    again = epoch_of(sampling.bind(graph.CellSpace(space, of_all(batch))), batch, seed=0)
    assert all(np.array_equal(a, b) for a, b in zip(epochs[0], again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(epochs[0], epochs[1], strict=True))


# Populations of one batch alone


@pytest.fixture(scope="module")
def lonely():
    """Three batches, in the space of their cells; the last of four kinds is in batch 0 only."""
    rng = np.random.default_rng(3)
    batch = np.repeat([0, 1, 2], [320, 240, 240])
    kind = np.concatenate([np.repeat([0, 1, 2, 3], 80), np.tile([0, 1, 2], 160)])
    x = 4 * np.eye(8)[kind] + rng.normal(0, 0.4, (800, 8)) + np.linspace(-1, 1, 3)[batch, None] * rng.normal(size=8)
    return x, batch, kind


def test_every_second_cell_of_a_population_of_one_batch_alone_comes_in_minibatches_of_another(lonely):
    x, batch, kind = lonely
    cells = np.random.default_rng(4).permutation(800)
    sampling = BatchSampling(min_shared=0.5).bind(graph.CellSpace(x, batch))
    where = np.zeros((20, 800), dtype=int)  # whose minibatch a cell is in: that of most of the cells
    for seed in range(20):
        minibatches = epoch_of(sampling, batch[cells], cells=cells, seed=seed)
        assert is_each_once(minibatches, cells)
        for part in minibatches:
            where[seed, part] = np.bincount(batch[part]).argmax()
    away, only_here = where != batch, kind == 3
    assert abs(away[:, only_here].mean() - 0.5) < 0.03
    assert away[:, ~only_here].mean() < 0.05
    visited = where[:, only_here]
    assert 0.15 < (visited == 1).mean() < 0.35 and 0.15 < (visited == 2).mean() < 0.35
    # Each is now at home and now with the same other batch.
    at_home = ~away[:, only_here]
    assert (at_home.mean(axis=0) > 0.1).all() and (at_home.mean(axis=0) < 0.9).all()
    assert all(np.unique(column[column != 0]).size == 1 for column in visited.T)


def test_a_population_of_two_batches_of_three_stays_with_its_own(lonely):
    x, batch, kind = lonely
    both = np.vstack([x, x[kind == 3] + x[batch == 1].mean(axis=0) - x[batch == 0].mean(axis=0)])
    batches = np.concatenate([batch, np.ones(80, dtype=int)])
    sampling = BatchSampling(min_shared=0.5).bind(graph.CellSpace(both, batches))
    parts = epoch_of(sampling, batches, cells=np.arange(880))
    assert sum((batches[part] != np.bincount(batches[part]).argmax()).sum() for part in parts) < 40


def test_batches_within_batches_share_minibatches_and_populations_go_to_one_of_them(lonely):
    x, batch, kind = lonely
    inner = batch * 2 + np.arange(800) % 2
    bound = BatchSampling(min_shared=0.5).bind(graph.CellSpace(x, batch, inner))
    where = set()
    for seed in range(5):
        for part in epoch_of(bound, inner, cells=np.arange(800), seed=seed):
            here = np.bincount(inner[part]).argmax()
            away = part[inner[part] != here]
            assert (inner[part] == here).mean() > 0.5 and np.isin(kind[away], 3).sum() >= away.size - 3
            where |= {int(here)} if away.size else set()
    assert where == {2, 3, 4, 5}  # those of the two batches that lack the kind


def test_batches_keep_to_themselves_unless_populations_are_asked_for(lonely):
    x, batch, _ = lonely
    assert not BatchSampling().needs_neighbors
    plain, bound = (
        epoch_of(s, batch, cells=np.arange(800))
        for s in (BatchSampling(), BatchSampling().bind(graph.CellSpace(x, batch)))
    )
    assert all(np.array_equal(a, b) for a, b in zip(plain, bound, strict=True))


def test_refreshed_neighbours_leave_the_populations_as_they_are(lonely):
    x, batch, _ = lonely
    bound = NeighborSampling(0.5, k=5, within=BatchSampling(min_shared=0.5)).bind(graph.CellSpace(x, batch))
    refreshed = bound.refresh(np.random.default_rng(5).normal(size=(800, 8)))

    def away(sampling):
        minibatches = epoch_of(sampling, batch, cells=np.arange(800))
        return {cell for part in minibatches for cell in part if batch[cell] != np.bincount(batch[part]).argmax()}

    assert away(refreshed) == away(bound) and len(away(bound)) > 30
    assert not np.array_equal(refreshed._neighbors, bound._neighbors)


# Neighbours


def neighbor_share(minibatches, neighbors):
    """Share of ordered pairs within minibatches of which the second is among the first's nearest."""
    pairs = sum(part.size * (part.size - 1) for part in minibatches)
    return sum(np.isin(neighbors[part], part).sum() for part in minibatches) / pairs


def test_the_share_of_neighbours_in_a_minibatch_rises_with_p_knn(batch, space):
    neighbors, _ = graph.knn(space, k=15)
    shares = []
    for p_knn in (0.0, 0.3, 0.6, 1.0):
        minibatches = epoch_of(NeighborSampling(p_knn).bind(graph.CellSpace(space, of_all(batch))), batch)
        assert is_each_once(minibatches)
        shares.append(neighbor_share(minibatches, neighbors))
    uniform = neighbor_share(epoch_of(UniformSampling(), batch), neighbors)
    assert abs(shares[0] - uniform) < 0.003
    assert np.all(np.diff(shares) > uniform)


def test_neighbours_are_grouped_within_what_the_other_sampling_allows(batch, space):
    codes, neighbors = code_of(batch), graph.knn(space, k=15)[0]
    within = BatchSampling()
    grouped = epoch_of(NeighborSampling(0.6, within=within).bind(graph.CellSpace(space, of_all(batch))), batch)
    assert is_each_once(grouped)
    assert all(np.unique(codes[part]).size == 1 for part in grouped)
    assert neighbor_share(grouped, neighbors) > 1.5 * neighbor_share(epoch_of(within, batch), neighbors)


def test_neighbours_among_cells_that_come_several_times(batch, space):
    even = NeighborSampling(0.6, within=BatchSampling(share="even")).bind(graph.CellSpace(space, of_all(batch)))
    minibatches = epoch_of(even, batch)
    counts = np.bincount([code_of(batch)[part[0]] for part in minibatches])
    assert counts[0] == counts[1] == counts[2]
    assert all(np.unique(part).size == part.size for part in minibatches)


@pytest.mark.parametrize("sampling", [NeighborSampling(), BatchSampling(min_shared=0.5)], ids=repr)
def test_what_needs_neighbours_must_be_bound_first(sampling, batch):
    assert sampling.needs_neighbors
    with pytest.raises(ValueError, match="bind"):
        epoch_of(sampling, batch)


@pytest.fixture(scope="module")
def adata():
    adata = sccl.datasets.simulate(n_cells=300, n_genes=100, n_batches=3, n_types=4, seed=0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return adata


class Watch(Callback):
    """Keep what each epoch would draw from one and the same randomness, so that only the neighbours can differ."""

    def __init__(self):
        self.minibatches, self.starts = [], []

    def on_train_epoch_start(self, trainer, pl_module):
        requests, cells = trainer.train_dataloader.sampler, np.arange(300)
        drawn = epoch_of(requests.sampling, np.zeros(300), cells=cells)
        self.minibatches.append(np.concatenate(drawn))
        steps = requests.augmentation.draw(cells, pool=cells, seed=0, epoch=0, view=1)
        self.starts.append(steps[0].partners)

    @staticmethod
    def changes(epochs):
        return [not np.array_equal(a, b) for a, b in pairwise(epochs)]


def test_training_refreshes_the_neighbours_from_the_embedding_when_it_is_due(adata):
    torch.manual_seed(0)
    watch = Watch()
    sccl.SimCLR(adata).train(
        5,
        augmentation=MNN(k_anchor=20, p=1.0, refresh_every=1),
        sampling=NeighborSampling(0.5, refresh_every=2),
        callbacks=[watch],
        batch_size=100,
        enable_progress_bar=False,
        accelerator="cpu",
    )
    assert watch.changes(watch.minibatches) == [False, True, False, True]
    assert all(watch.changes(watch.starts))


def test_without_a_refresh_the_neighbours_stay(adata):
    watch = Watch()
    sccl.SimCLR(adata).train(
        3,
        augmentation=MNN(p=1.0),
        sampling="neighbor",
        callbacks=[watch],
        batch_size=100,
        enable_progress_bar=False,
        accelerator="cpu",
    )
    assert not any(watch.changes(watch.minibatches) + watch.changes(watch.starts))


@pytest.mark.parametrize("sampling", ["uniform", "batch", "neighbor", "batch+neighbor"])
def test_a_model_trains_with_each_sampling_and_a_seed_repeats_it(sampling, adata):
    embeddings = []
    for seed in (0, 0):
        torch.manual_seed(seed)
        model = sccl.SimCLR(adata)
        model.train(2, sampling=sampling, batch_size=64, enable_progress_bar=False, accelerator="cpu")
        embeddings.append(model.get_latent_representation())
    assert np.array_equal(*embeddings)


# Several processes


def requests_of(sampling, batch, space, **kwargs):
    return RequestSampler(
        CELLS,
        batch,
        augmentation=preset("clear"),
        sampling=sampling.bind(graph.CellSpace(space, of_all(batch))) if sampling else None,
        batch_size=64,
        seed=3,
        **kwargs,
    )


@pytest.mark.parametrize(
    "sampling",
    [None, UniformSampling(), BatchSampling(0.7), NeighborSampling(within=BatchSampling())],
    ids=["in order", "uniform", "batch", "batch+neighbor"],
)
@pytest.mark.parametrize("n_ranks", [1, 2, 3, 5])
def test_ranks_share_each_minibatch_of_the_epoch_of_one_process(sampling, n_ranks, batch, space):
    whole = requests_of(sampling, batch, space, rank=0, n_ranks=1)
    parts = [requests_of(sampling, batch, space, rank=rank, n_ranks=n_ranks) for rank in range(n_ranks)]
    for epoch in (0, 4):
        for sampler in (whole, *parts):
            sampler.set_epoch(epoch)
        everything = [request.cells.tolist() for request in whole]
        shares = [[request.cells for request in sampler] for sampler in parts]
        assert {len(share) for share in shares} == {len(sampler) for sampler in (whole, *parts)} == {len(everything)}
        for step, minibatch in enumerate(everything):
            together = [share[step] for share in shares]
            assert np.concatenate(together).tolist() == minibatch
            assert max(map(len, together)) - min(map(len, together)) <= 1


def test_the_last_epoch_may_be_a_part_of_one(batch, space):
    whole, part = (requests_of(BatchSampling(0.7), batch, space, n_steps=n) for n in (None, 2 * 18 + 3))
    assert whole.steps_per_epoch == 18
    for epoch, n_steps in enumerate([18, 18, 3, 0]):
        for sampler in (whole, part):
            sampler.set_epoch(epoch)
        taken = [request.cells.tolist() for request in part]
        assert len(taken) == len(part) == n_steps
        assert taken == [request.cells.tolist() for request in whole][:n_steps]


def test_views_are_the_same_on_whichever_rank_a_cell_comes(batch, space):
    def drawn(**rank):
        return {
            cell: (step.applied[i], step.keys[i])
            for request in requests_of(UniformSampling(), batch, space, **rank)
            for step in request.steps[1][:1]
            for i, cell in enumerate(request.cells)
        }

    whole = drawn(rank=0, n_ranks=1)
    for rank in (0, 1):
        part = drawn(rank=rank, n_ranks=2)
        assert part == {cell: whole[cell] for cell in part}


def one_rank(rank, folder, batch, space):
    """Join a group of two processes and write down what this one is given in two epochs."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2)
    sampler = requests_of(NeighborSampling(within=BatchSampling(0.5)), batch, space)
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        np.savez(os.path.join(folder, f"{rank}-{epoch}.npz"), *[request.cells for request in sampler])
        torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_two_real_processes_take_a_share_each(tmp_path, batch, space):
    # Forked, like a data loader's workers: a fresh process would spend ten seconds on imports.
    torch.multiprocessing.start_processes(one_rank, (str(tmp_path), batch, space), nprocs=2, start_method="fork")
    whole = requests_of(NeighborSampling(within=BatchSampling(0.5)), batch, space)
    for epoch in (0, 1):
        whole.set_epoch(epoch)
        everything = [request.cells.tolist() for request in whole]
        for rank in (0, 1):
            with np.load(tmp_path / f"{rank}-{epoch}.npz") as file:
                share = [file[name].tolist() for name in file.files]
            assert share == [np.array_split(minibatch, 2)[rank].tolist() for minibatch in everything]


# Any sizes


@settings(max_examples=150, deadline=None)
@given(
    n_cells=st.integers(1, 300),
    lone_batches=st.integers(0, 4),
    n_batches=st.integers(1, 5),
    batch_size=st.integers(2, 64),
    p_intra=st.floats(0, 1),
    p_knn=st.none() | st.floats(0, 1),
    even=st.booleans(),
    min_shared=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)
def test_no_cell_is_lost_or_alone_whatever_the_sizes(
    n_cells, lone_batches, n_batches, batch_size, p_intra, p_knn, even, min_shared, seed
):
    rng = np.random.default_rng(seed)
    batch = rng.integers(n_batches, size=n_cells)
    batch[:lone_batches] = np.arange(lone_batches)[:n_cells] + n_batches
    cells = rng.permutation(2 * n_cells)[:n_cells]
    everywhere = np.zeros(2 * n_cells, dtype=int)
    everywhere[cells] = batch
    sampling = BatchSampling(p_intra, "even" if even else "proportional", min_shared)
    if p_knn is not None:
        sampling = NeighborSampling(p_knn, within=sampling)
    sampling = sampling.bind(graph.CellSpace(rng.normal(size=(2 * n_cells, 3)), everywhere))
    epochs = [epoch_of(sampling, batch, batch_size=batch_size, seed=i, cells=cells) for i in range(3)]
    n_minibatches = sampling.n_minibatches(cells, batch, batch_size=batch_size)
    assert {len(minibatches) for minibatches in epochs} == {n_minibatches}
    for minibatches in epochs:
        sizes = [part.size for part in minibatches]
        assert min(sizes) >= min(2, n_cells)
        assert max(sizes) <= max(batch_size, 3)
        assert all(np.unique(part).size == part.size for part in minibatches)
        assert np.isin(np.concatenate(minibatches), cells).all()
        assert even or is_each_once(minibatches, cells)


# What may be passed


def test_names_and_mappings_say_the_same_as_objects():
    assert as_sampling(None) == as_sampling("uniform") == as_sampling({"uniform": {}}) == UniformSampling()
    assert as_sampling("batch") == as_sampling({"batch": None}) == BatchSampling()
    assert as_sampling("neighbor") == NeighborSampling(within=UniformSampling())
    assert as_sampling("batch+neighbor") == as_sampling("neighbor+batch") == NeighborSampling(within=BatchSampling())
    mapping = {"neighbor": {"p_knn": 0.4, "k": 3}, "batch": {"p_intra": 0.9, "share": "even"}}
    assert as_sampling(mapping) == NeighborSampling(0.4, k=3, within=BatchSampling(0.9, "even"))
    own = BatchSampling(0.3)
    assert as_sampling(own) is own


@pytest.mark.parametrize(
    ("sampling", "error", "message"),
    [
        ("batc", KeyError, "did you mean 'batch'"),
        ("batch+neighbour", KeyError, "did you mean 'neighbor'"),
        ({"batch": {"p_intr": 0.5}}, KeyError, "did you mean 'p_intra'"),
        ("uniform+batch", ValueError, "must name one of"),
        ({}, ValueError, "must name one of"),
        ({"batch": {"p_intra": 1.5}}, ValueError, "p_intra"),
        ({"batch": {"share": "odd"}}, ValueError, "share"),
        ({"batch": {"min_shared": -0.1}}, ValueError, r"`min_shared` must be in \[0, 1\], found -0.1"),
        ({"batch": {"min_shared": float("nan")}}, ValueError, "`min_shared`.*found nan"),
        ({"neighbor": {"p_knn": -0.1}}, ValueError, "p_knn"),
        ({"neighbor": {"k": 0}}, ValueError, "`k`"),
        ({"neighbor": {"refresh_every": 0}}, ValueError, "refresh_every"),
    ],
)
def test_what_cannot_be_sampled_is_refused(sampling, error, message):
    with pytest.raises(error, match=message):
        as_sampling(sampling)


def test_a_composition_of_views_and_a_sampling_share_the_space_that_is_named(adata):
    adata = adata.copy()
    adata.obsm["X_types"] = np.eye(4)[adata.obs["cell_type"].cat.codes] + np.random.default_rng(0).normal(
        0, 1e-3, (300, 4)
    )
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    types, same_type = adata.obs["cell_type"].to_numpy(), []

    class Look(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            cells = np.arange(300)
            steps = trainer.train_dataloader.sampler.augmentation.draw(cells, pool=cells, seed=0, epoch=0, view=0)
            same_type.append((types[steps[0].partners] == types).mean())

    sccl.SimCLR(adata).train(
        1,
        augmentation=Compose([MNN(p=1.0)]),
        sampling="neighbor",
        use_rep="X_types",
        callbacks=[Look()],
        enable_progress_bar=False,
        accelerator="cpu",
    )
    assert same_type == [1.0]

"""Who is near whom: neighbours, batch-balanced neighbours, mutual nearest neighbours."""

import os
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path

import anndata as ad
import numba
import numpy as np
import pandas as pd
import pytest
from by_hand import distances_by_hand, nearest_by_hand
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from one_sided import one_sided
from scipy import sparse

import sccl.graph as graph
from sccl.augment import CrossBatchPositive

DATA = Path(os.environ.get("SCCL_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
METRICS = ("cosine", "euclidean")
# anndata 0.13 asks pandas 3 for an option that pandas has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")


def clusters(n: int, dims: int = 50, seed: int = 0) -> np.ndarray:
    """Cells in 30 groups, their spread falling from dimension to dimension as that of principal components does."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(30, dims)) * np.linspace(3, 0.3, dims)
    return (centers[rng.integers(30, size=n)] + rng.normal(size=(n, dims)) * np.linspace(2, 0.3, dims)).astype("f4")


@pytest.fixture
def cells() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)


@pytest.fixture
def batches() -> np.ndarray:
    return np.random.default_rng(1).choice(["a", "b", "c"], size=400, p=[0.6, 0.3, 0.1])


# ---------------------------------------------------------------------------------------------------------------- knn


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n", [2, 17, 400, 2600])  # more than one block of queries, more than one of references
def test_exact_neighbours_equal_those_found_by_hand(metric, n):
    x = np.random.default_rng(n).normal(size=(n, 8)).astype(np.float32)
    k = min(15, n - 1)
    by_hand = distances_by_hand(x, x, metric)
    np.fill_diagonal(by_hand, np.inf)
    indices, distances = graph.knn(x, k=k, metric=metric, method="exact")
    assert indices.dtype == np.int32 and distances.dtype == np.float32
    np.testing.assert_array_equal(indices, nearest_by_hand(by_hand, k))
    np.testing.assert_allclose(distances, np.take_along_axis(by_hand, indices, axis=1), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("metric", METRICS)
def test_a_query_is_answered_with_rows_of_x(cells, metric):
    query = np.random.default_rng(5).normal(size=(30, 8))
    indices, _ = graph.knn(cells, query=query, k=4, metric=metric)
    np.testing.assert_array_equal(indices, nearest_by_hand(distances_by_hand(query, cells, metric), 4))


@pytest.mark.parametrize("method", ["exact", "annoy", "lists"])
def test_the_cell_itself_comes_first_only_when_asked_for(cells, method):
    without, _ = graph.knn(cells, k=4, method=method)
    with_self, distances = graph.knn(cells, k=5, include_self=True, method=method)
    assert not (without == np.arange(400)[:, None]).any()
    np.testing.assert_array_equal(with_self[:, 0], np.arange(400))
    np.testing.assert_array_equal(with_self[:, 1:], without)
    assert (distances[:, 0] == 0).all()


@pytest.mark.parametrize("method", ["exact", "annoy", "lists"])
@pytest.mark.parametrize("metric", METRICS)
def test_an_identical_cell_is_a_neighbour_and_the_cell_itself_is_not(cells, method, metric):
    twice = np.vstack([cells, cells])
    indices, distances = graph.knn(twice, k=3, method=method, metric=metric)
    np.testing.assert_array_equal(indices[:, 0], (np.arange(800) + 400) % 800)
    np.testing.assert_array_equal(distances[:, 0], 0)


@pytest.mark.parametrize("method", ["exact", "annoy", "lists"])
def test_rows_are_padded_where_cells_are_too_few(method):
    indices, distances = graph.knn(np.eye(3), k=5, metric="euclidean", method=method)
    np.testing.assert_array_equal(indices, [[1, 2, -1, -1, -1], [0, 2, -1, -1, -1], [0, 1, -1, -1, -1]])
    np.testing.assert_array_equal(np.isinf(distances), indices == -1)
    assert graph.knn(np.ones((1, 2)), k=2, method=method)[0].tolist() == [[-1, -1]]
    assert graph.knn(np.ones((1, 2)), k=2, method=method, include_self=True)[0].tolist() == [[0, -1]]


@pytest.mark.parametrize("method", ["exact", "annoy", "lists"])
def test_cells_of_zeros_have_a_cosine_distance(method):
    x = np.zeros((40, 3))
    x[0] = [1, 2, 3]
    indices, distances = graph.knn(x, k=5, method=method)
    assert (indices >= 0).all() and (distances == 1).all()
    assert (graph.knn(np.zeros((40, 3)), k=5, method=method, metric="euclidean")[1] == 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_neither_a_far_origin_nor_a_huge_scale_changes_the_neighbours(cells, metric):
    expected, _ = graph.knn(cells, metric=metric)
    huge, distances = graph.knn(cells.astype(np.float64) * 1e25, metric=metric)
    np.testing.assert_array_equal(huge, expected)
    assert np.isfinite(distances).all()
    if metric == "euclidean":
        grid = np.round(cells * 64)  # stays exact in float32 after the shift
        np.testing.assert_array_equal(graph.knn(grid + 1e5, metric=metric)[0], graph.knn(grid, metric=metric)[0])


@pytest.mark.parametrize("method", ["exact", "annoy", "lists"])
def test_a_seed_gives_the_same_neighbours_on_any_number_of_threads(method):
    x = clusters(3000)
    one = graph.knn(x, method=method, seed=3, n_jobs=1)
    many = graph.knn(x, method=method, seed=3, n_jobs=4)
    np.testing.assert_array_equal(one[0], many[0])
    np.testing.assert_array_equal(one[1], many[1])


def test_annoy_finds_nearly_all_neighbours():
    x = clusters(10_000)
    exact, _ = graph.knn(x, query=x[:2000], method="exact")
    found, _ = graph.knn(x, query=x[:2000], method="annoy")
    assert np.mean([np.isin(a, b).mean() for a, b in zip(found, exact, strict=True)]) >= 0.97


def test_auto_is_exact_when_small(cells):
    np.testing.assert_array_equal(graph.knn(cells)[0], graph.knn(cells, method="exact")[0])


def test_auto_takes_annoy_when_large(cells, monkeypatch):
    monkeypatch.setattr("sccl.graph.search.LARGEST_EXACT", len(cells) ** 2 - 1)
    np.testing.assert_array_equal(graph.knn(cells, n_trees=1)[0], graph.knn(cells, method="annoy", n_trees=1)[0])


# ----------------------------------------------------------------------------------------------------- batch balanced


@pytest.mark.parametrize("metric", METRICS)
def test_balanced_neighbours_are_the_nearest_of_every_batch(cells, batches, metric):
    by_hand = distances_by_hand(cells, cells, metric)
    np.fill_diagonal(by_hand, np.inf)
    table = graph.batch_balanced_knn(cells, batches, k=4, metric=metric)
    assert table.dtype == np.int32 and table.shape == (400, 12)
    for position, batch in enumerate("abc"):
        members = np.flatnonzero(batches == batch)
        expected = members[nearest_by_hand(by_hand[:, members], 4)]
        np.testing.assert_array_equal(table[:, 4 * position : 4 * position + 4], expected)


def test_balanced_neighbours_of_one_batch_are_plain_neighbours(cells):
    np.testing.assert_array_equal(graph.batch_balanced_knn(cells, ["x"] * 400, k=7), graph.knn(cells, k=7)[0])


def test_a_batch_of_few_cells_is_padded():
    x = np.array([[0.0], [1], [2], [10], [11], [5]])
    table = graph.batch_balanced_knn(x, list("aaabbc"), k=3, metric="euclidean")
    assert table[0].tolist() == [1, 2, -1, 3, 4, -1, 5, -1, -1]
    assert table[5].tolist() == [2, 1, 0, 3, 4, -1, -1, -1, -1]
    assert graph.batch_balanced_knn(x[:1], ["a"], k=2).tolist() == [[-1, -1]]


@pytest.mark.parametrize(
    "labels",
    [
        np.array([2, 10, 2, 10, 2]),
        pd.Series(["t", "u", "t", "u", "t"], index=list("vwxyz")),
        pd.Categorical(["t", "u", "t", "u", "t"], categories=["u", "unused", "t"]),
    ],
)
def test_batches_may_be_numbers_or_names_or_categories(labels):
    x = np.arange(5.0)[:, None]
    table = graph.batch_balanced_knn(x, labels, k=1, metric="euclidean")
    np.testing.assert_array_equal(table, [[2, 1], [0, 3], [0, 1], [2, 1], [2, 3]])


def test_the_graph_counts_every_edge_in_both_directions(cells, batches):
    table = graph.batch_balanced_knn(cells, batches, k=2)
    indptr, indices = graph.as_graph(table, 400)
    assert indptr.dtype == np.int64 and indices.dtype == np.int32
    matrix = sparse.csr_array((np.ones(len(indices)), indices, indptr), shape=(400, 400)).toarray()
    by_hand = np.zeros((400, 400))
    by_hand[np.arange(400)[:, None], table] = 1
    assert not (by_hand == by_hand.T).all()
    np.testing.assert_array_equal(matrix, np.maximum(by_hand, by_hand.T))
    assert not matrix.diagonal().any()
    indptr, indices = graph.as_graph(table, 400, symmetric=False)
    one_way = sparse.csr_array((np.ones(len(indices)), indices, indptr), shape=(400, 400)).toarray()
    np.testing.assert_array_equal(one_way, by_hand)


def test_padding_is_no_neighbour_in_the_graph():
    indptr, indices = graph.as_graph([[1, -1], [-1, -1], [-1, -1]], 3)
    assert indptr.tolist() == [0, 1, 2, 2] and indices.tolist() == [1, 0]


def test_partners_are_drawn_uniformly_and_cells_without_any_get_minus_one():
    adjacency = graph.pairs_as_graph([[0, 3], [0, 4], [0, 5], [1, 3]], 7)
    rng = np.random.default_rng(0)
    drawn = graph.draw(adjacency, np.repeat([0, 1, 2], 3000), rng=rng).reshape(3, 3000)
    np.testing.assert_allclose(np.bincount(drawn[0], minlength=7)[3:6] / 3000, 1 / 3, atol=0.04)
    assert (drawn[1] == 3).all() and (drawn[2] == -1).all()
    assert adjacency.degrees.tolist() == [3, 1, 0, 2, 1, 1, 0]


def test_compiled_code_takes_the_graph_as_it_is():
    @numba.njit
    def last_neighbour(adjacency, cell):
        return adjacency.indices[adjacency.indptr[cell + 1] - 1]

    assert last_neighbour(graph.pairs_as_graph([[0, 2], [0, 3]], 4), 0) == 3


# ----------------------------------------------------------------------------------------------------- mutual nearest


def mutual_by_hand(x: np.ndarray, batches: np.ndarray, k: int, metric: str, space: str, k_filter=None) -> list:
    """Every two batches, every two cells, one by one."""
    pairs = []
    for a, b in combinations(np.unique(batches), 2):
        first, second = np.flatnonzero(batches == a), np.flatnonzero(batches == b)
        x1, x2 = x[first].astype(np.float64), x[second].astype(np.float64)
        plain = distances_by_hand(x1, x2, metric)
        if space == "centered":
            x1, x2 = x1 - x1.mean(axis=0), x2 - x2.mean(axis=0)
        distances = distances_by_hand(x1, x2, metric)
        for i in range(len(first)):
            for j in range(len(second)):
                d = distances[i, j]
                mutual = (distances[i] < d).sum() < k and (distances[:, j] < d).sum() < k
                if mutual and k_filter is not None:
                    d = plain[i, j]
                    mutual = (plain[i] < d).sum() < k_filter and (plain[:, j] < d).sum() < k_filter
                if mutual:
                    pairs.append(sorted((int(first[i]), int(second[j]))))
    return sorted(pairs)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("space", ["centered", "given"])
@pytest.mark.parametrize("k_filter", [None, 6])
def test_mutual_neighbours_equal_those_found_by_hand(cells, batches, metric, space, k_filter):
    cells, batches = cells[:150], batches[:150]
    pairs = graph.mutual_nearest_neighbors(cells, batches, k=4, metric=metric, space=space, k_filter=k_filter)
    assert pairs.dtype == np.int32
    assert pairs.tolist() == mutual_by_hand(cells, batches, 4, metric, space, k_filter)


def test_pairs_name_rows_of_the_whole_data_not_of_a_batch():
    """Three batches, one after the other, of four types: were positions within a batch taken for rows, all would fail."""
    rng = np.random.default_rng(0)
    types = np.concatenate([rng.permutation(np.repeat(np.arange(4), 15)) for _ in range(3)])
    batches = np.repeat(["a", "b", "c"], 60)
    shift = np.repeat(rng.normal(size=(3, 10)) * 3, 60, axis=0)
    x = 5 * np.eye(10)[types] + shift + rng.normal(size=(180, 10)) * 0.5
    pairs = graph.mutual_nearest_neighbors(x, batches)
    assert len(np.unique(pairs)) > 0.9 * 180
    assert (batches[pairs[:, 0]] != batches[pairs[:, 1]]).all()
    assert (types[pairs[:, 0]] == types[pairs[:, 1]]).all()
    assert {tuple(p) for p in np.column_stack([batches[pairs[:, 0]], batches[pairs[:, 1]]])} == {
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    }


def test_pairs_do_not_depend_on_the_order_of_the_cells(cells, batches):
    order = np.random.default_rng(2).permutation(400)
    pairs = graph.mutual_nearest_neighbors(cells, batches)
    shuffled = order[graph.mutual_nearest_neighbors(cells[order], batches[order])]
    assert sorted(map(sorted, shuffled.tolist())) == pairs.tolist()


def test_one_batch_has_no_pairs(cells):
    pairs = graph.mutual_nearest_neighbors(cells, np.zeros(400), refine=True, k_filter=3)
    assert pairs.shape == (0, 2) and pairs.dtype == np.int32
    assert graph.pairs_as_graph(pairs, 400).degrees.sum() == 0


def test_a_batch_of_one_cell_is_paired_with_its_nearest():
    x = np.array([[1.0, 0], [0, 1], [0.1, 1]])
    assert graph.mutual_nearest_neighbors(x, ["a", "a", "b"], k=1).tolist() == [[1, 2]]


@pytest.mark.parametrize("space", ["centered", "cca", "given"])
@pytest.mark.parametrize("metric", METRICS)
def test_identical_cells_break_nothing(space, metric):
    x = np.ones((20, 3))
    pairs = graph.mutual_nearest_neighbors(x, [0] * 8 + [1] * 12, space=space, metric=metric, refine=True, k_filter=3)
    assert ((pairs[:, 0] < 8) & (pairs[:, 1] >= 8)).all()


def test_the_filter_takes_the_features_it_is_given(cells, batches):
    features = np.random.default_rng(9).normal(size=(400, 3))
    unfiltered = graph.mutual_nearest_neighbors(cells, batches)
    filtered = graph.mutual_nearest_neighbors(cells, batches, k_filter=10, features=features)
    assert 0 < len(filtered) < len(unfiltered) / 2
    assert set(map(tuple, filtered)) < set(map(tuple, unfiltered))


def test_refinement_keeps_the_more_similar_kind_of_pairs():
    rng = np.random.default_rng(0)
    angle = np.concatenate([rng.normal(0.2, 0.03, 300), rng.normal(1.2, 0.1, 200)])
    x = np.vstack([np.tile([1.0, 0], (500, 1)), np.column_stack([np.cos(angle), np.sin(angle)])])
    pairs = np.column_stack([np.arange(500), np.arange(500) + 500])
    kept = graph.refine_pairs(x, pairs)
    np.testing.assert_array_equal(kept, pairs[:300])
    np.testing.assert_array_equal(graph.refine_pairs(x, pairs, metric="euclidean"), pairs[:300])
    np.testing.assert_array_equal(graph.refine_pairs(x, kept[:9]), kept[:9])  # too few
    np.testing.assert_array_equal(graph.refine_pairs(np.ones((60, 2)), pairs[:50] % 60), pairs[:50] % 60)  # all alike


def test_refinement_never_prefers_a_less_similar_pair(cells, batches):
    pairs = graph.mutual_nearest_neighbors(cells, batches, space="given")
    similarity = 1 - distances_by_hand(cells, cells, "cosine")[pairs[:, 0], pairs[:, 1]]
    kept = np.isin(pairs @ [400, 1], graph.refine_pairs(cells, pairs) @ [400, 1])
    assert 0 < kept.sum() < len(pairs)
    assert similarity[kept].min() > similarity[~kept].max()


# ------------------------------------------------------------------------------------------------- many batches, many cells


@given(st.integers(1, 60), st.integers(2, 12), st.integers(0, 5))
def test_each_batch_is_compared_with_few_others_and_all_are_connected(n_batches, n_others, seed):
    others = graph.compared_batches(n_batches, n_others=n_others, seed=seed)
    n_compared = others.shape[1]
    assert n_compared == n_batches - 1 if n_batches <= n_others + 1 else n_compared == n_others // 2 * 2
    assert all(a not in row and (np.diff(row) > 0).all() for a, row in enumerate(others))
    assert all(a in others[b] for a, row in enumerate(others) for b in row)
    reached = {0}
    for _ in range(n_batches):
        reached |= {int(b) for a in reached for b in others[a]}
    assert len(reached) == n_batches


def test_pairs_are_looked_for_between_compared_batches_alone():
    x = np.random.default_rng(0).normal(size=(600, 5))
    batches = np.arange(600) % 30
    pairs = graph.mutual_nearest_neighbors(x, batches, n_others=4)
    everyone = set(map(tuple, graph.mutual_nearest_neighbors(x, batches)))
    others = graph.compared_batches(30, n_others=4)
    expected = {(i, j) for i, j in everyone if batches[j] in others[batches[i]]}
    assert set(map(tuple, pairs)) == expected and 0 < len(expected) < len(everyone) / 5


def test_among_few_cells_few_neighbours_are_looked_at(cells):
    batches = np.repeat(["a", "b"], [380, 20])
    pairs = graph.mutual_nearest_neighbors(cells, batches, k=10, max_share=0.05)
    assert set(np.bincount(pairs[:, 0])) <= {0, 1}  # the nearest one of 20 alone
    assert np.bincount(pairs[:, 1]).max() > 5  # but several of 380
    np.testing.assert_array_equal(
        graph.mutual_nearest_neighbors(cells, batches, k=3, max_share=1.0),
        graph.mutual_nearest_neighbors(cells, batches, k=3),
    )


def test_landmarks_stand_for_the_cells_of_their_batch_that_are_nearest_to_them(cells, batches):
    nearest = graph.nearest_landmark(cells, batches, n_landmarks=50)
    landmarks = np.unique(nearest)
    np.testing.assert_array_equal(nearest[landmarks], landmarks)
    for name in "abc":
        here = np.flatnonzero(batches == name)
        own = landmarks[batches[landmarks] == name]
        assert own.size == min(50, here.size)
        distances = distances_by_hand(cells[here], cells[own], "euclidean")
        np.testing.assert_array_equal(nearest[here], own[distances.argmin(axis=1)])
    pairs = graph.mutual_nearest_neighbors(cells, batches, n_landmarks=50)
    assert len(pairs) and np.isin(pairs, landmarks).all()
    np.testing.assert_array_equal(graph.nearest_landmark(cells, batches), np.arange(400))


# -------------------------------------------------------------------------------------------------- shared populations


def test_cells_of_a_population_that_the_other_batch_lacks_are_not_matched_there():
    x, batch, types = one_sided()
    names = np.array(["new", "old"])[1 - batch]  # "new" is the second batch, but its name comes first
    shared = graph.shared_populations(x, names)
    assert shared.matched_no.shape == (1200, 1) and shared.matched_no.dtype == np.float32
    np.testing.assert_array_equal(shared.codes, 1 - batch)
    lonely = types == 4
    assert (shared.mean_matched[lonely] < 0.3).mean() > 0.95
    assert (shared.mean_matched[~lonely] < 0.3).mean() < 0.02
    np.testing.assert_array_equal(shared.matched(np.arange(1200), batch), shared.matched_no[:, 0])
    np.testing.assert_array_equal(graph.shared_populations(x, names, n_jobs=1).matched_no, shared.matched_no)


def changed_population(n=1500, seed=0):
    """Two batches of five types; type 0 differs between them by much more than the others, and than its own cells do."""
    rng = np.random.default_rng(seed)
    types, batch = rng.integers(5, size=2 * n), np.repeat([0, 1], n)
    x = rng.normal(0, 2, (5, 12))[types] + rng.normal(0, 0.7, (2 * n, 12)) + batch[:, None] * rng.normal(0, 1, 12)
    x[(types == 0) & (batch == 1)] += rng.normal(0, 1.2, 12)
    return x.astype(np.float32), batch, types


def test_a_population_that_changed_strongly_is_matched_all_the_same():
    missed = []
    for seed in range(6):
        x, batch, types = changed_population(seed=seed)
        low = graph.shared_populations(x, batch).mean_matched < 0.3
        missed.append((low.mean(), low[types == 0].mean()))
    of_all, of_changed = np.mean(missed, axis=0)
    assert of_all < 0.05 and of_changed < 0.2  # 12 seeds: .03 and .14


def test_landmarks_are_enough_to_see_what_is_shared():
    x, batch, types = one_sided(3000)
    few, more = (graph.shared_populations(x, batch, n_landmarks=n).mean_matched for n in (300, 1000))
    assert not np.array_equal(few, more)
    for matched in (few, more):
        assert ((matched < 0.3) == (types == 4)).mean() > 0.97


@pytest.mark.parametrize("n_few", [29, 30])
def test_of_a_batch_of_few_cells_nothing_is_said(n_few):
    x, batch, _ = one_sided(100)
    keep = (batch == 1) | (np.arange(200) < n_few)
    assert (graph.shared_populations(x[keep], batch[keep]).matched_no < 1).any() == (n_few == 30)
    alone = graph.shared_populations(x, np.zeros(200))  # one batch
    assert alone.matched_no.shape == (200, 0) and (alone.mean_matched == 1).all()


def test_of_many_batches_each_is_judged_by_those_it_is_compared_with():
    x, batch, _types = one_sided(900)
    parts = batch * 15 + np.arange(1800) % 15  # thirty batches, of two sorts
    shared = graph.shared_populations(x, parts)
    assert shared.matched_no.shape == (1800, 8)
    np.testing.assert_array_equal(shared.others_bo, graph.compared_batches(30))
    cells = np.arange(1800)
    column = shared.others_bo[shared.codes, 3]
    np.testing.assert_array_equal(shared.matched(cells, column), shared.matched_no[:, 3])
    not_compared = np.array([np.setdiff1d(np.arange(30), [*shared.others_bo[c], c])[0] for c in shared.codes])
    assert not shared.matched(cells, not_compared).any()


def test_pairs_of_populations_that_one_batch_lacks_can_be_left_out():
    x, batch, types = one_sided()
    space = graph.CellSpace(x, batch)
    pairs, kept = (CrossBatchPositive(min_shared=limit).bind(space).pairs for limit in (0, 0.5))
    np.testing.assert_array_equal(pairs, graph.mutual_nearest_neighbors(x, batch, k=10, max_share=0.05))
    assert set(map(tuple, kept)) < set(map(tuple, pairs))
    right = types[pairs[:, 0]] == types[pairs[:, 1]]
    assert (types[pairs] == 4).any(axis=1).sum() > 50 and right.mean() < 0.95
    right_kept = types[kept[:, 0]] == types[kept[:, 1]]
    assert (types[kept] == 4).any(axis=1).sum() <= 20
    assert right_kept.sum() > 0.9 * right.sum() and right_kept.mean() > 0.95


def test_few_cells_keep_all_their_pairs():
    x, batch, _ = one_sided(29)
    kept = CrossBatchPositive(min_shared=1.0).bind(graph.CellSpace(x, batch)).pairs
    np.testing.assert_array_equal(kept, graph.mutual_nearest_neighbors(x, batch, k=10, max_share=0.05))


def test_a_space_has_what_its_cells_share_and_knows_batches_within_batches():
    x, batch, _ = one_sided(100)
    space = graph.CellSpace(x, np.array(["b", "a"])[batch])
    assert space.n_batches == 2 and np.array_equal(space.codes, 1 - batch)
    np.testing.assert_array_equal(space.shared.matched_no, graph.shared_populations(x, space.batch).matched_no)
    assert space.shared is space.shared and np.array_equal(space.inner, space.batch)
    inner = batch * 3 + np.arange(200) % 3
    assert np.array_equal(graph.CellSpace(x, batch, inner).inner, inner)
    with pytest.raises(ValueError, match="`inner`: a batch within batches lies in two of `batch`"):
        graph.CellSpace(x, batch, np.arange(200) % 3)


def test_shared_directions_reproduce_the_products_of_two_batches(cells):
    x1, x2 = cells[:100].astype(np.float64), cells[100:230].astype(np.float64)
    z1, z2 = graph.cca(x1, x2)
    assert z1.shape == (100, 8) and z2.shape == (130, 8)  # clipped to the dims there are
    products = (x1 - x1.mean(axis=0)) @ (x2 - x2.mean(axis=0)).T
    np.testing.assert_allclose(z1 @ z2.T, products, atol=1e-4)
    u, s, vt = np.linalg.svd(products)
    z1, z2 = graph.cca(x1, x2, n_comps=3)
    np.testing.assert_allclose(z1 @ z2.T, u[:, :3] * s[:3] @ vt[:3], atol=1e-4)


# ------------------------------------------------------------------------------------------------ properties of all


@st.composite
def cells_in_batches(draw):
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=(n, draw(st.integers(1, 5))))
    if draw(st.booleans()):
        x = np.round(x)  # many identical cells, many of zeros
    return x, rng.integers(draw(st.integers(1, 4)), size=n), draw(st.integers(1, 12)), draw(st.sampled_from(METRICS))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cells_in_batches(), st.sampled_from(["exact", "annoy", "lists"]))
def test_neighbours_have_their_shape_and_order_and_are_never_the_cell_itself(case, method):
    x, _, k, metric = case
    n = len(x)
    indices, distances = graph.knn(x, k=k, metric=metric, method=method, n_trees=5)
    assert indices.shape == distances.shape == (n, k)
    assert not (indices == np.arange(n)[:, None]).any()
    assert ((indices >= 0).sum(axis=1) == min(k, n - 1)).all()
    assert not np.isnan(distances).any()
    assert all(a <= b for row in distances for a, b in pairwise(row))
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in indices)
    expected = np.sort(distances_by_hand(x.astype("f4"), x.astype("f4"), metric) + np.diag([np.inf] * n), axis=1)
    if method == "exact":
        np.testing.assert_allclose(distances[:, : n - 1], expected[:, : min(k, n - 1)], rtol=1e-5, atol=1e-6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cells_in_batches())
def test_balanced_neighbours_belong_to_their_batch(case):
    x, batches, k, metric = case
    table = graph.batch_balanced_knn(x, batches, k=k, metric=metric)
    labels, sizes = np.unique(batches, return_counts=True)
    assert table.shape == (len(x), len(labels) * k)
    assert not (table == np.arange(len(x))[:, None]).any()
    for i, row in enumerate(table.reshape(len(x), len(labels), k)):
        for label, size, found in zip(labels, sizes, row, strict=True):
            n_found = min(k, size - (batches[i] == label))
            assert (batches[found[:n_found]] == label).all() and (found[:n_found] >= 0).all()
            assert (found[n_found:] == -1).all() and len(set(found[:n_found])) == n_found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cells_in_batches(), st.sampled_from(["centered", "cca", "given"]))
def test_mutual_neighbours_are_mutual_and_of_two_batches(case, space):
    x, batches, k, metric = case
    pairs = graph.mutual_nearest_neighbors(x, batches, k=k, metric=metric, space=space)
    assert (batches[pairs[:, 0]] != batches[pairs[:, 1]]).all()
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert pairs.tolist() == sorted(map(list, {tuple(p) for p in pairs.tolist()}))
    if space == "given":
        table = graph.batch_balanced_knn(x, batches, k=k, metric=metric)
        assert all(j in table[i] and i in table[j] for i, j in pairs)
    adjacency = graph.pairs_as_graph(pairs, len(x))
    assert adjacency.degrees.sum() == 2 * len(pairs)
    drawn = graph.draw(adjacency, np.arange(len(x)), rng=np.random.default_rng(0))
    assert ((drawn == -1) == (adjacency.degrees == 0)).all()
    assert (batches[drawn] != batches)[drawn >= 0].all()


# ------------------------------------------------------------------------------------------------------------- errors


def with_value(value: float) -> np.ndarray:
    x = np.ones((6, 2))
    x[3, 1] = value
    return x


@pytest.mark.parametrize("call", [graph.knn, lambda x: graph.batch_balanced_knn(x, ["a"] * len(np.atleast_1d(x)))])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (with_value(np.nan), r"`x` holds NaN.* in 1 of 6 rows \(first: row 3\)"),
        (with_value(-np.inf), "infinite"),
        (with_value(1e300), "too large"),
        (np.ones((0, 3)), r"`x` is empty: shape \(0, 3\)"),
        (np.ones((3, 0)), "`x` is empty"),
        (np.ones(3), r"\(cells, dims\) array; found float64 of \(3,\)"),
        (np.array([["a", "b"]]), "numeric"),
    ],
)
def test_cells_that_cannot_be_compared_are_refused(call, x, message):
    with pytest.raises(ValueError, match=message):
        call(x)


@pytest.mark.parametrize("call", [graph.batch_balanced_knn, graph.mutual_nearest_neighbors])
@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (["a"] * 5, r"`batches` has shape \(5,\); expected one label for each of the 6 cells"),
        ([["a"] * 6], "`batches` has shape"),
        ([1, 1, np.nan, 2, 2, 2], r"missing.* for 1 of 6 cells \(first: row 2\)"),
        (["a", None, "b", "a", None, "b"], "missing.* for 2 of 6"),
        (pd.Categorical(["a", "b", "a", np.nan, "a", "b"]), "missing.* for 1 of 6"),
    ],
)
def test_batches_that_do_not_label_every_cell_are_refused(call, batches, message):
    with pytest.raises(ValueError, match=message):
        call(np.ones((6, 2)), batches)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, b: graph.knn(x, k=0), "`k` must be a whole number of at least 1, found 0"),
        (lambda x, b: graph.knn(x, k=2.5), "`k` must be a whole number"),
        (lambda x, b: graph.knn(x, metric="manhattan"), "`metric` must be one of 'cosine', 'euclidean', found 'manh"),
        (lambda x, b: graph.knn(x, method="hnsw"), "`method` must be one of 'auto', 'exact', 'annoy', 'lists'"),
        (lambda x, b: graph.knn(x, n_trees=0), "`n_trees`"),
        (lambda x, b: graph.knn(x, n_jobs=0), "`n_jobs`"),
        (lambda x, b: graph.knn(x, query=np.ones((2, 3))), "`query` has 3 dims and `x` has 2"),
        (lambda x, b: graph.knn(x, query=x, include_self=True), "`include_self`"),
        (lambda x, b: graph.knn(sparse.csr_array(x)), "`x` is sparse"),
        (lambda x, b: graph.batch_balanced_knn(x, b, k=-1), "`k`"),
        (lambda x, b: graph.mutual_nearest_neighbors(x, b, k=0), "`k`"),
        (lambda x, b: graph.mutual_nearest_neighbors(x, b, k_filter=0), "`k_filter`"),
        (lambda x, b: graph.mutual_nearest_neighbors(x, b, max_share=0), "`max_share` must be a number in"),
        (lambda x, b: graph.mutual_nearest_neighbors(x, b, n_landmarks=0), "`n_landmarks`"),
        (lambda x, b: graph.mutual_nearest_neighbors(x, b, n_others=1), "`n_others`"),
        (lambda x, b: graph.nearest_landmark(x, b, n_landmarks=0), "`n_landmarks`"),
        (lambda x, b: graph.mutual_nearest_neighbors(x, b, space="pca"), "`space` must be one of 'centered'"),
        (lambda x, b: graph.mutual_nearest_neighbors(x, b, features=x[:2]), "`features` has 2 rows and `x` has 6"),
        (lambda x, b: graph.shared_populations(x, b, n_others=1), "`n_others`"),
        (lambda x, b: graph.shared_populations(x, b, n_landmarks=0), "`n_landmarks`"),
        (lambda x, b: graph.shared_populations(x, b[:5]), r"`batches` has shape \(5,\)"),
        (lambda x, b: graph.CellSpace(x, b[:5]), r"`batch` has shape \(5,\); expected one label for each of the 6"),
        (lambda x, b: graph.CellSpace(x, [None, *b[1:]]), "`batch` is missing"),
        (lambda x, b: graph.CellSpace(x * np.nan, b), "`embedding_nd` holds NaN"),
        (lambda x, b: graph.refine_pairs(x, [[0, 6]]), "`pairs` holds row numbers 0..6; expected 0..5"),
        (lambda x, b: graph.refine_pairs(x, [[0, 1, 2]]), r"expected \(n_pairs, 2\)"),
        (lambda x, b: graph.pairs_as_graph([[0, -1]], 3), "`pairs` holds"),
        (lambda x, b: graph.as_graph([[0.5]], 1), "`indices` must be a 2-D integer array"),
        (lambda x, b: graph.as_graph([[1], [0]], 3), "`indices` has 2 rows"),
        (lambda x, b: graph.as_graph([[1], [2]], 2), "`indices` holds row numbers 1..2; expected -1..1"),
        (lambda x, b: graph.cca(x, np.ones((3, 4))), "`x1` has 2 dims and `x2` has 4"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.ones((6, 2)), list("aabbcc"))


# ----------------------------------------------------------------------------------------------------- representation


@pytest.mark.parametrize("as_stored", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
def test_principal_components_are_those_of_the_centred_matrix(as_stored):
    x = np.random.default_rng(0).poisson(1, size=(80, 30)).astype(np.float32)
    adata = ad.AnnData(as_stored(x))
    components = graph.representation(adata, n_comps=5)
    centred = x - x.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    assert components.dtype == np.float32 and components.shape == (80, 5)
    np.testing.assert_allclose(np.abs(components), np.abs(u[:, :5] * s[:5]), atol=1e-3)
    np.testing.assert_array_equal(components, graph.representation(adata, n_comps=5))
    assert not adata.obsm and not adata.varm and not adata.uns
    assert graph.representation(adata).shape == (80, 29)  # clipped


def test_cells_without_any_difference_have_components_of_zero():
    for x in (np.ones((9, 4)), sparse.csr_matrix((9, 4))):
        np.testing.assert_array_equal(graph.representation(ad.AnnData(x)), np.zeros((9, 3)))


def test_a_stored_representation_is_taken_as_it_is_or_missed_by_name(cells):
    adata = ad.AnnData(
        np.ones((400, 2)), obsm={"X_pca": cells, "X_table": pd.DataFrame(cells).set_index(np.arange(400).astype(str))}
    )
    np.testing.assert_array_equal(graph.representation(adata, use_rep="X_pca"), cells)
    with pytest.raises(KeyError, match=r"'X_umap' is not in `adata.obsm`, which holds 'X_pca'"):
        graph.representation(adata, use_rep="X_umap")


@pytest.mark.parametrize(
    ("adata", "message"),
    [
        (ad.AnnData(shape=(2, 2)), "`adata.X` is None"),
        (ad.AnnData(np.ones((1, 5))), "1 cells x 5 genes"),
        (ad.AnnData(with_value(np.nan)), "`adata.X` holds NaN"),
        (ad.AnnData(sparse.csr_matrix(with_value(np.inf))), "`adata.X` holds NaN"),
    ],
)
def test_data_without_components_is_refused(adata, message):
    with pytest.raises(ValueError, match=message):
        graph.representation(adata)


# ---------------------------------------------------------------------------------------------- the room, and real data


def test_the_room_knows_neither_torch_nor_scvi():
    code = "import sys, sccl.graph; print(sorted({'torch', 'scvi', 'lightning', 'lightly'} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


@pytest.mark.parametrize("name", ["kang_ifnb", "pbmc_3tech"])
def test_anchors_of_real_batches_join_cells_of_one_type(name):
    path = DATA / f"{name}.h5ad"
    if not path.exists():
        pytest.skip(f"{path} is absent; set SCCL_TEST_DATA to the folder that holds it")
    import scanpy as sc

    adata = ad.read_h5ad(path)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    x = graph.representation(adata)
    batches, types = adata.obs["batch"].to_numpy(), adata.obs["cell_type"].to_numpy()
    for options in ({}, {"space": "cca"}):
        pairs = graph.mutual_nearest_neighbors(x, batches, **options)
        assert (batches[pairs[:, 0]] != batches[pairs[:, 1]]).all()
        assert (types[pairs[:, 0]] == types[pairs[:, 1]]).mean() >= 0.85
        assert len(np.unique(pairs)) >= 0.3 * len(x)

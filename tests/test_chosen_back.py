"""Is a cell chosen back, and how far is it: what unknown cells are recognised by."""

import numpy as np
import pytest
from by_hand import distances_by_hand, nearest_by_hand
from one_sided import one_sided

from sccl import graph
from sccl.mapping.novelty.chosen_back import chosen_back
from sccl.mapping.novelty.displacement import displacement

METRICS = ("cosine", "euclidean")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n_ref", "n_query"), [(4, 3), (90, 60), (400, 1500)])
@pytest.mark.parametrize("share", [0.03, 0.2])
def test_how_often_cells_are_chosen_back_equals_what_is_counted_by_hand(metric, n_ref, n_query, share):
    ref, query = (np.random.default_rng(i).normal(size=(n, 6)).astype("f4") for i, n in enumerate((n_ref, n_query)))
    k_ref, k_query = (min(max(10, round(share * n)), n) for n in (n_ref, n_query))
    k_near = min(max(15, round(0.015 * n_query)), n_query)

    def choices(chooser, chosen, k):  # who chooses whom
        is_chosen = np.zeros((len(chooser), len(chosen)))
        np.put_along_axis(is_chosen, nearest_by_hand(distances_by_hand(chooser, chosen, metric), k), 1, axis=1)
        return is_chosen

    of_ref, of_query, near = choices(query, ref, k_ref), choices(ref, query, k_query), choices(query, query, k_near)
    votes = of_query.sum(axis=0)
    rivals = of_ref @ (of_query @ votes / k_query) / k_ref
    expected = (near @ votes) / (near @ rivals)
    np.testing.assert_allclose(chosen_back(ref, query, share=share, metric=metric), expected, rtol=1e-6)


def test_a_kind_of_cells_that_the_other_batch_lacks_is_not_chosen_back_however_the_batches_differ():
    x, batch, types = one_sided()
    ref, query = graph.centered(x[batch == 0], x[batch == 1])
    lonely = types[batch == 1] == 4
    score = chosen_back(ref, query)
    assert np.median(score[lonely]) < 0.2 and (score[lonely] < 0.4).mean() > 0.95
    assert (score[~lonely] > 0.4).mean() > 0.98
    assert (chosen_back(query, ref) > 0.4).mean() > 0.9  # the other way round there is nothing to find


def test_a_kind_that_is_rarer_in_the_reference_is_chosen_back():
    x, batch, types = one_sided()
    rare = (batch == 0) & (types == 1)
    keep = ~rare | (np.cumsum(rare) <= 25)
    x, batch, types = x[keep], batch[keep], types[keep]
    score = chosen_back(*graph.centered(x[batch == 0], x[batch == 1]))
    assert np.median(score[types[batch == 1] == 1]) > 0.6


def test_a_part_of_the_cells_stands_for_all_where_there_are_many():
    x, batch, types = one_sided(3000)
    ref, query = graph.centered(x[batch == 0], x[batch == 1])
    some, all_of_them = (chosen_back(ref, query, n_landmarks=n) for n in (1000, 3000))
    assert some.shape == (3000,) and not np.array_equal(some, all_of_them)
    assert ((some < 0.4) == (types[batch == 1] == 4)).mean() > 0.97
    assert np.corrcoef(some, all_of_them)[0, 1] > 0.95
    np.testing.assert_array_equal(some, chosen_back(ref, query, n_landmarks=1000, n_jobs=1))
    assert not np.array_equal(some, chosen_back(ref, query, n_landmarks=1000, seed=1))


def displacement_by_hand(ref, query, metric):
    def means(cells):
        k = min(max(15, round(0.015 * len(cells))), len(cells))
        return cells[nearest_by_hand(distances_by_hand(cells, cells, metric), k)].mean(axis=1), k

    (mean_ref, k_ref), (mean_query, k_query) = means(ref), means(query)
    around = nearest_by_hand(distances_by_hand(mean_query, mean_query, "euclidean"), max(round(0.3 * len(query)), 1))
    shift = np.zeros_like(mean_query)
    for _ in range(2):
        k = min(max(k_ref // 2, 1), len(ref))
        nearest = nearest_by_hand(distances_by_hand(mean_query + shift, mean_ref, "euclidean"), k)
        gap = mean_ref[nearest].mean(axis=1) - mean_query
        shift = gap[around].mean(axis=1)
    lengths = np.sqrt(((gap - shift) ** 2).sum(axis=1))
    near = nearest_by_hand(distances_by_hand(query, query, metric), k_query)
    return (lengths / np.median(lengths))[near].mean(axis=1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n_ref", "n_query"), [(40, 30), (90, 60), (400, 1500)])
def test_how_far_cells_are_displaced_equals_what_is_measured_by_hand(metric, n_ref, n_query):
    ref, query = (np.random.default_rng(i).normal(size=(n, 6)).astype("f4") for i, n in enumerate((n_ref, n_query)))
    expected = displacement_by_hand(ref.astype(float), query.astype(float), metric)
    np.testing.assert_allclose(displacement(ref, query, metric=metric), expected, rtol=1e-4)


def related(seed=0):
    """Cells of twelve types in two batches; the first lacks type 3, which is like type 0."""
    rng = np.random.default_rng(seed)
    types = rng.integers(12, size=2000)
    batch = rng.integers(2, size=2000)
    types[(batch == 0) & (types == 3)] = 0
    centers = rng.normal(0, 1, (12, 20))
    centers[3] = centers[0] + rng.normal(0, 0.7, 20)
    x = centers[types] + rng.normal(0, 1, (2000, 20)) + batch[:, None] * rng.normal(0, 1, 20)
    ref, query = graph.centered(x[batch == 0], x[batch == 1])
    return ref, query, types[batch == 1] == 3


def test_a_kind_that_the_reference_lacks_is_displaced_and_a_batch_effect_is_not():
    ref, query, lonely = related()
    far = displacement(ref, query, metric="euclidean")
    assert np.median(far[lonely]) > 1.3 and np.median(far) == pytest.approx(1, abs=0.1)
    assert (far[~lonely] < 1.3).mean() > 0.95
    shifted = displacement(ref, query + np.float32(1.5), metric="euclidean")
    np.testing.assert_allclose(np.median(shifted[lonely]), np.median(far[lonely]), rtol=0.1)
    scaled = displacement(10 * ref, 10 * query, metric="euclidean")
    np.testing.assert_allclose(scaled, far, rtol=1e-3)


def test_identical_cells_are_displaced_by_nothing():
    same = np.ones((40, 3), dtype="f4")
    assert not displacement(same, same).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: chosen_back(x, np.ones((3, 4))), "`x_ref` has 2 dims and `x_query` has 4"),
        (lambda x: chosen_back(x, x, n_landmarks=0), "`n_landmarks`"),
        (lambda x: chosen_back(x, x, share=0), r"`share` must be in \(0, 1\], found 0"),
        (lambda x: displacement(x, np.ones((3, 4))), "`x_ref` has 2 dims and `x_query` has 4"),
        (lambda x: displacement(x, x, n_landmarks=0), "`n_landmarks`"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.ones((6, 2)))

"""Measures that are hard to flatter: their values, what they do not depend on, and what they catch."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from sccl.benchmark import score
from sccl.benchmark.scores import AGGREGATES, BATCH_CORRECTION, BIO_CONSERVATION, MEASURES, SILHOUETTES
from sccl.benchmark.scores.cilisi import cilisi
from sccl.benchmark.scores.clusters import cluster_agreement
from sccl.benchmark.scores.connectivities import connectivities
from sccl.benchmark.scores.lisi import lisi
from sccl.benchmark.scores.neighbors import exact_neighbors
from sccl.benchmark.scores.pcr import explained_within_types, pcr_comparison, pcr_within_types
from sccl.benchmark.scores.purity import one_batch_purity
from sccl.benchmark.scores.scgraph import scgraph
from sccl.benchmark.scores.silhouette import bras, silhouettes
from sccl.benchmark.scores.transfer import transfer_across_batches


class Cells:
    """Six types, five of them in three batches and the last in one alone; types 0 and 1, and 2 and 3, are near each other."""

    def __init__(self, seed: int, n: int = 360) -> None:
        rng = np.random.default_rng(seed)
        self.labels, self.batch = np.arange(n) % 6, np.arange(n) // 6 % 3
        self.batch[self.labels == 5] = 1
        near = np.array([[0, 0], [3, 0], [0, 30], [3, 30], [25, 12], [-20, 15]], float)
        self.types = np.pad(near, ((0, 0), (0, 6)))[self.labels]
        self.shift = 6 * np.eye(8)[4 + self.batch]
        self.noise = rng.normal(size=(n, 8))
        #: a strong batch effect, and none
        self.before = (self.types + self.shift + self.noise).astype(np.float32)
        self.good = (self.types + self.noise).astype(np.float32)

    def purity(self, x: np.ndarray) -> float:
        near, before = (exact_neighbors(z, 16).indices for z in (x, self.before))
        return one_batch_purity(near, before, self.labels, self.batch)

    def transfer(self, x: np.ndarray, n_near: int = 90) -> tuple[float, float]:
        return transfer_across_batches(x, self.labels, self.batch, exact_neighbors(x, n_near).indices)

    def all(self, x: np.ndarray) -> np.ndarray:
        return np.array(
            [
                cilisi(x, self.labels, self.batch),
                pcr_comparison(self.before, x, self.batch),
                pcr_within_types(self.before, x, self.labels, self.batch),
                self.purity(x),
                *self.transfer(x),
                *scgraph(self.before, x, self.labels, self.batch),
                silhouettes(x, self.labels).mean(),
                silhouettes(x, self.batch, metric="cosine", others="all").mean(),
            ]
        )


@pytest.fixture(scope="module")
def cells() -> Cells:
    return Cells(0)


def test_a_good_embedding_has_high_values_throughout(cells):
    found = cells.all(cells.good)
    assert found[0] > 0.75  # CiLISI of a random mix
    assert found[1] < 0.6  # PCR misses that the type of one batch alone must stay where it is
    assert (found[2:8] > 0.9).all(), found
    unintegrated = cells.all(cells.before)
    assert unintegrated[0] < 0.1  # CiLISI
    assert unintegrated[1] == unintegrated[2] == 0  # PCR
    assert unintegrated[3] == 1  # purity, by definition
    assert unintegrated[6] > 0.95  # scGraph


@given(seed=st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_measures_depend_neither_on_the_order_of_cells_nor_on_names_nor_on_how_an_embedding_is_turned(seed):
    cells = Cells(seed, 120)
    found = cells.all(cells.good)
    rng = np.random.default_rng(seed)
    order, turn = rng.permutation(120), ortho_group.rvs(8, random_state=seed)
    names, batches = rng.permutation(6), rng.permutation(3)
    other = Cells(seed, 120)
    other.labels, other.batch = names[cells.labels[order]], batches[cells.batch[order]]
    other.before = (cells.before[order] @ turn).astype(np.float32)
    turned = (cells.good[order] @ turn).astype(np.float32)
    np.testing.assert_allclose(other.all(turned), found, atol=0.02)
    other.before = cells.before[order]
    np.testing.assert_allclose(other.all(cells.good[order]), found, atol=1e-5)


def test_lisi_counts_the_groups_around_a_cell():
    x = np.repeat(np.arange(3.0), 31)[:, None].astype(np.float32) * 1000
    x += np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    near = exact_neighbors(x, 31)
    one, halves = np.repeat([0, 1, 2], 31), np.arange(93) % 2
    np.testing.assert_allclose(lisi(near.indices, near.distances, one), 1)
    assert np.median(lisi(near.indices, near.distances, halves)) == pytest.approx(1.9, abs=0.05)


@pytest.mark.parametrize("n_groups", [2, 5])
def test_lisi_is_that_of_scib_metrics(n_groups):
    import scib_metrics

    rng = np.random.default_rng(n_groups)
    groups = rng.choice(n_groups, 150)
    near = exact_neighbors((30 * rng.normal(size=(150, 4)) + 20 * groups[:, None]).astype(np.float32), 90)
    np.testing.assert_allclose(
        lisi(near.indices, near.distances, groups), scib_metrics.lisi_knn(near, groups), atol=1e-4
    )


@pytest.mark.slow
def test_connectivities_are_those_of_scib_metrics():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    x[100:110], x[150:] = x[100], x[150:] / 100  # cells on one point, and cells that are close
    near = exact_neighbors(x, 15)
    found = connectivities(near.indices, near.distances)
    np.testing.assert_allclose(found.toarray(), near.knn_graph_connectivities.toarray(), atol=1e-4)
    assert (found != found.T).nnz == 0


@pytest.mark.parametrize(("metric", "others"), [("euclidean", "nearest"), ("cosine", "all")])
def test_silhouettes_are_those_of_scikit_learn_and_scib_metrics(metric, others):
    from scib_metrics.utils import silhouette_samples
    from sklearn.metrics import silhouette_samples as of_sklearn

    rng = np.random.default_rng(3)
    groups = np.array([*rng.choice(3, 599), 3])  # one alone; more cells than a block
    x = (rng.normal(size=(600, 4)) + groups[:, None] + 5).astype(np.float32)
    found = silhouettes(x, groups, metric=metric, others=others)
    between = {"nearest": "nearest", "all": "mean_other"}[others]
    theirs = silhouette_samples(x, groups, metric=metric, between_cluster_distances=between)
    np.testing.assert_allclose(found, theirs, atol=1e-4)
    assert found[-1] == 0
    if others == "nearest":
        np.testing.assert_allclose(found, of_sklearn(x, groups, metric=metric), atol=1e-6)


def test_bras_by_hand():
    # one type, two cells of each batch: within a batch the angle is 0, across 90 degrees, so that silhouettes are 1
    x, batch = np.array([[1, 0], [2, 0], [0, 1], [0, 3]], np.float32), np.array([0, 0, 1, 1])
    assert bras(x, np.zeros(4, int), batch) == pytest.approx(0)
    assert bras(x, np.zeros(4, int), np.array([0, 1, 0, 1])) == pytest.approx(1 - 1 / 2)
    assert np.isnan(bras(x, np.array([0, 0, 1, 1]), batch))
    assert np.isnan(bras(x[1:3], np.zeros(2, int), np.array([0, 1])))


def test_pcr_within_types_by_hand():
    # type 0 at 0, type 1 at 100; batches at -1 and 1 of each, the noise ±2 around: 1/5 of the squares within types
    labels, batch = np.repeat([0, 1], 8), np.tile(np.repeat([0, 1], 4), 2)
    x = 100.0 * labels + np.array([-1, 1])[batch] + np.tile([-2, 2], 8)
    n, types, groups = 16, 2, 4
    expected = 1 - (4 / (n - groups) / (5 / (n - types)))
    assert explained_within_types(x[:, None].astype(np.float32), labels, batch) == pytest.approx(expected, abs=1e-6)


def test_pcr_within_types_asks_nothing_for_composition(cells):
    # batches that hold different shares of the types and are else alike: nothing is to be corrected
    rng = np.random.default_rng(1)
    batch = (rng.random(600) < 0.5).astype(int)
    labels = np.where(rng.random(600) < np.where(batch, 0.9, 0.1), 1, 0)
    x = (20 * np.eye(4)[labels] + rng.normal(size=(600, 4))).astype(np.float32)
    flattened = x.copy()
    for name in (0, 1):
        flattened[batch == name] -= x[batch == name].mean(axis=0)
    assert pcr_comparison(x, flattened, batch) > 0.99  # PCR takes it for a success that types were torn apart
    assert abs(explained_within_types(x, labels, batch)) < 0.02
    assert explained_within_types(flattened, labels, batch) > 0.9


def test_over_correction_is_caught_by_purity_label_accuracy_and_scgraph(cells):
    # every batch on one heap: batches mix perfectly, and types are lost
    rng = np.random.default_rng(2)
    heap = rng.normal(size=cells.good.shape).astype(np.float32)
    found = dict(zip(NAMES, cells.all(heap), strict=True))
    assert found["CiLISI"] > 0.75
    assert found["purity"] < 0.4
    assert found["accuracy"] < 0.4
    assert found["ranks"] < 0.5
    # the type of one batch alone laid on another one
    moved = cells.good.copy()
    moved[cells.labels == 5] += np.pad([20.0, -15.0], (0, 6))
    found = dict(zip(NAMES, cells.all(moved), strict=True))
    assert found["purity"] < 0.6
    assert found["CiLISI"] > 0.75
    assert found["accuracy"] > 0.6


NAMES = ("CiLISI", "PCR", "PCR within", "purity", "accuracy", "f1", "scGraph", "ranks", "silhouettes", "of batches")


def test_types_sharpened_to_equally_distant_points_are_caught_by_scgraph_and_loved_by_silhouettes(cells):
    sharp = (100 * np.eye(8)[cells.labels] + 0.1 * cells.noise).astype(np.float32)
    good, found = (dict(zip(NAMES, cells.all(x), strict=True)) for x in (cells.good, sharp))
    assert found["silhouettes"] > good["silhouettes"] + 0.1
    assert found["scGraph"] < good["scGraph"] - 0.3
    assert found["ranks"] < good["ranks"] - 0.3


def test_types_that_hide_batches_are_caught_by_cilisi_and_label_accuracy(cells):
    # neighbours of other types are of all batches, those of the own type of one: iLISI is high
    x = (cells.shift + 0.1 * cells.types + cells.noise).astype(np.float32)
    assert cilisi(x, cells.labels, cells.batch) < 0.2
    rotated = (6 * np.eye(8)[4 + (cells.batch + cells.labels) % 3] + cells.noise).astype(np.float32)
    near = exact_neighbors(rotated, 90)
    assert (np.median(lisi(near.indices, near.distances, cells.batch)) - 1) / 2 > 0.7
    assert cilisi(rotated, cells.labels, cells.batch) < 0.2
    assert cells.transfer(rotated)[0] < 0.3


def test_label_transfer_by_hand():
    x = np.array([[0.0], [0.1], [10.0], [10.1], [0.05], [9.9], [50.0]], np.float32)
    labels, batch = np.array([0, 0, 1, 1, 0, 1, 2]), np.array([0, 0, 0, 0, 1, 1, 1])
    # eleven neighbours are all of the other batch: of equally many, the nearer ones win; label 2 is of batch 1 alone
    near = exact_neighbors(x, 7).indices
    accuracy, macro_f1 = transfer_across_batches(x, labels, batch, near)
    # batch 0 sees labels 0, 1, 2 once each, and takes the nearest
    assert accuracy == macro_f1 == 1
    wrong = np.array([0, 1, 1, 1, 0, 1, 2])
    accuracy, macro_f1 = transfer_across_batches(x, wrong, batch, near)
    # batch 1 gets label 1 three times of four: the cell of label 0 is lost, and the second cell goes to label 0
    assert accuracy == pytest.approx(4 / 6)
    assert macro_f1 == pytest.approx((2 * 1 / (2 * 1 + 1 + 1) + 2 * 3 / (2 * 3 + 1 + 1)) / 2)


def test_label_transfer_is_the_same_whatever_part_of_the_neighbours_is_known(cells):
    # of 5 neighbours none has eleven of other batches, of 16 some, of 90 most
    mixed = (cells.types / 5 + cells.noise).astype(np.float32)
    for x in (mixed, cells.before):
        assert cells.transfer(x, 5) == cells.transfer(x, 16) == cells.transfer(x, 90)


def test_purity_by_hand():
    near = np.array([[i, *(j for j in range(12) if j != i)] for i in range(12)])
    labels, batch = np.array([0] * 6 + [1] * 6), np.array([0] * 6 + [0, 1] * 3)
    # label 0 is of batch 0 alone; its cells' five nearest are the first of the list: of cell 0 all are of its type
    before = near.copy()
    after = near.copy()
    after[:6, 1:4] = [6, 7, 8]
    assert one_batch_purity(near, before, labels, batch) == 1
    share_after = (labels[after[:6, 1:6]] == 0).mean()
    share_before = (labels[before[:6, 1:6]] == 0).mean()
    assert one_batch_purity(after, before, labels, batch) == pytest.approx(share_after / share_before)


def test_scgraph_by_hand():
    # four types on a line at 0, 1, 3, 7, ten cells of each in both batches; nothing but scale and place differ
    labels, batch = np.tile(np.repeat(np.arange(4), 10), 2), np.repeat([0, 1], 40)
    places = np.array([0.0, 1.0, 3.0, 7.0])
    before = (places[labels] * np.array([1, 5])[batch] + 100 * batch)[:, None].astype(np.float32)
    after = (2 * places[labels])[:, None].astype(np.float32)
    np.testing.assert_allclose(scgraph(before, after, labels, batch), (1, 1), atol=1e-6)
    # the order of distances from types 0, 1, 2, 3 is turned: 1 2 3 to 3 2 1 and so on
    reversed_ = np.array([0.0, 7.0, 3.0, 1.0])[labels][:, None].astype(np.float32)
    weighted, ranks = scgraph(before, reversed_, labels, batch)
    # ranks by hand: type 0: (1,3,7)->(7,3,1): -1; 1: (1,2,6)->(7,4,6): -.5; 2: (3,2,4)->(3,4,2): -1; 3: (7,6,4)->(1,6,2): -.5
    assert ranks == pytest.approx(-0.75)
    assert weighted < 0


def test_undefined_measures_are_nan(cells):
    one = np.zeros_like(cells.batch)
    per_type = cells.labels % 3  # no type spans batches
    assert np.isnan(cilisi(cells.good, cells.labels, per_type))
    assert np.isnan(pcr_within_types(cells.before, cells.good, cells.labels, per_type))
    assert np.isnan(
        transfer_across_batches(cells.good, cells.labels, per_type, exact_neighbors(cells.good, 90).indices)
    ).all()
    few = np.minimum(cells.labels, 2)
    assert np.isnan(scgraph(cells.before, cells.good, few, cells.batch)).all()
    shared = cells.labels != 5
    near = exact_neighbors(cells.good[shared], 16).indices
    assert np.isnan(one_batch_purity(near, near, cells.labels[shared], cells.batch[shared]))
    assert np.isnan(pcr_comparison(cells.before, cells.good, one)) or pcr_comparison(cells.before, cells.good, one) == 0


def test_the_mean_over_ten_starts_varies_less_than_one_start(cells):
    rng = np.random.default_rng(4)
    x = (cells.types / 5 + rng.normal(size=cells.types.shape)).astype(np.float32)
    every = cluster_agreement(x, cells.labels, range(100))
    assert every.shape == (100, 2)
    means = every.reshape(10, 10, 2).mean(axis=1)
    assert (means.std(axis=0) < 0.6 * every.std(axis=0)).all()


def test_clusters_are_those_of_scib_metrics(cells):
    from scib_metrics.utils import KMeans
    from sklearn.metrics import adjusted_rand_score

    for seed in (0, 5):
        theirs = KMeans(6, seed=seed).fit(cells.before.copy()).labels_
        ari = cluster_agreement(cells.before, cells.labels, [seed])[0, 1]
        assert ari == pytest.approx(adjusted_rand_score(cells.labels, theirs), abs=1e-6)


def test_score_has_all_measures_behind_its_totals_which_they_leave_alone(cells):
    table = score({"before": cells.before, "good": cells.good}, cells.batch, cells.labels)
    assert list(table) == [*BIO_CONSERVATION, *BATCH_CORRECTION, *AGGREGATES, *MEASURES]
    good = table.loc["good"]
    expected = {
        "CiLISI": cilisi(cells.good, cells.labels, cells.batch),
        "PCR within types": pcr_within_types(cells.before, cells.good, cells.labels, cells.batch),
        "One-batch purity": cells.purity(cells.good),
        "Label accuracy": cells.transfer(cells.good)[0],
        "scGraph": scgraph(cells.before, cells.good, cells.labels, cells.batch)[0],
        "KMeans NMI, 10 starts": cluster_agreement(cells.good, cells.labels, range(10))[:, 0].mean(),
    }
    for name, value in expected.items():
        assert good[name] == pytest.approx(value), name
    bio, correction = (
        good[[name for name in names if name not in SILHOUETTES]].mean()
        for names in (BIO_CONSERVATION, BATCH_CORRECTION)
    )
    assert good["Total without silhouettes"] == pytest.approx(0.6 * bio + 0.4 * correction)
    assert good["Total"] == pytest.approx(0.6 * good["Bio conservation"] + 0.4 * good["Batch correction"])
    assert isinstance(table, pd.DataFrame)

"""Simulated data: do they hold what was asked for?"""

import numpy as np
import pandas as pd
import pytest
from purity import purity
from scipy import sparse
from sklearn.decomposition import PCA

import sccl.datasets
import sccl.pp

pytestmark = pytest.mark.filterwarnings(  # anndata 0.13 still reads pandas options that pandas 3.1 deprecates
    "ignore:The '(mode.chained_assignment|future.infer_string)' option is deprecated"
)

simulate = sccl.datasets.simulate


def same_data(a, b) -> bool:
    return a.shape == b.shape and (a.X != b.X).nnz == 0 and a.obs.equals(b.obs)


def log_shares(adata, key: str) -> np.ndarray:
    """Log share of each gene in the counts of each group, ``(n_groups, n_genes)``."""
    totals = np.array(
        [adata.X[(adata.obs[key] == group).to_numpy()].sum(axis=0).A1 for group in adata.obs[key].cat.categories]
    )
    return np.log(totals / totals.sum(axis=1, keepdims=True))


def test_counts_are_csr_float32_integers_with_categorical_labels_and_unique_names():
    adata = simulate(300, 50, n_batches=2, n_types=4)
    assert isinstance(adata.X, sparse.csr_matrix)
    assert adata.X.dtype == np.float32
    assert adata.shape == (300, 50)
    assert np.array_equal(adata.X.data, np.rint(adata.X.data))
    assert adata.X.data.min() > 0
    assert list(adata.obs["batch"].cat.categories) == ["batch_1", "batch_2"]
    assert list(adata.obs["cell_type"].cat.categories) == ["type_1", "type_2", "type_3", "type_4"]
    assert adata.obs_names.is_unique
    assert adata.var_names[0] == "gene_0001"
    assert adata.var_names[-1] == "gene_0050"


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data():
    assert same_data(simulate(1200, 40, seed=3), simulate(1200, 40, seed=3))
    assert not same_data(simulate(1200, 40, seed=3), simulate(1200, 40, seed=4))


def test_no_two_chunks_of_cells_repeat_each_other():
    x = simulate(1536, 40, n_types=1, n_batches=1, library_spread=0).X.toarray()
    assert not np.array_equal(x[:512], x[512:1024])
    assert not np.array_equal(x[512:1024], x[1024:])


def test_defaults_are_as_sparse_and_as_mixed_as_real_data():
    adata = simulate()
    zeros = 1 - adata.X.nnz / (adata.n_obs * adata.n_vars)
    assert 0.85 < zeros < 0.93
    sccl.pp.preprocess(adata, batch_key="batch")
    z = PCA(30, svd_solver="randomized", random_state=0).fit_transform(adata.X.toarray())
    assert 0.85 < purity(z, adata.obs["cell_type"]) < 0.95
    assert purity(z, adata.obs["batch"]) > 0.8  # 1/3 if the batches were mixed


@pytest.mark.parametrize("dispersion", [0, 0.3, 1.5])
def test_the_variance_exceeds_the_mean_by_the_dispersion_asked_for(dispersion):
    adata = simulate(
        6000, 100, n_batches=1, n_types=1, library_spread=0, mean_count=3, dispersion=dispersion, interaction_strength=0
    )
    x = adata.X.toarray().astype(float)
    mean, variance = x.mean(axis=0), x.var(axis=0, ddof=1)
    expressed = mean > 1
    estimate = ((variance - mean) / mean**2)[expressed]
    assert np.median(estimate) == pytest.approx(dispersion, rel=0.05, abs=0.02)


def test_library_sizes_have_the_mean_and_spread_asked_for():
    adata = simulate(4000, 400, mean_count=2, library_spread=0.5, dispersion=0)
    totals = adata.X.sum(axis=1).A1
    assert totals.mean() == pytest.approx(400 * 2, rel=0.05)
    assert np.log(totals).std() == pytest.approx(0.5, rel=0.05)


def test_batches_differ_by_the_strength_asked_for():
    # log fold change between two batches: a difference of two normals
    for strength in (0.2, 0.5, 1.0):
        adata = simulate(
            4000, 300, n_batches=2, n_types=1, batch_strength=strength, interaction_strength=0, mean_count=20
        )
        first, second = log_shares(adata, "batch")
        assert (first - second).std() == pytest.approx(strength * np.sqrt(2), rel=0.15)


def test_without_batch_strength_batches_differ_by_chance_only():
    adata = simulate(6000, 300, n_batches=2, n_types=1, batch_strength=0, mean_count=20, dispersion=0)
    first, second = log_shares(adata, "batch")
    assert (first - second).std() < 0.02


def test_the_interaction_lets_a_batch_act_differently_on_each_type():
    def disagreement(interaction_strength: float) -> float:
        adata = simulate(
            4000, 200, 2, 2, interaction_strength=interaction_strength, mean_count=20, composition=100, dispersion=0.1
        )
        effects = []
        for cell_type in ("type_1", "type_2"):
            first, second = log_shares(adata[(adata.obs["cell_type"] == cell_type).to_numpy()].copy(), "batch")
            effects.append(first - second)
        return float(np.std(effects[0] - effects[1]))

    assert disagreement(0) < 0.15
    assert disagreement(0.8) == pytest.approx(0.8 * 0.5 * 2, rel=0.2)  # four normals of sd 0.8 * batch_strength


def test_types_differ_by_their_strength_and_not_at_all_without():
    def difference(type_strength: float) -> float:
        adata = simulate(4000, 200, 1, 2, type_strength=type_strength, mean_count=20, dispersion=0, batch_strength=0)
        return float(np.std(np.subtract(*log_shares(adata, "cell_type"))))

    assert difference(0) < 0.05
    assert 0.3 < difference(1.0) < difference(2.0)


def test_type_proportions_differ_between_batches_and_all_types_occur():
    uneven, even = simulate(3000, 5, composition=1), simulate(3000, 5, composition=1e6)
    for adata, spread in ((uneven, (0.05, 1)), (even, (0, 0.03))):
        table = pd.crosstab(adata.obs["batch"], adata.obs["cell_type"], normalize="index").to_numpy()
        assert table.shape == (3, 6)
        assert spread[0] <= table.std(axis=0).max() <= spread[1]


@pytest.mark.parametrize("composition", [1e-6, 0.01, 1])
def test_every_type_and_batch_occurs_even_in_few_cells(composition):
    for seed in range(10):
        adata = simulate(8, 5, n_batches=4, n_types=8, composition=composition, seed=seed)
        assert adata.obs["cell_type"].nunique() == 8
        assert adata.obs["batch"].nunique() == 4


def test_batches_are_equally_large_and_in_random_order():
    batch = simulate(1000, 5).obs["batch"]
    assert batch.value_counts().max() - batch.value_counts().min() <= 1
    assert (batch.cat.codes.diff().dropna() != 0).mean() == pytest.approx(2 / 3, abs=0.1)


def test_one_cell_of_one_gene_can_be_simulated():
    assert simulate(1, 1, 1, 1).shape == (1, 1)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("n_cells", 5),  # fewer than the types
        ("n_cells", 100.0),
        ("n_genes", 0),
        ("n_batches", 0),
        ("n_types", True),
        ("seed", -1),
        ("type_strength", -0.1),
        ("marker_fraction", 1.1),
        ("batch_strength", np.nan),
        ("interaction_strength", np.inf),
        ("composition", 0),
        ("mean_count", 0),
        ("library_spread", "much"),
        ("dispersion", -1),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(argument, value):
    with pytest.raises(ValueError, match=f"^{argument} must be"):
        simulate(**{argument: value})


def test_on_a_trajectory_types_follow_each_other_and_expression_changes_step_by_step():
    adata = sccl.datasets.simulate(2000, 200, n_batches=1, n_types=3, mean_count=5.0, trajectory=True)
    time = adata.obs["pseudotime"].to_numpy()
    assert time.min() == 0
    assert time.max() == 1
    nearest = np.rint(time * 2).astype(int)
    differs = adata.obs["cell_type"].cat.codes.to_numpy() != nearest
    assert differs.mean() < 0.01  # those that lie half way
    log = np.log(adata.X.toarray() + 0.5)
    middle, ends = (
        log[(time > 0.2) & (time < 0.3)].mean(0),
        [log[time < 0.05].mean(0), log[abs(time - 0.5) < 0.05].mean(0)],
    )
    share = np.polyfit(ends[1] - ends[0], middle - ends[0], 1)[0]
    assert 0.35 < share < 0.65
    assert "pseudotime" not in sccl.datasets.simulate(20, 20).obs

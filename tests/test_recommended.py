"""The recommended recipe on data where it could go wrong: it must correct batches, and nothing else."""

import numpy as np
import pytest
import scanpy as sc
import scvi
from anndata import AnnData, read_h5ad
from purity import purity
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors

import sccl
from sccl import graph
from sccl.augment import CrossBatchPositive
from sccl.benchmark import score
from sccl.benchmark.data import subsample


def embed(adata, model_cls=sccl.CLModel, *, seed=0, **kwargs) -> np.ndarray:
    scvi.settings.seed = seed
    model_cls.setup_anndata(adata, batch_key="batch")
    model = model_cls(adata)
    model.train(enable_progress_bar=False, **kwargs)
    return model.get_latent_representation()


@pytest.mark.slow
def test_a_weak_batch_effect_is_not_overcorrected(real_data):
    adata = subsample(read_h5ad(real_data / "kang_8donor.h5ad"), 3000, ["batch", "cell_type"])
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=2000)
    pca = graph.representation(adata)
    table = score({"PCA": pca, "sccl": embed(adata)}, adata.obs["batch"], adata.obs["cell_type"])
    assert table.loc["sccl", "Bio conservation"] >= table.loc["PCA", "Bio conservation"]
    assert table.loc["sccl", "Batch correction"] >= table.loc["PCA", "Batch correction"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cell_type", "batch"),
    [
        ("pbmc_3tech", "B", "5p"),
        ("pbmc_3tech", "T_CD4", "3pv2"),
        ("kang_ifnb", "B", "ctrl"),
        ("kang_ifnb", "CD16 Mono", "stim"),
        ("kang_ifnb", "NK", "stim"),
        ("mouse_lung", "B cells", "t_2"),
        ("mouse_lung", "Neutrophils", "t_1"),
        ("pancreas_panc8_4tech", "acinar", "indrop3"),
        ("mouse_embryo_tal1", "Endothelium", "s2"),
        ("human_dlpfc_2donor", "Astro", "Br5212"),
    ],
)
def test_a_type_of_one_batch_stays_apart(name, cell_type, batch, real_data):
    adata = read_h5ad(real_data / f"{name}.h5ad")
    adata = adata[(adata.obs["cell_type"] != cell_type) | (adata.obs["batch"] == batch)].copy()
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=2000)
    labels = adata.obs["cell_type"].to_numpy(dtype=object)
    alone, cells = (adata.obs["batch"] == batch).to_numpy(), np.flatnonzero(labels == cell_type)
    before = purity(
        graph.representation(adata[alone].copy()), labels[alone], np.flatnonzero(labels[alone] == cell_type)
    )
    # of few cells one training says little
    seeds = range(3 if adata.n_obs < 1000 else 1)
    assert np.mean([purity(embed(adata, seed=seed), labels, cells) for seed in seeds]) >= 0.9 * before


@pytest.mark.slow
@pytest.mark.parametrize("cell_type", ["CD14 Mono", "B", "CD4 T"])
def test_a_type_that_a_stimulus_changes_strongly_is_paired_all_the_same(cell_type, real_data):
    adata = read_h5ad(real_data / "kang_ifnb.h5ad")
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=2000)
    batch, labels = (adata.obs[key].astype(str).to_numpy() for key in ("batch", "cell_type"))
    bound = CrossBatchPositive().bind(graph.CellSpace(graph.representation(adata), batch))
    of_type = labels == cell_type
    assert np.isin(np.flatnonzero(of_type), bound.pairs).mean() >= 0.25
    pairs = bound.pairs[of_type[bound.pairs].any(axis=1)]
    assert of_type[pairs].all(axis=1).mean() >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_many_tiny_batches_are_integrated(seed):
    many = sccl.datasets.simulate(
        2000, 1000, n_batches=20, mean_count=8.0, batch_strength=0.8, composition=1.5, seed=seed
    )
    rng, batch = np.random.default_rng(seed), many.obs["batch"].to_numpy()
    kept = [rng.choice(np.flatnonzero(batch == one), rng.integers(10, 51), replace=False) for one in np.unique(batch)]
    adata = many[np.concatenate(kept)].copy()
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=2000)
    spaces = {"PCA": graph.representation(adata), "sccl": embed(adata)}
    table = score(spaces, adata.obs["batch"], adata.obs["cell_type"])
    assert table.loc["sccl", "Total"] >= table.loc["PCA", "Total"] + 0.2


@pytest.mark.slow
def test_a_trajectory_survives_across_batches():
    adata = sccl.datasets.simulate(2000, 1000, n_types=4, mean_count=1.0, trajectory=True, seed=0)
    sccl.pp.preprocess(adata, batch_key="batch")
    z, time, batch = embed(adata), adata.obs["pseudotime"].to_numpy(), adata.obs["batch"].to_numpy()
    cells = AnnData(z)
    sc.pp.neighbors(cells, use_rep="X", transformer="sklearn")
    sc.tl.diffmap(cells)
    cells.uns["iroot"] = int(time.argmin())
    sc.tl.dpt(cells)
    assert spearmanr(cells.obs["dpt_pseudotime"], time).statistic >= 0.9
    neighbors = NearestNeighbors(n_neighbors=15).fit(z).kneighbors(return_distance=False)
    assert (batch[neighbors] == batch[:, None]).mean() <= 0.5  # all are of one batch before, a third at best


@pytest.mark.filterwarnings("ignore:.* there is one batch only")
def test_without_batches_the_recipe_still_tells_types_apart():
    adata = sccl.datasets.simulate(600, 500, n_batches=1, mean_count=1.0, seed=0)
    sccl.pp.preprocess(adata)
    adata.obs["batch"] = "only"
    assert purity(embed(adata), adata.obs["cell_type"].to_numpy(), np.arange(600)) >= 0.85

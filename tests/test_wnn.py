"""Weighted nearest neighbours, a method of the benchmark."""

import numpy as np
import pytest
import scipy.sparse as sp
from hydra.utils import get_method
from scipy.spatial.distance import cdist
from scipy.special import softmax

from sccl.benchmark.data import prepare
from sccl.benchmark.methods.weighted_neighbors import diffusion_map, supervised_components, weighted_neighbors
from sccl.benchmark.plan.study import plan
from sccl.benchmark.run import holdout


def by_hand(spaces, k):
    """The weights and the likeness of each two cells, one cell after the other, by the formulas of the paper."""
    spaces = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in spaces]
    distances = [cdist(x, x) for x in spaces]
    n_cells = len(spaces[0])
    near = [np.argsort(d + np.diag(np.full(n_cells, np.inf)), axis=1)[:, :k] for d in distances]
    weights, likeness = np.empty((n_cells, 2)), np.zeros((n_cells, n_cells))
    widths = np.empty((n_cells, 2))
    for cell in range(n_cells):
        ratios = []
        for this, other in ((0, 1), (1, 0)):
            x, d, sets = spaces[this], distances[this], [{i, *row} for i, row in enumerate(near[this])]
            shares = [len(sets[cell] & one) / len(sets[cell] | one) for one in sets]
            far = sorted((share, -d[cell, i]) for i, share in enumerate(shares) if share > 0 and i != cell)[:20]
            first, width = d[cell, near[this][cell, 0]], -np.mean([distance for _, distance in far])
            affinity = [
                np.exp(-max(np.linalg.norm(x[cell] - x[near[which][cell]].mean(axis=0)) - first, 0) / (width - first))
                for which in (this, other)
            ]
            ratios.append(affinity[0] / (affinity[1] + 1e-4))
            widths[cell, this] = width
        weights[cell] = softmax(ratios)
        likeness[cell] = sum(weights[cell, m] * np.exp(-distances[m][cell] / widths[cell, m]) for m in (0, 1))
        likeness[cell, cell] = -1
    return weights, likeness


def two_spaces(n_cells=60, seed=0):
    """RNA that tells nothing and proteins that tell three groups of cells."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n_cells) % 3
    return [rng.normal(size=(n_cells, 6)), 4 * np.eye(3)[groups] + rng.normal(0, 0.3, (n_cells, 3))], groups


def test_weights_and_neighbours_are_what_the_formulas_say():
    spaces, groups = two_spaces()
    found = weighted_neighbors(spaces, k=7)
    weights, likeness = by_hand(spaces, k=7)
    assert np.allclose(found.weights_nm, weights, rtol=1e-3)
    expected = np.argsort(-likeness, axis=1)[:, :7]
    assert (np.sort(found.indices_nk) == np.sort(expected)).mean() > 0.99  # but where float32 makes two equal
    assert found.weights_nm[:, 1].min() > 0.5 and (groups[found.indices_nk] == groups[:, None]).mean() > 0.95
    shared = found.likeness_nn.toarray()
    assert np.allclose(shared, shared.T) and np.allclose(np.diag(shared), 1) and shared[shared > 0].min() >= 1 / 15


def test_coordinates_are_eigenvectors_of_a_walk_on_the_graph():
    likeness_nn = weighted_neighbors(two_spaces()[0], k=15).likeness_nn
    z_nd = diffusion_map(likeness_nn, n_comps=4)
    dense = likeness_nn.toarray()
    even = dense / np.outer(dense.sum(axis=1), dense.sum(axis=1))
    walk = even / even.sum(axis=1, keepdims=True)
    values = np.sort(np.linalg.eigvals(walk).real)[::-1][1:5]
    assert np.allclose(walk @ z_nd, z_nd * values, atol=1e-8)
    assert np.allclose(np.linalg.norm(z_nd * np.sqrt(even.sum(axis=1))[:, None], axis=0), values * np.sqrt(even.sum()))


def test_axes_that_are_learned_from_a_graph_without_edges_are_principal_ones_and_project_new_cells():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 12)) @ np.diag(np.arange(1, 13)) + 5
    x[:, 3] = 2

    axes = supervised_components(sp.csr_matrix(x), sp.identity(50, format="csr"), n_comps=3)
    z = np.delete((x - x.mean(axis=0)) / np.where(x.std(axis=0) > 1e-9, x.std(axis=0), 1), 3, axis=1)
    variances = np.linalg.svd(z, compute_uv=False)[:3] ** 2
    z_nd = axes.project(x)
    assert np.allclose((z_nd**2).sum(axis=0), variances, rtol=1e-4)
    assert np.allclose(axes.project(sp.csr_matrix(x[7:9])), z_nd[7:9], atol=1e-5)


def embedded(*options, held_out=None):
    (run,) = plan(["method=wnn", *options, *([] if held_out is None else [f"holdout={held_out}"])]).runs
    method = dict(run.config["method"])
    embed = get_method(method.pop("_target_"))
    data = prepare(run.config["data"], holdout=held_out)
    x, obs = data.adata.X.copy(), data.adata.obs.copy()
    found = embed(data, seed=0, **method)
    assert (data.adata.X != x).nnz == 0 and data.adata.obs.equals(obs)
    return data, found


def accuracy(data, z_nd):
    """How often the nearest cell of another batch has the cell's type."""
    batch, types = (series.astype(str).to_numpy() for series in (data.batch, data.labels))
    distances = np.where(batch[:, None] == batch, np.inf, cdist(z_nd, z_nd))
    return (types[distances.argmin(axis=1)] == types).mean()


FEW = ("data=demo_protein", "data.n_cells=600", "data.n_types=6")


def test_it_embeds_by_both_better_than_by_rna_alone_and_maps_cells_by_their_rna():
    data, found = embedded(*FEW)
    assert found.z_nd.shape == (600, 15) and np.isfinite(found.z_nd).all()
    assert accuracy(data, found.z_nd) > accuracy(data, data.pca)
    assert not np.allclose(found.z_nd, embedded(*FEW, "method.harmony=false")[1].z_nd)
    data, found = embedded(*FEW, held_out="batch_1")
    of_rna = get_method("sccl.benchmark.methods.protein_baseline.embed")(data, seed=0)
    scores, simple = holdout.score(data, found), holdout.score(data, of_rna)
    assert scores["Accuracy"] > simple["Accuracy"] and scores["Pearson, cells"] > simple["Pearson, cells"]
    # it reads the RNA of held-out cells and nothing else
    data.query.obsm[data.proteins] = data.query.obsm[data.proteins] * 0
    again = get_method("sccl.benchmark.methods.wnn.embed")(data, seed=0)
    assert np.array_equal(again.query_nd, found.query_nd) and np.array_equal(again.query_proteins, found.query_proteins)


def test_data_without_proteins_are_refused():
    with pytest.raises(ValueError, match="The data have no proteins"):
        embedded("data=demo", "data.n_cells=100", "data.n_genes=50")


@pytest.mark.parametrize("option", ["method.k=0", "method.n_pcs=-1", "method.n_comps=1.5"])
def test_numbers_that_are_none_are_refused(option):
    with pytest.raises(ValueError, match=f"`{option.split('=')[0]}` must be a whole number of at least 1, found"):
        embedded("data=demo_protein", "data.n_cells=100", option)


def test_a_way_to_integrate_that_is_none_is_refused_with_those_that_are():
    embed = get_method("sccl.benchmark.methods.multimodal.embed")
    with pytest.raises(ValueError, match=r"`method.integrate` must be one of 'rna_alone', 'add', .* found 'none'"):
        embed(prepare(plan(["data=demo_protein", "data.n_cells=100"]).runs[0].config["data"]), seed=0, integrate="none")


def test_on_real_cells_both_tell_types_better_than_rna_alone(real_data):
    path = real_data / "cite_hao.h5ad"
    data, found = embedded("data=cite_hao", f"data.path={path}")
    assert accuracy(data, found.z_nd) > accuracy(data, data.pca) + 0.03
    data, found = embedded("data=cite_hao", f"data.path={path}", held_out="p3_0")
    assert holdout.score(data, found)["Accuracy"] > 0.87

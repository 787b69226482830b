"""New cells in a trained space: mapping them, adapting to them, labelling them."""

import subprocess
import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import scvi
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sccl
from sccl.mapping.novelty.classification_em import classification_em
from sccl.mapping.novelty.detection import sample_reference
from sccl.mapping.novelty.hysteresis import hysteresis_threshold
from sccl.mapping.novelty.mahalanobis import is_far
from sccl.mapping.novelty.reciprocity import reciprocity, usual_scores
from sccl.mapping.space import voting_space
from sccl.mapping.votes import vote

QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}
lacks = pytest.mark.filterwarnings("ignore:`adata` lacks")
hollow = pytest.mark.filterwarnings("ignore:.* cells without any expression")
repeats = pytest.mark.filterwarnings("ignore:Variable names are not unique")


def preprocessed(adata, **kwargs):
    sccl.pp.preprocess(adata, **kwargs)
    return adata


def trained(reference, model_cls=sccl.CLModel, *, epochs=2, seed=0, **kwargs):
    model_cls.setup_anndata(reference, batch_key="batch", labels_key="cell_type")
    scvi.settings.seed = seed
    model = model_cls(reference, **kwargs)
    model.train(epochs, **QUIET)
    return model


@pytest.fixture(scope="module")
def counts():
    """400 simulated cells with raw counts, four batches of which the last is the query."""
    return sccl.datasets.simulate(n_cells=400, n_genes=120, n_batches=4, n_types=4, composition=50.0, seed=0)


@pytest.fixture(scope="module")
def model(counts):
    """A model of 80 variable genes of three batches."""
    reference = counts[counts.obs["batch"] != "batch_4"].copy()
    return trained(preprocessed(reference, batch_key="batch", n_top_genes=80), n_latent=16)


@pytest.fixture(scope="module")
def all_query(counts):
    return preprocessed(counts[counts.obs["batch"] == "batch_4"].copy(), n_top_genes=None)


@pytest.fixture
def query(all_query):
    """100 cells of a batch that the model never saw, with all 120 genes."""
    return all_query.copy()


def everything(adata):
    """All that a function could change, in a form that can be compared."""
    parts = {f"obs {key}": adata.obs[key].astype(str).tolist() for key in adata.obs}
    parts |= {f"layer {key}": sp.csr_matrix(adata.layers[key]).toarray().tobytes() for key in adata.layers.keys()}
    parts |= {"X": sp.csr_matrix(adata.X).toarray().tobytes(), "kind": (type(adata.X), adata.X.dtype)}
    return parts | {"names": [*adata.obs_names, *adata.var_names], "uns": str(adata.uns), "obsm": list(adata.obsm)}


def state(model):
    return {name: value.clone() for name, value in model.module.state_dict().items()}


def same_state(model, before):
    return all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())


# Genes


def test_with_all_genes_mapping_is_embedding(model, query):
    expected = model.get_latent_representation(query)
    assert np.array_equal(model.map_query(query), expected)
    assert expected.dtype == np.float32
    assert np.array_equal(model.map_query(query, batch_size=7), model.get_latent_representation(query, batch_size=7))
    own = model.map_query(model.adata)
    assert np.array_equal(own, model.get_latent_representation())


def test_genes_are_matched_by_name_whatever_their_order_and_company(model, query):
    expected = model.map_query(query)
    order = np.random.default_rng(0).permutation(query.n_vars)
    assert np.allclose(model.map_query(query[:, order].copy()), expected, atol=1e-5)
    assert np.allclose(model.map_query(query[:, model.get_var_names()[::-1]].copy()), expected, atol=1e-5)


def test_missing_genes_count_as_not_expressed_and_are_counted(model, query):
    names = model.get_var_names()
    zeroed = query[:, names].copy()
    zeroed.X = zeroed.X.multiply(np.arange(80) < 50).tocsr()
    fewer = query[:, names[:50]].copy()
    with pytest.warns(UserWarning, match=r"lacks 30 of the 80 genes.*\(38%\)"):
        z = model.map_query(fewer)
    assert np.allclose(z, model.get_latent_representation(zeroed), atol=1e-5)
    with pytest.raises(ValueError, match="`map_query` embeds the cells without them"):
        model.get_latent_representation(fewer)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@lacks
@repeats
@hollow
@pytest.mark.filterwarnings("ignore:.*looks normalised to another total")
def test_any_choice_and_order_of_genes_gives_what_zeros_give(model, all_query, data):
    names = list(model.get_var_names())
    kept = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=80, unique=True))
    foreign = data.draw(st.integers(0, 3))
    form = data.draw(st.sampled_from([sp.csr_matrix, sp.csc_matrix, sp.csr_array, sp.coo_matrix.toarray]))
    cells = all_query[:5]
    x = np.hstack([cells[:, kept].X.toarray(), np.ones((5, foreign), np.float32)])
    # Foreign genes may even share a name.
    fewer = ad.AnnData(form(sp.coo_matrix(x)), var=pd.DataFrame(index=kept + ["foreign"] * foreign))
    filled = ad.AnnData(
        cells[:, names].X.toarray() * np.isin(names, kept).astype(np.float32), var=pd.DataFrame(index=names)
    )
    assert np.allclose(model.map_query(fewer, min_overlap=0), model.get_latent_representation(filled), atol=1e-5)


@hollow
def test_too_few_common_genes_are_refused(model, query):
    names = model.get_var_names()
    with pytest.raises(ValueError, match=r"has 39 of the 80 genes.*49%.*`min_overlap` asks for 50%"):
        model.map_query(query[:, names[:39]].copy())
    with pytest.warns(UserWarning, match="lacks 41"):
        model.map_query(query[:, names[:39]].copy(), min_overlap=0.4)
    nothing = query.copy()
    nothing.var_names = [f"ENSG{i}" for i in range(query.n_vars)]
    for min_overlap in (0.5, 0.0):
        with pytest.raises(ValueError, match=r"has 0 of the 80 genes.*ENSG0.*same naming"):
            model.map_query(nothing, min_overlap=min_overlap)
    with pytest.raises(ValueError, match="`min_overlap` must be in"):
        model.map_query(query, min_overlap=1.5)


@repeats
def test_a_gene_that_stands_twice_is_refused(model, query):
    twice = ad.concat([query, query[:, model.get_var_names()[:1]]], axis=1)
    with pytest.raises(ValueError, match=r"more than once: call `adata\.var_names_make_unique"):
        model.map_query(twice)
    with pytest.raises(ValueError, match="more than once"):
        sccl.CLModel.prepare_query_anndata(twice, model)


@pytest.mark.parametrize("is_sparse", [True, False])
@lacks
def test_a_backed_query_is_mapped(model, query, is_sparse, tmp_path):
    fewer = query[:, model.get_var_names()[:60]].copy()
    if not is_sparse:
        fewer.X = fewer.X.toarray()
    fewer.write_h5ad(tmp_path / "query.h5ad")
    backed = ad.read_h5ad(tmp_path / "query.h5ad", backed="r")
    assert np.allclose(model.map_query(backed), model.map_query(fewer), atol=1e-5)


# Cells


@lacks
def test_a_cell_alone_is_mapped_as_in_company(model, query):
    whole = model.map_query(query)
    assert np.allclose(model.map_query(query[3].copy()), whole[[3]], atol=1e-5)
    assert np.allclose(model.map_query(query[3]), whole[[3]], atol=1e-5)
    fewer = query[:, model.get_var_names()[:60]].copy()
    assert np.allclose(model.map_query(fewer[3].copy()), model.map_query(fewer)[[3]], atol=1e-5)
    empty_cell = query[:1].copy()
    empty_cell.X = empty_cell.X * 0
    with pytest.warns(UserWarning, match="1 cells without any expression"):
        assert np.isfinite(model.map_query(empty_cell)).all()


def test_batches_are_not_looked_at(model, query):
    expected = model.map_query(query)
    query.obs = query.obs[[]]
    assert np.array_equal(model.map_query(query), expected)


@lacks
def test_a_mapped_query_stays_as_it_is(model, query):
    for cells in (query, query[:, ::2].copy()):
        before = everything(cells)
        model.map_query(cells, min_overlap=0)
        assert everything(cells) == before


def test_only_cells_can_be_mapped_and_only_by_a_trained_model(model, query):
    with pytest.raises(TypeError, match="AnnData, found ndarray"):
        model.map_query(query.X.toarray())
    with pytest.raises(RuntimeError, match="train"):
        sccl.CLModel(model.adata).map_query(query)


# Preprocessing


def counts_of(query):
    query.X = query.layers["counts"]


def not_logarithmised(query):
    query.X = query.X.expm1()


def few_counts(query):
    query.X = query.layers["counts"].minimum(3)


def scaled(query):
    query.X = query.X.toarray() - 1


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (counts_of, r"raw counts.*target_sum=10000"),
        (few_counts, r"raw counts \(whole numbers up to 3\)"),
        (not_logarithmised, "no logarithms"),
        (scaled, "negative"),
    ],
)
def test_a_query_that_is_not_log_expression_is_refused(model, query, spoil, named):
    spoil(query)
    before = everything(query)
    for refuse in (model.map_query, lambda cells: sccl.CLModel.load_query_data(cells, model)):
        with pytest.raises(ValueError, match=named):
            refuse(query)
    assert everything(query) == before


def test_a_query_normalised_to_another_total_is_refused_if_recorded_and_else_noticed(model, counts):
    query = counts[counts.obs["batch"] == "batch_4"].copy()
    sccl.pp.preprocess(query, n_top_genes=None, target_sum=1e6)
    with pytest.raises(ValueError, match=r"target_sum=1e\+06.*with 10000.*target_sum=10000\)`"):
        model.map_query(query)
    del query.uns["sccl"]
    with pytest.warns(UserWarning, match="looks normalised to another total"):
        model.map_query(query)


def test_a_layer_is_read_where_the_model_reads_one(counts):
    reference = preprocessed(counts.copy())
    reference.layers["log"] = reference.X.copy()
    sccl.CLModel.setup_anndata(reference, layer="log", batch_key="batch")
    model = sccl.CLModel(reference)
    model.train(1, **QUIET)
    fewer = reference[:5, :100].copy()
    fewer.X = fewer.layers["counts"]
    with pytest.warns(UserWarning, match="lacks 20"):
        assert np.isfinite(model.map_query(fewer)).all()
    del fewer.layers["log"]
    with pytest.raises(KeyError, match="log"), pytest.warns(UserWarning, match="lacks 20"):
        model.map_query(fewer)


# As scvi-tools users know it


def test_preparing_gives_a_query_the_models_genes(model, query, tmp_path):
    names = model.get_var_names()
    model.save(tmp_path / "model")
    for reference in (model, str(tmp_path / "model"), tmp_path / "model"):
        listed = sccl.CLModel.prepare_query_anndata(query, reference, return_reference_var_names=True)
        assert isinstance(listed, pd.Index)
        assert list(listed) == list(names)
    fewer = query[:, [*query.var_names.difference(names)[:3], *names[:60]]].copy()
    fewer.obsm["X_pca"] = np.ones((100, 2))
    fewer.obsp["distances"] = sp.eye(100, format="csr")
    fewer.varm["PCs"] = np.arange(2 * fewer.n_vars).reshape(-1, 2)
    fewer.raw = fewer.copy()
    before = everything(fewer)
    with pytest.warns(UserWarning, match="lacks 20 of the 80"):
        new = sccl.CLModel.prepare_query_anndata(fewer, tmp_path / "model", inplace=False)
    assert everything(fewer) == before
    assert list(new.var_names) == list(names)
    assert new.layers["counts"][:, 60:].sum() == 0
    assert new.layers["counts"].sum() == fewer[:, names[:60]].layers["counts"].sum()
    assert list(new.obs["cell_type"]) == list(query.obs["cell_type"])
    assert new.obsm["X_pca"].shape == (100, 2)
    assert new.obsp["distances"].nnz == 100
    assert new.raw.shape == fewer.shape
    assert (new[:, names[:60]].varm["PCs"] == fewer[:, names[:60]].varm["PCs"]).all()
    assert np.isnan(new[:, names[60:]].varm["PCs"]).all()
    with pytest.warns(UserWarning, match="lacks 20"):
        assert sccl.CLModel.prepare_query_anndata(fewer, model) is None
    assert everything(fewer) == everything(new)
    with pytest.warns(UserWarning, match="lacks 20"):
        mapped = model.map_query(query[:, names[:60]].copy())
    assert np.array_equal(model.get_latent_representation(new), mapped)
    complete = sccl.CLModel.prepare_query_anndata(new, model, inplace=False)
    assert complete is not new
    with pytest.raises(ValueError, match="view"):
        sccl.CLModel.prepare_query_anndata(query[:5], model)


@pytest.mark.parametrize("by_path", [False, True])
def test_a_query_model_starts_as_the_reference_and_never_moves_it(model, query, by_path, tmp_path):
    query.obs["batch"] = "never seen"
    before, embedded = state(model), model.get_latent_representation()
    mapped = model.map_query(query)
    if by_path:
        model.save(tmp_path / "model")
    adapted = sccl.CLModel.load_query_data(query, tmp_path / "model" if by_path else model)
    assert np.array_equal(adapted.get_latent_representation(), mapped)
    adapted.train(2, **QUIET)
    assert not np.allclose(adapted.get_latent_representation(), mapped, atol=1e-3)
    assert same_state(model, before)
    assert np.array_equal(model.get_latent_representation(), embedded)
    assert np.array_equal(model.map_query(query), mapped)


def moved(model, before):
    return {name for name, value in model.module.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("model_cls", [sccl.CLModel, sccl.MoCo, sccl.Concerto])
def test_only_batch_normalisation_adapts_unless_all_may(counts, model_cls, tmp_path):
    reference = preprocessed(counts[:200].copy())
    model = trained(reference, model_cls, epochs=1)
    query = preprocessed(counts[200:].copy())
    linear = {name for name, value in state(model).items() if name.startswith("encoder") and value.ndim == 2}
    before = state(model)
    adapted = model_cls.load_query_data(query, model)
    adapted.save(tmp_path / "adapted")
    for one in (adapted, model_cls.load(tmp_path / "adapted", query)):  # what is frozen stays so when it was saved
        one.train(1, **QUIET)
        changed = moved(one, before)
        assert not changed & linear
        assert {"encoder.1.running_mean", "encoder.1.weight", "encoder.4.running_var", "encoder.4.bias"} <= changed
    free = model_cls.load_query_data(query, model, freeze="none")
    free.train(1, **QUIET)
    assert linear <= moved(free, before)


def test_a_query_needs_its_batch_but_no_labels(model, query):
    del query.obs["cell_type"]
    adapted = sccl.CLModel.load_query_data(query, model)
    adapted.train(1, **QUIET)
    again = sccl.CLModel.load_query_data(query, adapted)
    assert again.is_trained
    del query.obs["batch"]
    with pytest.raises(KeyError, match="`batch_key`"):
        sccl.CLModel.load_query_data(query, model)


def test_a_query_model_is_refused_what_it_cannot_use(model, query):
    with pytest.raises(KeyError, match=r"`freeze` must be one of .*weights"):
        sccl.CLModel.load_query_data(query, model, freeze="weight")
    with pytest.raises(ValueError, match=r"lacks 40.*prepare_query_anndata"):
        sccl.CLModel.load_query_data(query[:, model.get_var_names()[:40]].copy(), model)
    with pytest.raises(ValueError, match="different class"):
        sccl.MoCo.load_query_data(query, model)
    with pytest.raises(RuntimeError, match="train"):
        sccl.CLModel.load_query_data(query, sccl.CLModel(model.adata))


# Shipped


def test_a_reference_is_shipped_without_its_cells(model, query, tmp_path):
    model.save(tmp_path / "model")
    query = query[:, [*model.get_var_names()[::-2], *query.var_names.difference(model.get_var_names())]].copy()
    query.write_h5ad(tmp_path / "query.h5ad")
    with pytest.warns(UserWarning, match="lacks 40 of the 80"):
        expected = model.map_query(query)
    elsewhere = """
import sys, warnings
import anndata, numpy, sccl
warnings.filterwarnings("error", message=".*looks normalised")
folder = sys.argv[1]
model = sccl.CLModel.load(folder + "/model", adata=False, accelerator="cpu")
query = anndata.read_h5ad(folder + "/query.h5ad")
numpy.save(folder + "/mapped.npy", model.map_query(query))
query.X = query.layers["counts"]
try:
    model.map_query(query)
except ValueError as error:
    print("refused:", error)
"""
    run = subprocess.run(
        [sys.executable, "-c", elsewhere, str(tmp_path)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "refused: adata_query.X seems to hold raw counts" in run.stdout
    assert np.array_equal(np.load(tmp_path / "mapped.npy"), expected)


# Labels


@pytest.fixture(scope="module")
def learned():
    """A model that knows its types, its reference, and a query with batch and types of its own."""
    adata = sccl.datasets.simulate(
        n_cells=900, n_genes=300, n_batches=3, n_types=4, composition=50.0, mean_count=2.0, seed=3
    )
    reference = preprocessed(adata[adata.obs["batch"] != "batch_3"].copy(), n_top_genes=200, batch_key="batch")
    query = preprocessed(adata[adata.obs["batch"] == "batch_3"].copy(), n_top_genes=None)
    return trained(reference, epochs=20), reference, query


def test_labels_are_transferred_with_shares_of_votes(learned):
    model, reference, query = learned[0], learned[1], learned[2].copy()
    truth = query.obs["cell_type"].astype(str).to_numpy()
    before, reference_before = everything(query), everything(reference)
    shares = sccl.mapping.transfer_labels(model, reference, query, "cell_type", k=7)
    assert list(shares.index) == list(query.obs_names)
    assert list(shares.columns) == ["type_1", "type_2", "type_3", "type_4"]
    assert shares.to_numpy().dtype == np.float32
    assert np.allclose(shares.sum(axis=1), 1)
    predicted, confidence = query.obs.pop("cell_type_predicted"), query.obs.pop("cell_type_confidence")
    assert list(predicted.cat.categories) == [*shares.columns, "unknown"]
    known = (predicted != "unknown").to_numpy()
    assert np.array_equal(confidence[known], shares.max(axis=1)[known])
    assert confidence[~known].isna().all()  # which were given no label
    assert confidence.dtype == np.float32
    assert (predicted[known] == shares.idxmax(axis=1)[known]).all()
    assert (predicted == truth).mean() > 0.85
    assert (~known).mean() < 0.1
    assert everything(query) == before
    assert everything(reference) == reference_before
    again = sccl.mapping.transfer_labels(model, reference, query, "cell_type", k=7)
    pd.testing.assert_frame_equal(again, shares)


def test_a_type_that_the_reference_lacks_is_unknown_in_small_and_in_large_queries(learned, monkeypatch):
    _, reference, query = learned[0], learned[1], learned[2].copy()
    kept = reference[reference.obs["cell_type"] != "type_2"].copy()
    model = trained(kept, epochs=5)
    sccl.mapping.transfer_labels(model, kept, query, "cell_type")
    unknown, new = query.obs["cell_type_predicted"] == "unknown", query.obs["cell_type"] == "type_2"
    assert unknown[new].mean() >= 0.7
    assert unknown[~new].mean() <= 0.1
    # of a large query some cells are judged, and the others go with those that they are like
    monkeypatch.setattr("sccl.mapping.novelty.detection.N_CELLS", query.n_obs // 2)
    monkeypatch.setattr("sccl.mapping.transfer.MOST_COMPARISONS", 0)
    sccl.mapping.transfer_labels(model, kept, query, "cell_type")
    unknown = query.obs["cell_type_predicted"] == "unknown"
    assert unknown[new].mean() >= 0.7
    assert unknown[~new].mean() <= 0.1


def test_a_query_of_one_known_type_alone_is_not_unknown(learned):
    model, reference, query = learned
    one = query[query.obs["cell_type"] == "type_3"].copy()
    sccl.mapping.transfer_labels(model, reference, one, "cell_type")
    assert (one.obs["cell_type_predicted"] == "unknown").mean() <= 0.1


@lacks
def test_single_cells_few_neighbours_and_missing_genes_are_fine(learned):
    model, reference, query = learned
    whole = query.copy()
    expected = sccl.mapping.transfer_labels(model, reference, whole, "cell_type")
    one = query[4].copy()
    assert np.array_equal(sccl.mapping.transfer_labels(model, reference, one, "cell_type"), expected.iloc[[4]])
    few = reference[:5].copy()
    assert sccl.mapping.transfer_labels(model, few, query.copy(), "cell_type", k=100).shape[0] == query.n_obs
    fewer = query[:, model.get_var_names()[:120]].copy()
    fewer.obs["truth"] = fewer.obs["cell_type"].astype(str)
    sccl.mapping.transfer_labels(model, reference, fewer, "cell_type", metric="euclidean")
    assert (fewer.obs["cell_type_predicted"] == "unknown").mean() <= 0.1
    assert (fewer.obs["cell_type_predicted"] == fewer.obs["truth"]).mean() > 0.7


def test_labels_may_be_numbers(learned, tmp_path):
    model, reference, query = learned[0], learned[1].copy(), learned[2].copy()
    reference.obs["cluster"] = reference.obs["cell_type"].cat.codes.astype(int)
    shares = sccl.mapping.transfer_labels(model, reference, query, "cluster")
    assert list(shares.columns) == ["0", "1", "2", "3"]
    query.write_h5ad(tmp_path / "labelled.h5ad")


def test_a_fine_tuned_model_may_embed_the_query(learned):
    model, reference, query = learned[0], learned[1], learned[2].copy()
    adapted = sccl.CLModel.load_query_data(query, model)
    adapted.train(5, **QUIET)
    shares = sccl.mapping.transfer_labels(model, reference, query, "cell_type", query_model=adapted)
    assert (shares.idxmax(axis=1) == query.obs["cell_type"].astype(str)).mean() > 0.85


@hollow
def test_cells_without_expression_get_no_label(learned):
    model, reference, query = learned[0], learned[1], learned[2].copy()
    query.X = sp.csr_matrix(query.X.toarray() * (np.arange(query.n_obs) >= 3)[:, None])
    sccl.mapping.transfer_labels(model, reference, query, "cell_type")
    assert (query.obs["cell_type_predicted"][:3] == "unknown").all()
    assert (query.obs["cell_type_predicted"][3:] != "unknown").any()


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"labels_key": "celltype"}, KeyError, "`labels_key`: 'celltype' is not in reference.obs"),
        ({"labels_key": "missing"}, ValueError, "1 of 600 reference cells have no"),
        ({"labels_key": "named"}, ValueError, "labelled 'unknown'"),
        ({"k": 0}, ValueError, "`k` must be a whole number of at least 1"),
        ({"metric": "manhattan"}, ValueError, "`metric` must be one of 'cosine'"),
        ({"min_overlap": 2}, ValueError, "min_overlap"),
    ],
)
def test_what_cannot_be_transferred_is_refused_untouched(learned, change, error, named):
    model, reference, query = learned[0], learned[1].copy(), learned[2].copy()
    reference.obs["missing"] = [None, *["t"] * 599]
    reference.obs["named"] = ["unknown", *["t"] * 599]
    before = everything(query)
    with pytest.raises(error, match=named):
        sccl.mapping.transfer_labels(model, reference, query, **{"labels_key": "cell_type", **change})
    assert everything(query) == before


def test_a_query_that_cannot_take_columns_is_refused(learned):
    model, reference, query = learned
    with pytest.raises(ValueError, match=r"view.*`query.copy\(\)`"):
        sccl.mapping.transfer_labels(model, reference, query[:5], "cell_type")
    with pytest.raises(ValueError, match="no cells"):
        sccl.mapping.transfer_labels(model, reference, query[:0].copy(), "cell_type")


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_votes_are_counted_and_ties_go_to_the_nearer(data):
    n_cells, k, n_labels, n_reference = (data.draw(st.integers(1, most)) for most in (5, 8, 4, 9))
    codes = np.array(data.draw(st.lists(st.integers(0, n_labels - 1), min_size=n_reference, max_size=n_reference)))
    rows = data.draw(st.lists(st.permutations(range(n_reference)), min_size=n_cells, max_size=n_cells))
    indices = np.full((n_cells, k), -1)
    indices[:, : min(k, n_reference)] = np.array(rows)[:, :k]
    shares, winners = vote(indices, codes, n_labels)
    for row, share, winner in zip(indices, shares, winners, strict=True):
        ballots = codes[row[row >= 0]]
        counted = np.bincount(ballots, minlength=n_labels)
        assert np.allclose(share, counted / counted.sum())
        assert counted[winner] == counted.max()
        nearness = [sum(k - rank for rank, label in enumerate(ballots) if label == code) for code in range(n_labels)]
        tied = np.flatnonzero(counted == counted.max())
        assert nearness[winner] == max(nearness[code] for code in tied)


def two_views(rng, n_cells=300, n_genes=60):
    """Return an embedding that tells type 0 from the others, and expression that tells type 2 from the others."""
    codes = rng.integers(3, size=n_cells)
    z = rng.normal(size=(n_cells, 4))
    z[:, 0] += 12 * (codes == 0)
    x = rng.exponential(0.3, size=(n_cells, n_genes))
    x[:, :10] += 2 * (codes == 2)[:, None]
    return z, sp.csr_matrix(x), codes


def nearest_labels(space_ref, codes, space_query):
    from sccl import graph

    return codes[graph.knn(space_ref, k=1, query=space_query, metric="cosine")[0][:, 0]]


def test_embedding_and_expression_vote_together():
    rng = np.random.default_rng(0)
    z, x, codes = two_views(rng)
    known, new = np.arange(200), np.arange(200, 300)
    together = voting_space(z[known], z[new], x[known], x[new], codes[known], known)
    assert (nearest_labels(together[0], codes[known], together[1]) == codes[new]).mean() > 0.95
    # neither alone would do
    assert (nearest_labels(z[known], codes[known], z[new]) == codes[new]).mean() < 0.85
    blind = sp.csr_matrix(np.ones_like(x.toarray()))
    alone = voting_space(z[known], z[new], blind[known], blind[new], codes[known], known)
    assert alone[0].shape[1] == 4  # cells that do not differ in expression have no axes
    assert (nearest_labels(alone[0], codes[known], alone[1]) == codes[new]).mean() < 0.85


def test_what_varies_within_labels_counts_no_more_than_what_tells_them_apart():
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], 100)
    z = np.column_stack([rng.normal(0, 3, 200), rng.normal(0, 1, 200) + 4 * codes])
    nothing = sp.csr_matrix((200, 2))
    space, _ = voting_space(z, z[:1], nothing, nothing[:1], codes, np.arange(200))
    within = np.concatenate([space[codes == code] - space[codes == code].mean(axis=0) for code in (0, 1)])
    spread = within.std(axis=0)
    assert spread.max() / spread.min() < 1.5  # it was 3
    between = np.abs(space[codes == 0].mean(axis=0) - space[codes == 1].mean(axis=0))
    assert between.max() / spread.max() > 3  # it was 4/3
    assert (space**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)


def test_where_a_query_cell_is_does_not_depend_on_the_others():
    rng = np.random.default_rng(0)
    z, x, codes = two_views(rng)
    known = np.arange(200)
    both = [
        voting_space(z[known], z[rows], x[known], x[rows], codes[known], known) for rows in (slice(200, 300), [250])
    ]
    np.testing.assert_allclose(both[0][1][[50]], both[1][1], atol=1e-6)
    assert np.array_equal(both[0][0], both[1][0])


def test_cells_without_variation_are_not_judged():
    flat = np.zeros((40, 5), np.float32)
    assert (reciprocity(flat, flat, np.arange(40) % 2) > 0.5).all()


def test_a_reference_whose_batches_are_alike_asks_no_more_of_a_query():
    rng = np.random.default_rng(0)
    codes = np.arange(600) % 3
    x = (rng.normal(size=(600, 6)) + 4 * np.eye(6)[codes]).astype(np.float32)
    batch = rng.integers(2, size=600)
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    alike, turned = usual_scores(x, codes, batch), usual_scores(np.where(batch[:, None], x @ turn, x), codes, batch)
    assert alike[0].max() == 1 / 3
    assert (turned[0] < alike[0]).all() and (turned[1] < alike[1]).all()
    strict, loose = usual_scores(x, codes, np.zeros(600, dtype=int))  # nothing to learn from
    assert (strict == 1 / 4).all() and (loose == 1 / 4).all()


def test_a_query_larger_than_the_references_batches_is_no_farther_for_that():
    rng = np.random.default_rng(0)
    centers = 6 * rng.normal(size=(5, 16))

    def cells(codes):
        return (centers[codes] + rng.normal(size=(codes.size, 16))).astype(np.float32)

    codes, batch, of_query = np.arange(1200) % 4, np.arange(1200) // 300, np.arange(6000) % 5
    far = is_far(cells(codes), cells(of_query), codes, batch)
    assert far[of_query < 4].mean() <= 0.06  # 3 % of the reference's own cells are
    assert far[of_query == 4].all()


def test_unknown_spreads_within_a_group_of_likely_cells_and_nowhere_else():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)) + np.repeat([[0, 0, 0], [20, 0, 0], [40, 0, 0]], 100, axis=0)
    sure, likely = np.zeros(300, dtype=bool), np.zeros(300, dtype=bool)
    sure[:40] = likely[:90] = True  # of the first group two in five are sure, and most are likely
    likely[100:190] = True  # of the second most are likely, but none is sure
    sure[200:205] = likely[200:290] = True  # of the third hardly any is sure
    unknown = hysteresis_threshold(sure, likely, x)
    assert unknown[:90].mean() > 0.9
    assert not unknown[90:100].any()  # who is not even likely stays known
    assert not unknown[100:200].any()
    assert unknown[200:].sum() == 5


@given(st.integers(1, 40), st.integers(0, 2**31))
def test_spreading_keeps_the_sure_cells_and_adds_only_likely_ones(n_cells, seed):
    rng = np.random.default_rng(seed)
    x, likely = rng.normal(size=(n_cells, 2)), rng.random(n_cells) < 0.5
    sure = rng.random(n_cells) < 0.3
    unknown = hysteresis_threshold(sure, likely, x)
    assert unknown[sure].all()
    assert not unknown[~(sure | likely)].any()
    assert np.array_equal(hysteresis_threshold(unknown, likely, x), unknown)  # there is nothing more to add


def test_unknown_cells_settle_on_whole_groups():
    rng = np.random.default_rng(0)
    kinds = np.repeat([0, 1, 2], 100)  # the last kind has got the labels of the two others
    codes = np.where(kinds == 2, np.arange(300) % 2, kinds)
    x = rng.normal(size=(300, 10)) + 5 * np.eye(10)[kinds]
    unknown = np.where(kinds == 2, rng.random(300) < 0.4, rng.random(300) < 0.06)
    assert np.array_equal(classification_em(unknown, codes, x), kinds == 2)


def test_few_cells_that_are_like_the_others_do_not_hold_on_to_each_other():
    rng = np.random.default_rng(0)
    left = []
    for _ in range(20):
        unknown = np.zeros(200, dtype=bool)
        unknown[rng.permutation(200)[:10]] = True
        left.append(classification_em(unknown, np.zeros(200, dtype=int), rng.normal(size=(200, 50))).sum())
    assert np.mean(left) < 1


@given(st.integers(1, 40), st.integers(1, 3), st.integers(0, 2**31))
def test_who_is_alone_does_not_settle(n_cells, n_labels, seed):
    rng = np.random.default_rng(seed)
    x, codes = rng.normal(size=(n_cells, 3)), rng.integers(n_labels, size=n_cells)
    unknown = rng.random(n_cells) < 0.2
    settled = classification_em(unknown, codes, x)
    if np.unique(2 * codes + unknown, return_counts=True)[1].max() < 5:
        assert np.array_equal(settled, unknown)
    for same in (np.zeros(n_cells, dtype=bool), np.ones(n_cells, dtype=bool)):
        assert np.array_equal(classification_em(same, codes, x), same)


def test_the_cells_that_stand_for_a_large_reference_hold_every_label():
    codes = np.repeat([0, 1, 2], [60_000, 3_000, 40])
    sample = sample_reference(codes, np.random.default_rng(0))
    assert np.array_equal(sample, np.unique(sample))
    assert np.bincount(codes[sample]).tolist() == [9518, 476, 40]


# Real cells


def holdout(real_data, name, batch, without=None):
    """Reference and query: all batches but one, without one type, and that batch."""
    adata = ad.read_h5ad(real_data / f"{name}.h5ad")
    adata = adata[:: -(-adata.n_obs // 5000)]
    reference = adata[(adata.obs["batch"] != batch) & (adata.obs["cell_type"] != without)].copy()
    query = adata[adata.obs["batch"] == batch].copy()
    sccl.pp.preprocess(reference, batch_key="batch", n_top_genes=1500)
    return reference, preprocessed(query, n_top_genes=None)


def test_real_labels_are_transferred_across_technologies(real_data):
    reference, query = holdout(real_data, "pbmc_3tech", "5p")
    model = trained(reference, epochs=40)
    shares = sccl.mapping.transfer_labels(model, reference, query, "cell_type")
    assert (shares.idxmax(axis=1) == query.obs["cell_type"].astype(str)).mean() >= 0.88
    assert (query.obs["cell_type_predicted"] == "unknown").mean() <= 0.1


def test_a_donor_of_another_composition_is_known(real_data):
    reference, query = holdout(real_data, "kang_8donor", "donor1016")  # CD8 T cells are 31 % there, and 6 % elsewhere
    model = trained(reference, epochs=min(50, 300 * 256 // reference.n_obs))
    sccl.mapping.transfer_labels(model, reference, query, "cell_type")
    assert (query.obs["cell_type_predicted"] == "unknown").mean() <= 0.15


# Some of those that docs/unknown.py goes through.
@pytest.mark.parametrize(
    ("name", "batch", "without"),
    [
        ("pbmc_3tech", "3pv2", "NK"),
        ("pbmc_3tech", "5p", "B"),
        ("kang_ifnb", "ctrl", "CD8 T"),
        ("kang_8donor", "donor1488", "NK cells"),
    ],
)
@pytest.mark.filterwarnings("ignore:.* there is one batch only")  # of kang_ifnb's two the other is the query
def test_a_real_type_that_the_reference_lacks_is_unknown(real_data, name, batch, without):
    reference, query = holdout(real_data, name, batch, without)
    model = trained(reference, epochs=min(50, 300 * 256 // reference.n_obs))
    sccl.mapping.transfer_labels(model, reference, query, "cell_type")
    unknown = (query.obs["cell_type_predicted"] == "unknown").to_numpy()
    new = (query.obs["cell_type"] == without).to_numpy()
    in_reference = query.obs["cell_type"].isin(reference.obs["cell_type"].unique()).to_numpy()
    assert unknown[new].mean() >= 0.7
    assert unknown[in_reference].mean() <= 0.1

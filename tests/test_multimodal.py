"""RNA and proteins together: registered, learned, embedded by both or one, stored."""

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import scvi
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sccl
from sccl.augment import Compose, CrossBatchPositive, CrossOver, Mask, ModalityCompose
from sccl.catalogue import models
from sccl.inputs.proteins import find_proteins
from sccl.module import MultimodalModule, clip_loss
from sccl.module.multimodal import encode

QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}
INTEGRATE = ("add", "mean", "concat", "clip")
# mudata asks pandas 3 for it whenever one is made
pandas_inplace = pytest.mark.filterwarnings("ignore:The inplace keyword")


def prepared(adata, **kwargs):
    sccl.pp.preprocess(adata, batch_key="batch", **kwargs)
    sccl.pp.normalize_protein(adata)
    return adata


def registered(adata):
    sccl.CLModel.setup_anndata(adata, batch_key="batch", labels_key="cell_type", protein_obsm_key="protein_clr")
    return adata


def trained(adata, model_cls=sccl.CLModel, *, steps=12, **kwargs):
    scvi.settings.seed = 0
    model = model_cls(adata, **kwargs)
    model.train(max_steps=steps, batch_size=64, **QUIET)
    return model


@pytest.fixture(scope="module")
def cells():
    """240 cells of two batches with 80 genes and 15 proteins; no proteins of the first ten, no RNA of the next five."""
    adata = sccl.datasets.simulate(240, 80, n_batches=2, n_types=3, n_proteins=15, composition=50.0, seed=1)
    adata = prepared(adata, n_top_genes=None)
    adata.obsm["protein_clr"].iloc[:10] = np.nan
    x = adata.X.tolil()
    x[10:15] = 0
    adata.X = x.tocsr()
    return registered(adata)


@pytest.fixture(scope="module")
def model(cells):
    return trained(cells, n_latent=8, steps=40)


# normalisation


def test_clr_is_what_its_formula_says_and_counts_and_expression_stay(cells):
    adata = sccl.datasets.simulate(30, 20, n_proteins=6, seed=2)
    before, counts = adata.X.copy(), adata.obsm["protein"].copy()
    sccl.pp.normalize_protein(adata, isotypes=["protein_0002"], key_added="clr")
    kept = counts.drop(columns="protein_0002").to_numpy()
    expected = np.log1p(kept / np.exp(np.log1p(kept).mean(axis=1, keepdims=True)))
    assert np.allclose(adata.obsm["clr"], expected, rtol=1e-5)
    assert list(adata.obsm["clr"].columns) == list(counts.drop(columns="protein_0002").columns)
    assert (adata.X != before).nnz == 0 and adata.obsm["protein"].equals(counts)
    assert adata.uns["sccl"]["normalize_protein"]["clr"]["isotypes"] == ["protein_0002"]


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_each_cell_is_normalised_by_itself_in_every_form(data):
    n_cells, n_proteins = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 5))
    counts = np.array(
        data.draw(
            st.lists(
                st.lists(st.integers(0, 500), min_size=n_proteins, max_size=n_proteins),
                min_size=n_cells,
                max_size=n_cells,
            )
        ),
        dtype=np.float32,
    )
    method = data.draw(st.sampled_from(["clr", "log1p"]))
    results = []
    for form in (
        counts,
        sp.csr_matrix(counts),
        pd.DataFrame(counts, index=[str(i) for i in range(n_cells)], columns=list("abcde")[:n_proteins]),
    ):
        adata = ad.AnnData(sp.csr_matrix((n_cells, 2), dtype=np.float32), obsm={"p": form})
        sccl.pp.normalize_protein(adata, "p", method=method)
        results.append(find_proteins(adata, f"p_{method}").x.toarray())
        assert type(adata.obsm[f"p_{method}"]) is type(form)
    assert all(np.array_equal(one, results[0]) for one in results)
    alone = ad.AnnData(sp.csr_matrix((1, 2), dtype=np.float32), obsm={"p": counts[:1]})
    sccl.pp.normalize_protein(alone, "p", method=method)
    assert np.array_equal(find_proteins(alone, f"p_{method}").x.toarray(), results[0][:1])


def test_isotype_controls_are_told_by_their_names():
    names = ["CD3", "IgD", "IgM", "IgG.Fc", "Rat_IgG2b", "mouse IgG1", "IgG1_control", "CD4-isotype", "IgG2a-K"]
    assert sccl.pp.isotype_controls(names) == ["Rat_IgG2b", "mouse IgG1", "IgG1_control", "CD4-isotype", "IgG2a-K"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda a: {"protein_obsm_key": "proteins"}, KeyError, "did you mean 'protein'"),
        (lambda a: {"method": "dsb"}, ValueError, "`method` must be one of 'clr', 'log1p'"),
        (lambda a: {"isotypes": ["IgG1"]}, KeyError, "Unknown isotype control 'IgG1'"),
        (lambda a: {"isotypes": list(a.obsm["protein"])}, ValueError, "names all proteins"),
        (lambda a: a.obsm["protein"].iloc.__setitem__((0, 0), 0.5) or {}, ValueError, "looks normalised already"),
        (
            lambda a: a.obsm["protein"].iloc.__setitem__((3, 0), np.nan) or {},
            ValueError,
            "NaN for some proteins of 1 cells",
        ),
        (
            lambda a: a.obsm["protein"].iloc.__setitem__((3, 0), np.inf) or {},
            ValueError,
            "infinite value, first of the cell",
        ),
    ],
)
def test_what_are_no_counts_of_proteins_is_refused_and_nothing_is_changed(change, error, message):
    adata = sccl.datasets.simulate(20, 20, n_proteins=4)
    arguments = change(adata)
    with pytest.raises(error, match=message):
        sccl.pp.normalize_protein(adata, **{"protein_obsm_key": "protein", **arguments})
    assert list(adata.obsm) == ["protein"] and not adata.uns


# registration


@pytest.mark.parametrize(
    ("key", "change", "error", "message"),
    [
        ("protein_clt", lambda a: None, KeyError, "did you mean 'protein_clr'"),
        ("protein", lambda a: None, ValueError, r"raw counts .* call `sccl.pp.normalize_protein\(adata, 'protein'\)`"),
        (3, lambda a: None, TypeError, "must be a key of adata.obsm"),
        ("zero", lambda a: a.obsm.__setitem__("zero", np.zeros((a.n_obs, 3))), ValueError, "holds no values"),
        (
            "flat",
            lambda a: a.obsm.__setitem__("flat", np.ones((a.n_obs, 2, 2))),
            ValueError,
            "must be cells × proteins",
        ),
    ],
)
def test_proteins_that_cannot_be_read_are_refused_and_leave_no_trace(key, change, error, message):
    adata = prepared(sccl.datasets.simulate(20, 200, n_proteins=4), n_top_genes=None)
    change(adata)
    with pytest.raises(error, match=message):
        sccl.SimCLR.setup_anndata(adata, protein_obsm_key=key)
    assert not [name for name in [*adata.obs, *adata.uns] if name.startswith("_scvi")]


def test_integrate_and_modality_are_checked(cells, model):
    with pytest.raises(ValueError, match="`integrate` must be one of 'add', 'mean', 'concat', 'clip', found 'sum'"):
        sccl.CLModel(cells, integrate="sum")
    with pytest.raises(ValueError, match="`modality` must be one of 'rna', 'protein', found 'adt'"):
        model.get_latent_representation(modality="adt")
    with pytest.raises(ValueError, match="CrossOver borrows from other cells"):
        model.train(max_steps=1, protein_augmentation=CrossOver(0.2), **QUIET)
    rna = sccl.datasets.simulate(40, 60, n_batches=2, seed=0)
    sccl.pp.preprocess(rna)
    sccl.CLModel.setup_anndata(rna, batch_key="batch")
    alone = sccl.CLModel(rna)
    assert "protein" not in repr(alone) and "15 proteins" in repr(model)
    with pytest.raises(ValueError, match="`protein_augmentation`: the model reads RNA alone"):
        alone.train(max_steps=1, protein_augmentation="mask", **QUIET)


# views


def test_rna_and_proteins_of_a_view_come_from_the_same_cells_and_only_from_measured_ones():
    rng = np.random.default_rng(0)
    # a value is the number of its cell, so that a view says whose it is
    own = np.arange(1, 41, dtype=np.float32)[:, None]
    rna, protein = own * np.ones((1, 6), np.float32), own * np.ones((1, 3), np.float32)
    protein[::5] = 0
    both = ModalityCompose(Compose([CrossBatchPositive(p=1.0, min_shared=0)]))
    space = sccl.graph.CellSpace(rng.normal(size=(40, 5)), np.repeat(["a", "b"], 20))
    both = both.bind(space)
    cells = np.arange(40)
    steps = both.draw(cells, pool=cells, seed=0, epoch=0, view=1)
    a_ng, b_ng = (
        both.views(sp.csr_matrix(x), cells, steps, of_protein=flag).numpy()
        for x, flag in ((rna, False), (protein, True))
    )
    moved = a_ng[:, 0] != own[:, 0]
    assert moved.sum() > 5
    lacks = protein[:, 0] == 0
    assert np.isnan(b_ng[lacks]).all() and not np.isnan(a_ng).any()
    lender = a_ng[:, 0].astype(int) - 1
    expected = np.where(lacks[lender], own[:, 0], a_ng[:, 0])
    assert np.array_equal(b_ng[~lacks, 0], expected[~lacks])


def test_each_modality_is_masked_by_itself_and_by_its_own_augmentation():
    ones = sp.csr_matrix(np.ones((200, 50), np.float32))
    cells = np.arange(200)

    def masked(both):
        steps = both.draw(cells, pool=cells, seed=0, epoch=0, view=0)
        return [both.views(ones, cells, steps, of_protein=flag).numpy() == 0 for flag in (False, True)]

    rna, protein = masked(ModalityCompose(Compose([Mask(0.4, p=1.0)])))
    assert abs(rna.mean() - 0.4) < 0.02 and abs(protein.mean() - 0.4) < 0.02
    assert abs((rna == protein).mean() - (0.4**2 + 0.6**2)) < 0.02
    rna, protein = masked(ModalityCompose(Compose([Mask(0.4, p=1.0)]), Compose([Mask(0.1, p=1.0)])))
    assert abs(rna.mean() - 0.4) < 0.02 and abs(protein.mean() - 0.1) < 0.02


# the network


def test_clip_is_symmetric_has_both_halves_and_a_gradient_for_both():
    a_nd, b_nd = torch.randn(9, 4, requires_grad=True), torch.randn(9, 4, requires_grad=True)
    loss = clip_loss(a_nd, b_nd, 0.3)
    logits = torch.nn.functional.cosine_similarity(a_nd[:, None], b_nd[None], dim=2) / 0.3
    halves = [-torch.log_softmax(logits, dim=axis).diagonal().mean() for axis in (1, 0)]
    assert torch.allclose(loss, (halves[0] + halves[1]) / 2, atol=1e-6)
    assert torch.allclose(loss, clip_loss(b_nd, a_nd, 0.3))
    loss.backward()
    assert a_nd.grad.abs().sum() > 0 and b_nd.grad.abs().sum() > 0


def network(architecture, integrate, **kwargs):
    torch.manual_seed(0)
    encoders = {
        "rna": sccl.module.Encoder(10, n_hidden=8, n_latent=6),
        "protein": sccl.module.Encoder(4, n_hidden=8, n_latent=6),
    }
    return MultimodalModule(encoders, architecture, integrate=integrate, **kwargs)


@pytest.mark.parametrize("integrate", INTEGRATE)
@pytest.mark.parametrize(
    "architecture", [sccl.module.MoCo, sccl.module.NNCLR, sccl.module.Concerto, sccl.module.VICReg]
)
def test_both_encoders_learn_from_cells_that_have_both_or_one(architecture, integrate):
    net = network(architecture, integrate).train()
    views = {"rna": torch.rand(2, 12, 10), "protein": torch.rand(2, 12, 4)}
    views["protein"][:, :4] = torch.nan
    views["rna"][:, 4] = torch.nan
    net(views)
    output = net(views)  # the queue is not empty any more
    output.projections.loss.backward()
    assert output.projections.loss.isfinite()
    assert output.h_vnd.shape == (2, 12, 12 if integrate == "concat" else 6)
    for encoder in net.encoder.values():
        gradients = [p.grad for p in encoder.parameters()]
        assert all(g is not None and g.isfinite().all() for g in gradients) and any(
            g.abs().sum() > 0 for g in gradients
        )
    net.update_target(step=0, n_steps=10)


def test_clip_has_one_memory_bank_for_each_modality_and_concat_one_that_fits():
    views = {"rna": torch.rand(2, 12, 10), "protein": torch.rand(2, 12, 4)}
    for architecture in (sccl.module.MoCo, sccl.module.NNCLR):
        net = network(architecture, "clip").train()
        net(views)
        rna, protein = (net.architecture[name].queue.filled_kd for name in ("rna", "protein"))
        assert len(rna) == len(protein) == 12 and not torch.equal(rna, protein)
        net = network(architecture, "concat").train()
        net(views)
        z_nd = net.represent({name: x[0] for name, x in views.items()}, projection=True)
        assert net.architecture["joint"].queue.filled_kd.shape == (12, z_nd.shape[1])


def test_statistics_of_an_encoder_are_those_of_the_cells_that_were_measured():
    x_vnf = torch.rand(2, 12, 4)
    x_vnf[:, :9] = torch.nan
    net, alone = network(sccl.module.SimCLR, "add").train(), network(sccl.module.SimCLR, "add").train()
    h = encode(net.encoder, {"rna": torch.rand(2, 12, 10), "protein": x_vnf}, 6)[1]
    expected = alone.encoder["protein"](x_vnf[:, 9:].flatten(0, 1)).unflatten(0, (2, 3))
    assert torch.equal(h[:, 9:], expected) and not h[:, :9].any()
    for name, value in net.encoder["protein"].state_dict().items():
        assert torch.equal(value, alone.encoder["protein"].state_dict()[name])


# every model


@pytest.mark.slow
@pytest.mark.parametrize("name", models())
def test_every_model_trains_with_every_way_to_integrate_and_has_a_switch_for_one_modality(cells, name):
    registered(cells)  # copies of it may have been, meanwhile
    x, proteins = cells.X.copy(), cells.obsm["protein_clr"].copy()
    for integrate in INTEGRATE:
        model = trained(cells, getattr(sccl, name), steps=3, n_latent=8, n_hidden=16, integrate=integrate)
        both, rna, protein = (model.get_latent_representation(modality=one) for one in (None, "rna", "protein"))
        width = 16 if integrate == "concat" else 8
        assert both.shape == rna.shape == protein.shape == (cells.n_obs, width)
        assert np.isfinite([both, rna, protein]).all()
        assert not np.allclose(both[20:], rna[20:]) and not np.allclose(both[20:], protein[20:])
        assert np.allclose(both[:10], rna[:10], atol=1e-6) and np.allclose(both[10:15], protein[10:15], atol=1e-6)
        for one in (None, "rna", "protein"):
            assert np.isfinite(model.get_latent_representation(modality=one, projection=True)).all()
    assert (cells.X != x).nnz == 0 and cells.obsm["protein_clr"].equals(proteins)


def test_a_model_embeds_each_cell_by_what_was_measured_of_it(cells, model):
    both = model.get_latent_representation()
    without = cells.copy()
    del without.obsm["protein_clr"], without.obsm["protein"]
    assert np.allclose(
        model.map_query(without[20:].copy()), model.get_latent_representation(modality="rna")[20:], atol=1e-6
    )
    order = np.random.default_rng(0).permutation(cells.n_obs)
    shuffled = cells[order].copy()
    shuffled.obsm["protein_clr"] = shuffled.obsm["protein_clr"].iloc[:, ::-1]
    assert np.allclose(model.map_query(shuffled), both[order], atol=1e-6)
    assert np.allclose(model.get_latent_representation(shuffled, batch_size=7), both[order], atol=1e-5)
    no_genes = ad.AnnData(obs=cells.obs.iloc[20:40], obsm={"protein_clr": cells.obsm["protein_clr"].iloc[20:40]})
    assert np.allclose(
        model.map_query(no_genes, modality="protein"),
        model.get_latent_representation(modality="protein")[20:40],
        atol=1e-6,
    )


def test_missing_proteins_of_a_query_count_as_not_found_and_are_named(cells, model):
    query = cells[20:60].copy()
    del query.obsm["protein"]
    query.obsm["protein_clr"] = query.obsm["protein_clr"].iloc[:, :12].assign(foreign=1.5)
    with pytest.warns(UserWarning, match="lacks 3 of the 15 proteins .* for example protein_0013"):
        found = model.map_query(query)
    filled = cells[20:60].copy()
    filled.obsm["protein_clr"].iloc[:, 12:] = 0
    assert np.allclose(found, model.map_query(filled), atol=1e-6)
    with pytest.raises(ValueError, match="lacks 3 of the 15 proteins"):
        model.get_latent_representation(query)
    query.obsm["protein_clr"] = query.obsm["protein_clr"].to_numpy()[:, :4]
    with pytest.raises(ValueError, match="has 4 columns without names, where the model has 15 proteins"):
        model.map_query(query)
    query.obsm["protein_clr"] = np.expm1(cells.obsm["protein_clr"].iloc[20:60]).round()
    with pytest.raises(ValueError, match="raw counts"):
        model.map_query(query)
    forgotten = cells[20:60].copy()
    del forgotten.obsm["protein_clr"]
    with pytest.warns(UserWarning, match=r"obsm\['protein'\] holds the model's proteins. Normalise them"):
        model.map_query(forgotten)
    with pytest.raises(KeyError, match=r"'protein_clr' is not in adata_query\.obsm"):
        model.map_query(forgotten, modality="protein")


def test_a_model_is_stored_loaded_and_fine_tuned_with_its_proteins(cells, model, tmp_path):
    both = model.get_latent_representation()
    model.save(tmp_path / "model", save_anndata=True)
    assert np.array_equal(sccl.CLModel.load(tmp_path / "model").get_latent_representation(), both)
    loaded = sccl.CLModel.load(tmp_path / "model", adata=False)
    assert np.array_equal(loaded.map_query(cells), both)
    without = cells[20:].copy()
    without.obsm.clear()
    attached = sccl.CLModel.load(tmp_path / "model", adata=without)
    rna = model.get_latent_representation(modality="rna")[20:]
    assert np.allclose(attached.get_latent_representation(), rna, atol=1e-6)
    adapted = sccl.CLModel.load_query_data(without, model)
    assert np.allclose(adapted.get_latent_representation(), rna, atol=1e-6)
    adapted.train(max_steps=2, **QUIET)
    assert np.isfinite(adapted.get_latent_representation()).all()
    assert np.array_equal(model.get_latent_representation(), both)


def test_the_same_seed_gives_the_same_embedding_and_a_training_can_be_resumed(cells, tmp_path):
    registered(cells)  # copies of it may have been, meanwhile
    embeddings = []
    for folder in (None, tmp_path):
        scvi.settings.seed = 0
        model = sccl.SimCLR(cells, n_latent=8)
        model.train(2, batch_size=64, checkpoint_dir=folder, **QUIET)
        embeddings.append(model.get_latent_representation())
    assert np.array_equal(*embeddings)


# MuData


@pytest.fixture
def mdata(cells):
    """The same cells: RNA of all but five, proteins of all but ten, in another order."""
    rna = ad.AnnData(cells.X[15:], obs=cells.obs[["batch"]].iloc[15:], var=cells.var)
    rna = ad.concat([rna, ad.AnnData(cells.X[:10], obs=cells.obs[["batch"]].iloc[:10], var=cells.var)])
    values = cells.obsm["protein_clr"].iloc[10:].iloc[::-1]
    protein = ad.AnnData(sp.csr_matrix(values.to_numpy()), obs=cells.obs[["batch"]].loc[values.index])
    protein.var_names = values.columns
    return mudata.MuData({"gex": rna, "prot": protein})


@pandas_inplace
def test_a_mudata_of_partly_overlapping_cells_is_as_an_anndata_of_the_same(cells, model, mdata, tmp_path):
    named = {"rna_layer": "gex", "protein_layer": "prot", "batch_key": "gex"}
    sccl.SimCLR.setup_mudata(mdata, batch_key="batch", modalities=named)
    joined = trained(mdata, n_latent=8, steps=2)
    expected = cells[mdata.obs_names].copy()
    assert np.array_equal(joined.adata.X.toarray(), expected.X.toarray())
    assert np.allclose(joined.adata.obsm["protein"], expected.obsm["protein_clr"], equal_nan=True)
    assert list(joined.adata.obs["batch"]) == list(expected.obs["batch"])
    both = joined.get_latent_representation()
    assert both.shape == (cells.n_obs, 8)
    assert np.array_equal(joined.get_latent_representation(mdata), both)
    assert np.allclose(joined.map_query(mdata[:30].copy()), both[:30], atol=1e-6)
    alone = mudata.MuData({"prot": mdata["prot"][:9].copy()})
    places = mdata.obs_names.get_indexer(alone.obs_names)
    assert np.allclose(joined.map_query(alone), joined.get_latent_representation(modality="protein")[places], atol=1e-6)
    joined.save(tmp_path / "model")
    loaded = sccl.CLModel.load(tmp_path / "model", mdata)
    assert np.array_equal(loaded.get_latent_representation(mdata), both)
    # a model of an AnnData reads a MuData whose modalities have usual names
    usual = mudata.MuData({"rna": mdata["gex"].copy(), "prot": mdata["prot"].copy()})
    assert np.allclose(
        model.map_query(usual),
        model.get_latent_representation()[cells.obs_names.get_indexer(usual.obs_names)],
        atol=1e-6,
    )


@pandas_inplace
def test_a_mudata_that_cannot_be_read_is_refused(cells, mdata):
    with pytest.raises(KeyError, match="Unknown modality 'rna'"):
        sccl.CLModel.setup_mudata(mdata, modalities={"rna_layer": "rna"})
    with pytest.raises(KeyError, match="Unknown entry of `modalities` 'rna'"):
        sccl.CLModel.setup_mudata(mdata, modalities={"rna": "gex"})
    with pytest.raises(KeyError, match="`batch_key`: 'donor' is in no `obs`"):
        sccl.CLModel.setup_mudata(mdata, batch_key="donor")
    with pytest.raises(ValueError, match=r"which of .* is protein"):
        sccl.CLModel.setup_mudata(mudata.MuData({"gex": mdata["gex"].copy()}))
    with pytest.raises(KeyError, match="`layer`: 'clr' is not in mdata"):
        sccl.CLModel.setup_mudata(mdata, protein_layer="clr")
    with pytest.raises(TypeError, match="must be a MuData, found AnnData"):
        sccl.CLModel.setup_mudata(cells)
    with pytest.raises(ValueError, match="This MuData was not registered: call `setup_mudata`"):
        sccl.CLModel(mdata)


# another modality in the place of proteins


@pytest.fixture(scope="module")
def peaks():
    """300 cells with RNA that tells three types badly, and 20 000 peaks, open or not, that tell them well."""
    adata = sccl.datasets.simulate(300, 100, n_batches=2, n_types=3, type_strength=0.5, composition=50.0, seed=1)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    rng = np.random.default_rng(0)
    open_tp = rng.beta(0.3, 10, 20_000) * np.where(rng.random((3, 20_000)) < 0.1, 5, 1)
    opens_np = np.minimum(open_tp[adata.obs["cell_type"].cat.codes], 0.9)
    adata.obsm["peaks"] = sp.csr_matrix((rng.random(opens_np.shape) < opens_np).astype(np.float32))
    return adata


def types_told(adata, z_nd):
    indices, _ = sccl.graph.knn(z_nd, k=5)
    types = adata.obs["cell_type"].to_numpy()
    return (types[indices] == types[:, None]).mean()


@pandas_inplace
@pytest.mark.slow
def test_peaks_of_chromatin_may_stand_in_the_place_of_proteins(peaks):
    assert sp.issparse(peaks.obsm["peaks"]) and set(peaks.obsm["peaks"].data) == {1}
    sccl.CLModel.setup_anndata(peaks, batch_key="batch", protein_obsm_key="peaks")
    model = trained(peaks, integrate="clip", steps=40)
    both, rna = (model.get_latent_representation(modality=one) for one in (None, "rna"))
    told = types_told(peaks, sccl.graph.representation(peaks))
    assert types_told(peaks, both) > 0.9 > told + 0.2 and np.isfinite(rna).all()
    predicted = sccl.mapping.predict_modality(model, peaks, peaks[:20].copy()).mean
    assert predicted.shape == (20, 20_000) and predicted.to_numpy().min() >= 0 and predicted.to_numpy().max() <= 1
    assert sp.issparse(peaks.obsm["peaks"])
    # of a MuData, whose modality has a name of its own
    atac = ad.AnnData(peaks.obsm["peaks"], obs=peaks.obs[[]], var=pd.DataFrame(index=[f"p{i}" for i in range(20_000)]))
    mdata = mudata.MuData({"rna": peaks[:, :].copy(), "atac": atac})
    with pytest.raises(ValueError, match=r"which of \['rna', 'atac'\] is protein\? Say it"):
        sccl.CLModel.setup_mudata(mdata, batch_key="batch")
    named = {"rna_layer": "rna", "protein_layer": "atac"}
    sccl.CLModel.setup_mudata(mdata, batch_key="batch", modalities=named)
    assert np.array_equal(trained(mdata, integrate="clip", steps=40).get_latent_representation(), both)


@pandas_inplace
def test_counts_of_peaks_are_refused_with_what_to_do_and_their_logarithms_stay_sparse(peaks):
    counts = 2 * peaks.obsm["peaks"]
    mdata = mudata.MuData({"rna": peaks.copy(), "atac": ad.AnnData(counts, obs=peaks.obs[[]])})
    modalities = {"rna_layer": "rna", "protein_layer": "atac"}
    with pytest.raises(
        ValueError, match=r"mdata\['atac'\].*raw counts .*normalize_protein\(mdata\['atac'\], None\)`.*log1p"
    ):
        sccl.CLModel.setup_mudata(mdata, batch_key="batch", modalities=modalities)
    sccl.pp.normalize_protein(mdata["atac"], None, method="log1p")
    assert sp.issparse(mdata["atac"].X) and mdata["atac"].X.nnz == counts.nnz
    sccl.CLModel.setup_mudata(mdata, batch_key="batch", modalities=modalities)


# labels and proteins of new cells


@pytest.fixture(scope="module")
def query(cells):
    """Sixty cells of the same kinds; of the first twenty no proteins were measured."""
    new = sccl.datasets.simulate(240, 80, n_batches=2, n_types=3, n_proteins=15, composition=50.0, seed=1)
    new = prepared(new[15:75].copy(), n_top_genes=None)
    new.obsm["protein_clr"].iloc[:20] = np.nan
    return new


def test_labels_come_from_both_modalities_or_one_and_cells_that_lack_one_are_labelled_by_the_other(cells, model, query):
    reference, x = cells[15:].copy(), query.X.copy()
    shares = {
        one: sccl.mapping.transfer_labels(model, reference, query, "cell_type", modality=one)
        for one in (None, "rna", "protein")
    }
    true = query.obs["cell_type"].astype(str).to_numpy()
    right = {one: found.columns.to_numpy()[found.to_numpy().argmax(1)] == true for one, found in shares.items()}
    assert right["protein"][20:].mean() > 0.9 and right[None].mean() > right["rna"].mean() > 0.6
    without = sccl.mapping.transfer_labels(model, reference, query[:20].copy(), "cell_type", modality="rna")
    assert np.allclose(shares[None].iloc[:20], without)  # as if there were no proteins
    mixed = query[np.random.default_rng(0).permutation(60)].copy()
    again = sccl.mapping.transfer_labels(model, reference, mixed, "cell_type")
    assert np.allclose(again.loc[shares[None].index], shares[None], atol=1e-6)
    assert (query.X != x).nnz == 0
    no_proteins = reference.copy()
    no_proteins.obsm["protein_clr"].iloc[:] = np.nan
    with pytest.raises(ValueError, match="40 query cells have rna and protein, but no reference cell has"):
        sccl.mapping.transfer_labels(model, no_proteins, query, "cell_type")


def test_predicted_proteins_are_those_of_like_cells_and_go_where_they_are_asked_to_go(cells, model, query):
    x, before = query.X.copy(), query.obsm["protein_clr"].copy()
    predicted = sccl.mapping.predict_modality(model, cells, query)
    measured = query.obsm["protein_clr"]
    found = sccl.mapping.agreement(predicted.mean, measured)
    assert len(found.cells) == 40 and list(found.proteins.index) == list(measured.columns)
    profile = pd.DataFrame([cells.obsm["protein_clr"].mean()] * 60, index=query.obs_names)
    mean_profile = sccl.mapping.agreement(profile, measured)
    assert found.cells["pearson"].mean() > mean_profile.cells["pearson"].mean() + 0.1
    assert found.cells["rmse"].mean() < mean_profile.cells["rmse"].mean()
    assert (predicted.spread.to_numpy() > 0).any() and predicted.spread.shape == predicted.mean.shape == (60, 15)
    assert not sccl.mapping.predict_modality(model, cells, query, k=1).spread.to_numpy().any()
    assert (query.X != x).nnz == 0 and query.obsm["protein_clr"].equals(before) and "guess" not in query.obsm
    other = query.copy()  # what was measured of the query is not looked at
    other.obsm["protein_clr"] = other.obsm["protein_clr"] + 1
    assert sccl.mapping.predict_modality(model, cells, other, key_added="guess").mean.equals(predicted.mean)
    assert other.obsm["guess"].equals(predicted.mean) and (other.X != x).nnz == 0
    with pytest.raises(ValueError, match=r"query.obsm\['guess'\] exists already"):
        sccl.mapping.predict_modality(model, cells, other, key_added="guess")


def test_proteins_cannot_be_predicted_of_what_has_no_rna_nor_from_cells_without_both(cells, model, query):
    empty = query.copy()
    x = empty.X.tolil()
    x[3] = 0
    empty.X = x.tocsr()
    with pytest.warns(UserWarning, match="1 cells without any expression"):
        predicted = sccl.mapping.predict_modality(model, cells, empty)
    assert predicted.mean.iloc[3].isna().all() and predicted.mean.drop(index=empty.obs_names[3]).notna().all(axis=None)
    with pytest.raises(ValueError, match="no cell of which both RNA and proteins were measured"):
        sccl.mapping.predict_modality(model, cells[:15].copy(), query)


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_agreement_is_what_numpy_says_of_each_cell_and_each_protein(data):
    shape = data.draw(st.tuples(st.integers(2, 6), st.integers(2, 5)))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    a, b = (
        pd.DataFrame(rng.normal(size=shape), index=list("abcdef")[: shape[0]], columns=list("uvwxy")[: shape[1]])
        for _ in range(2)
    )
    found = sccl.mapping.agreement(a, b[b.columns[::-1]])
    for name in a.index:
        assert np.isclose(found.cells.loc[name, "pearson"], np.corrcoef(a.loc[name], b.loc[name])[0, 1])
    for name in a.columns:
        assert np.isclose(found.proteins.loc[name, "rmse"], np.sqrt(((a[name] - b[name]) ** 2).mean()))

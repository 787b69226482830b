"""Batches and labels of any type are registered, failures leave no trace, and registrations die with their data."""

import copy
import gc
import weakref

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scvi
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sccl
from sccl.dataloaders.manager import CellManager
from sccl.inputs import as_text
from sccl.model.to_train import OwnCells
from sccl.storage import read_tensors, write_tensors

QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}
N_CELLS = 60

# The same two batches, as files have them.
FORMS = {
    "text": lambda codes: pd.Series(codes.astype(str)),
    "object": lambda codes: pd.Series(codes.astype(str), dtype=object),
    "whole numbers": lambda codes: pd.Series(codes),
    "bytes of numbers": lambda codes: pd.Series(codes.astype(np.int8)),
    "floats": lambda codes: pd.Series(codes.astype(float)),
    "nullable": lambda codes: pd.Series(codes, dtype="Int64"),
    "categorical": lambda codes: pd.Series(pd.Categorical(codes.astype(str), categories=["2", "unused", "1", "0"])),
    "categorical numbers": lambda codes: pd.Series(pd.Categorical(codes)),
    "mixed": lambda codes: pd.Series([int(c) if i % 2 else str(c) for i, c in enumerate(codes)], dtype=object),
}


def cells(seed=0, n_cells=N_CELLS):
    """Preprocessed cells of two batches, not registered."""
    adata = sccl.datasets.simulate(n_cells=n_cells, n_genes=40, n_batches=2, n_types=3, seed=seed, mean_count=1.0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    adata.obs["codes"] = adata.obs["batch"].astype("category").cat.codes.to_numpy()
    return adata


def with_batches(adata, form):
    adata = adata.copy()
    adata.obs["batch"] = FORMS[form](adata.obs["codes"].to_numpy()).to_numpy()
    if "categorical" in form:
        adata.obs["batch"] = FORMS[form](adata.obs["codes"].to_numpy()).set_axis(adata.obs_names)
    return adata


@pytest.fixture(scope="module")
def prepared():
    return cells()


@pytest.fixture(scope="module")
def reference(prepared, tmp_path_factory):
    """Where a trained model is saved whose batches and labels are text."""
    adata = with_batches(prepared, "text")
    sccl.SimCLR.setup_anndata(adata, batch_key="batch", labels_key="cell_type")
    model = sccl.SimCLR(adata, n_latent=8)
    model.train(1, **QUIET)
    folder = tmp_path_factory.mktemp("reference") / "model"
    model.save(folder)
    return folder


def state_of(adata):
    """All that a registration may write, as it is."""
    return (
        list(adata.obs),
        {key: adata.obs[key].tolist() for key in adata.obs if key.startswith("_scvi")},
        {key: value for key, value in adata.uns.items() if key.startswith("_scvi")},
    )


# -------------------------------------------------------------------------------------------------- batches and labels


@pytest.mark.parametrize("form", FORMS)
def test_batches_are_the_same_in_whatever_form_they_come(prepared, reference, form):
    adata = with_batches(prepared, form)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    assert adata.obs["_scvi_batch"].tolist() == prepared.obs["codes"].tolist()
    assert sccl.CLModel(adata).summary_stats.n_batch == 2

    query = with_batches(prepared, form)
    adapted = sccl.SimCLR.load_query_data(query, reference)
    assert query.obs["_scvi_batch"].tolist() == prepared.obs["codes"].tolist()
    adapted.train(1, **QUIET)


@pytest.mark.parametrize(
    "batches", [[True, False], [2.5, -1.0], [7, "7b"], ["x", "0"], pd.to_datetime(["2020", "2021"])]
)
def test_new_batches_of_any_type_are_fine(prepared, reference, batches):
    query = prepared.copy()
    query.obs["batch"] = [batches[i % 2] for i in range(N_CELLS)]
    adapted = sccl.SimCLR.load_query_data(query, reference)
    assert query.obs["_scvi_batch"].nunique() == 2
    assert set(query.obs["_scvi_batch"]) - {0, 1}  # new ones come after those of the reference
    assert adapted.summary_stats.n_batch == len({"0", "1"} | set(as_text(query.obs["batch"])))
    assert adapted.get_latent_representation().shape == (N_CELLS, 8)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.none()
        | st.booleans()
        | st.integers(-5, 5)
        | st.floats(width=32)
        | st.text(max_size=2)
        | st.binary(max_size=2),
        max_size=12,
    )
)
def test_text_depends_on_each_value_alone(values):
    whole = as_text(pd.Series(values, dtype=object))
    assert [as_text(pd.Series([value], dtype=object))[0] for value in values] == whole.tolist()
    for value, name in zip(values, whole, strict=True):
        assert (name is None) == bool(pd.isna(value))
        if isinstance(value, str):
            assert name == value
        elif isinstance(value, int) and not isinstance(value, bool):
            assert name == str(value) == as_text(pd.Series([float(value)]))[0]


MISSING = {
    "None": lambda types: types.astype(object).where(np.arange(N_CELLS) % 3 > 0, None),
    "NaN": lambda types: types.astype(object).where(np.arange(N_CELLS) % 3 > 0, np.nan),
    "categorical": lambda types: types.astype("category").where(np.arange(N_CELLS) % 3 > 0),
    "floats": lambda types: types.astype("category").cat.codes.astype(float).where(np.arange(N_CELLS) % 3 > 0),
    "mixed": lambda types: pd.Series([None, 0, "a", "0", True, 1.5] * (N_CELLS // 6), dtype=object),
}


@pytest.mark.parametrize("form", MISSING)
def test_labels_may_be_missing(prepared, reference, form):
    labels = MISSING[form](prepared.obs["cell_type"]).set_axis(prepared.obs_names)
    adata, query = prepared.copy(), prepared.copy()
    adata.obs["cell_type"] = query.obs["cell_type"] = labels
    sccl.CLModel.setup_anndata(adata, batch_key="batch", labels_key="cell_type")
    codes = adata.obs["_scvi_labels"].to_numpy()
    assert np.array_equal(codes == -1, labels.isna())
    names = as_text(labels)
    assert len(set(zip(codes, names, strict=True))) == len(set(codes)) == len(set(names))  # one to one
    assert sccl.CLModel(adata).summary_stats.n_labels == len(set(names)) - 1
    sccl.CLModel(adata).train(1, **QUIET)
    sccl.SimCLR.load_query_data(query, reference)
    assert np.array_equal(query.obs["_scvi_labels"] == -1, labels.isna())


@pytest.mark.parametrize("empty", [None, np.nan, pd.NA])
def test_all_labels_may_be_missing(prepared, reference, empty):
    adata, query = prepared.copy(), prepared.copy()
    adata.obs["cell_type"] = query.obs["cell_type"] = pd.Series([empty] * N_CELLS, index=adata.obs_names, dtype=object)
    sccl.CLModel.setup_anndata(adata, batch_key="batch", labels_key="cell_type")
    assert (adata.obs["_scvi_labels"] == -1).all()
    sccl.SimCLR.load_query_data(query, reference).train(1, **QUIET)
    assert (query.obs["_scvi_labels"] == -1).all()
    del query.obs["cell_type"]
    sccl.SimCLR.load_query_data(query, reference).train(1, **QUIET)


# ---------------------------------------------------------------------------------------------------------- what fails

REFUSED = [
    ({"batch_key": "bach"}, KeyError, "`batch_key`: 'bach' is not in .*did you mean 'batch'"),
    ({"labels_key": "celltype"}, KeyError, "`labels_key`: .*did you mean 'cell_type'"),
    ({"batch_key": ["batch", "absent"]}, KeyError, "`batch_key`: 'absent' is not in adata.obs"),
    ({"batch_key": []}, ValueError, "`batch_key` is an empty list"),
    ({"batch_key": ["batch", 3]}, TypeError, "`batch_key` must be the name of a column .*found int 3"),
    ({"batch_key": 3}, TypeError, "`batch_key` must be the name of a column of adata.obs, found int"),
    ({"batch_key": pd.Series(["a"])}, TypeError, "`batch_key` .* found Series"),
    ({"batch_key": "gaps"}, ValueError, r"`batch_key`: 2 of 60 cells have no value in .*'gaps'"),
    ({"batch_key": "barcode"}, ValueError, "holds 60 different values for 60 cells, .* seems to name cells"),
    ({"batch_key": "twice"}, ValueError, "holds 2 columns that are called 'twice'"),
    ({"layer": "count"}, KeyError, "`layer`: 'count'"),
    ({"unlabeled_category": "Unknown"}, TypeError, "no `unlabeled_category`: .*None or NaN"),
    ({"categorical_covariate_keys": ["a"]}, TypeError, "no `categorical_covariate_keys`: .*`batch_key`"),
    ({"continuous_covariate_keys": ["a"]}, TypeError, "no `continuous_covariate_keys`: "),
    ({"size_factor_key": "a"}, TypeError, "no `size_factor_key`: .*preprocess"),
    ({"bacth_key": "batch"}, TypeError, "'bacth_key'; did you mean 'batch_key'"),
]  # fmt: skip


@pytest.mark.parametrize(("kwargs", "error", "message"), REFUSED, ids=[str(next(iter(case[0]))) for case in REFUSED])
@pytest.mark.parametrize("registered", [False, True])
def test_what_setup_refuses_leaves_no_trace(prepared, kwargs, error, message, registered):
    adata = prepared.copy()
    adata.obs["gaps"] = [None, *["a"] * (N_CELLS - 2), np.nan]
    adata.obs["barcode"] = adata.obs_names
    twice = pd.DataFrame(np.ones((N_CELLS, 2)), columns=["twice", "twice"], index=adata.obs_names)
    adata.obs = pd.concat([adata.obs, twice], axis=1)
    if registered:
        sccl.CLModel.setup_anndata(adata, batch_key="batch")
    before = state_of(adata)
    with pytest.raises(error, match=message):
        sccl.CLModel.setup_anndata(adata, **kwargs)
    assert state_of(adata) == before
    if registered:
        assert sccl.CLModel(adata).summary_stats.n_batch == 2


def test_few_cells_may_each_be_a_batch(prepared):
    adata = prepared[:5].copy()
    adata.obs["own"] = range(5)
    sccl.CLModel.setup_anndata(adata, batch_key="own")
    assert sccl.CLModel(adata).summary_stats.n_batch == 5


@pytest.mark.parametrize("wrong", ["file.h5ad", np.ones((3, 3)), None, pd.DataFrame(np.ones((3, 3)))])
def test_only_an_anndata_is_registered(wrong):
    with pytest.raises(TypeError, match="`adata` must be an AnnData, found"):
        sccl.CLModel.setup_anndata(wrong)


@pytest.mark.filterwarnings("ignore::Warning:mudata")
def test_of_a_mudata_one_modality_is_asked_for(prepared):
    mudata = pytest.importorskip("mudata")
    with pytest.raises(TypeError, match=r"MuData of the modalities \['rna'\]: pass one of them, .*mdata\[\"rna\"\]"):
        sccl.CLModel.setup_anndata(mudata.MuData({"rna": prepared.copy()}))


def test_a_query_that_is_refused_is_left_as_it_was(prepared, reference):
    query = prepared.copy()
    query.obs["batch"] = [None, *query.obs["batch"].astype(str)[1:]]
    before = state_of(query)
    with pytest.raises(ValueError, match="1 of 60 cells have no value"):
        sccl.SimCLR.load_query_data(query, reference)
    del query.obs["batch"]
    before = state_of(query)
    with pytest.raises(KeyError, match="`batch_key`: 'batch'"):
        sccl.SimCLR.load_query_data(query, reference)
    assert state_of(query) == before


def test_a_load_that_fails_late_is_undone(prepared, reference, tmp_path):
    path = tmp_path / "damaged" / "model.safetensors"
    path.parent.mkdir()
    arrays, content, _ = read_tensors(reference / path.name, kind="model")
    arrays.pop("module.readout.mean_d")
    write_tensors(path, arrays, content, kind="model")
    for registered in (False, True):
        adata = prepared.copy()
        if registered:
            sccl.CLModel.setup_anndata(adata, batch_key="cell_type")
        before = state_of(adata)
        with pytest.raises(RuntimeError, match="Missing key"):
            sccl.SimCLR.load(tmp_path / "damaged", adata)
        assert state_of(adata) == before
        if registered:
            assert sccl.CLModel(adata).summary_stats.n_batch == 3


# ---------------------------------------------------------------------------------------------------------- two setups


@pytest.mark.parametrize("other", [lambda adata: sccl.SimCLR.setup_anndata(adata, batch_key="cell_type"),
                                   lambda adata: scvi.model.SCVI.setup_anndata(adata, layer="counts", batch_key="cell_type"),
                                   lambda adata: scvi.model.SCVI.setup_anndata(adata, layer="counts")],
                         ids=["ours", "another", "another of one batch"])  # fmt: skip
def test_a_second_setup_leaves_a_waiting_model_alone(prepared, other):
    def embedding(disturb):
        adata = prepared.copy()
        scvi.settings.seed = 0
        sccl.CLModel.setup_anndata(adata, batch_key="batch")
        model = sccl.CLModel(adata)
        if disturb:
            other(adata)
        assert model.adata_manager.get_from_registry("batch").ravel().tolist() == prepared.obs["codes"].tolist()
        assert "2 batches" in repr(model)
        model.train(2, **QUIET)
        return model.get_latent_representation()

    assert np.array_equal(embedding(False), embedding(True))


def test_each_of_two_models_has_its_own_batches(prepared):
    adata = prepared.copy()
    models = []
    for key in ("batch", "cell_type"):
        sccl.CLModel.setup_anndata(adata, batch_key=key)
        models.append(sccl.CLModel(adata))
    assert ["2 batches" in repr(models[0]), "3 batches" in repr(models[1])] == [True, True]
    for model, key in zip(models, ("batch", "cell_type"), strict=True):
        codes = model.adata_manager.get_from_registry("batch").ravel()
        assert codes.tolist() == adata.obs[key].astype("category").cat.codes.tolist()
        model.train(1, **QUIET)


def moved(adata):
    adata._inplace_subset_obs(np.arange(N_CELLS)[::-1])


def removed(adata):
    adata._inplace_subset_obs(np.arange(40))


def genes_removed(adata):
    adata._inplace_subset_var(np.arange(20))


@pytest.mark.parametrize(
    ("change", "named"),
    [(moved, "it now holds other values"), (removed, "40 cells × 40 genes"), (genes_removed, "60 cells × 20 genes")],
)
def test_cells_that_are_moved_or_removed_after_setup_are_noticed(prepared, change, named):
    adata = prepared.copy()
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    waiting, done = sccl.CLModel(adata), sccl.CLModel(adata)
    done.train(1, **QUIET)
    change(adata)
    for use in (lambda: waiting.train(1, **QUIET), done.get_latent_representation):
        with pytest.raises(ValueError, match=f"changed after `setup_anndata`: .*{named}"):
            use()


def test_cells_may_be_renamed_before_training(prepared):
    adata = prepared.copy()
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    model = sccl.CLModel(adata)
    adata.obs_names = [f"new_{name}" for name in adata.obs_names]
    model.train(1, **QUIET)
    assert model.adata_manager.get_from_registry("batch").ravel().tolist() == adata.obs["codes"].tolist()


def test_batches_within_batches_share_minibatches_and_are_paired_across_the_outer_ones(prepared, tmp_path):
    adata = prepared.copy()
    adata.obs["technology"] = pd.Categorical(np.where(np.arange(N_CELLS) % 3, "x", "y"))
    adata.obs["donor"] = np.arange(N_CELLS) // 3 % 2
    sccl.CLModel.setup_anndata(adata, batch_key=["technology", "donor"])
    model = sccl.CLModel(adata)
    assert model.summary_stats.n_batch == 4
    assert list(model.adata_manager.get_state_registry("batch")["categorical_mapping"]) == [
        "x / 0",
        "x / 1",
        "y / 0",
        "y / 1",
    ]
    cells = OwnCells(model)
    cells.choose(None, "batch", None, None)
    views, minibatches, outer = cells._views, cells._minibatches, cells._batch
    outer_names = adata.obs["technology"].to_numpy()
    assert len(views.pairs)
    assert (outer_names[views.pairs[:, 0]] != outer_names[views.pairs[:, 1]]).all()
    assert np.unique(outer).size == 2
    inner = model.adata_manager.get_from_registry("batch").ravel()
    drawn = minibatches.minibatches(np.arange(N_CELLS), inner, batch_size=8, rng=np.random.default_rng(0))
    assert np.mean([np.unique(inner[cells]).size == 1 for cells in drawn]) > 0.5
    model.train(1, **QUIET)
    model.save(str(tmp_path / "model"), save_anndata=True)
    assert np.array_equal(
        sccl.CLModel.load(str(tmp_path / "model")).get_latent_representation(), model.get_latent_representation()
    )
    new = adata.copy()
    new.obs["technology"] = "z"
    assert sccl.CLModel.load_query_data(new, model).summary_stats.n_batch == 6


def test_a_list_of_one_column_is_that_column(prepared):
    results = []
    for key in ("batch", ["batch"]):
        adata = prepared.copy()
        sccl.CLModel.setup_anndata(adata, batch_key=key)
        torch.manual_seed(0)
        model = sccl.CLModel(adata, n_latent=8)
        model.train(2, **QUIET)
        results.append(model.get_latent_representation())
    assert np.array_equal(*results)


# ------------------------------------------------------------------------------------------------------------- memory


def stores():
    return sccl.CLModel._setup_adata_manager_store, sccl.SimCLR._per_instance_manager_store


def test_registrations_die_with_their_data(tmp_path):
    gc.collect()
    known = [len(store) for store in stores()]
    dead = []
    for cycle in range(3):
        adata = cells(seed=cycle)
        sccl.CLModel.setup_anndata(adata, batch_key="batch", labels_key="cell_type")
        sccl.SimCLR.setup_anndata(adata, batch_key="batch")
        model = sccl.SimCLR(adata, n_latent=8)
        model.train(1, **QUIET)
        adata.obsm["X_cl"] = model.get_latent_representation()
        model.save(tmp_path / str(cycle), save_anndata=True)
        loaded = [
            sccl.SimCLR.load(tmp_path / str(cycle), adata),
            sccl.SimCLR.load(tmp_path / str(cycle)),
            sccl.SimCLR.load(tmp_path / str(cycle), adata=False),
            sccl.SimCLR.load_query_data(adata[:, ::-1].copy(), model),
        ]
        for each in loaded:
            assert np.isfinite(each.get_latent_representation(adata)).all()
        dead += [weakref.ref(adata), weakref.ref(model), *(weakref.ref(each) for each in loaded)]
        dead += [weakref.ref(each.adata) for each in loaded if each.adata is not None]
        del adata, model, loaded, each
    gc.collect()
    assert [one() for one in dead] == [None] * len(dead)
    assert [len(store) for store in stores()] == known


def test_data_outlive_their_registration_only_if_held(prepared):
    adata = prepared.copy()
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    model = sccl.SimCLR(adata)
    del adata
    gc.collect()
    model.train(1, **QUIET)  # the model holds its cells
    assert model.adata.n_obs == N_CELLS


def test_many_setups_of_one_anndata_leave_one_registration(prepared):
    adata = prepared.copy()
    managers = []
    for _ in range(5):
        sccl.CLModel.setup_anndata(adata, batch_key="batch")
        managers.append(weakref.ref(sccl.CLModel._get_most_recent_anndata_manager(adata)))
    gc.collect()
    assert [manager() is None for manager in managers] == [True] * 4 + [False]


def test_a_copy_that_dies_takes_no_registration_of_the_original(prepared):
    adata = prepared.copy()
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    twin = adata.copy()  # has the same identifier
    sccl.CLModel.setup_anndata(twin, batch_key="batch")
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    del twin
    gc.collect()
    assert sccl.CLModel(adata).adata is adata


def test_a_copied_model_has_its_own_cells(prepared):
    adata = prepared.copy()
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    twin = copy.deepcopy(sccl.SimCLR(adata, n_latent=8))
    assert twin.adata_manager.adata is twin.adata is not adata
    assert isinstance(twin.adata_manager, CellManager)
    twin.train(1, **QUIET)


def test_a_model_may_be_given_other_cells(prepared, reference):
    model = sccl.SimCLR.load(reference, adata=False)
    other = prepared.copy()
    model.adata = other
    assert model.adata_manager.adata is other
    model.train(1, **QUIET)


# ---------------------------------------------------------------------------------------------------------------- load


def test_a_directory_without_a_model_is_named(reference, tmp_path):
    (tmp_path / "a").mkdir()
    for folder, message in (
        (tmp_path / "nope", "nope' does not exist; give the directory that `model.save` wrote"),
        (tmp_path / "a", "there is no 'model.safetensors' in"),
        (reference.parent, r"there are models in its folders \['model'\]"),
        (reference / "model.safetensors", "is a file; give the directory"),
    ):
        with pytest.raises(ValueError, match=message):
            sccl.SimCLR.load(folder)
    with pytest.raises(ValueError, match=r"it holds \['model.safetensors'\]: pass the `prefix`"):
        sccl.SimCLR.load(reference, prefix="mine_")
    assert not (tmp_path / "nope").exists()


def test_models_of_numbered_batches_saved_before_can_be_loaded(prepared, reference, tmp_path):
    path = tmp_path / "old" / "model.safetensors"
    path.parent.mkdir()
    arrays, content, _ = read_tensors(reference / path.name, kind="model")
    arrays["codes"] = np.array([1, 0])
    batch = content["attributes"]["registry_"]["field_registries"]["batch"]
    batch["state_registry"]["categorical_mapping"] = {"~array": "codes"}
    write_tensors(path, arrays, content, kind="model")
    query = with_batches(prepared, "text")
    sccl.SimCLR.load(tmp_path / "old", query)
    assert query.obs["_scvi_batch"].tolist() == (1 - prepared.obs["codes"]).tolist()
    assert ad.AnnData(query.X).n_obs == N_CELLS

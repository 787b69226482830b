"""The same cells through every door: each entry point × each kind of input gives the known result or one of our errors."""

import inspect
import warnings
from importlib import import_module

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

import sccl

OURS = (KeyError, TypeError, ValueError)
QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}


# ------------------------------------------------------------------------------------------------- cells


@pytest.fixture(scope="module")
def counts():
    """Raw counts: 160 cells of two batches × 90 genes."""
    adata = sccl.datasets.simulate(n_cells=160, n_genes=90, n_batches=2, n_types=3, seed=3)
    adata.obs = adata.obs[["batch", "cell_type"]].copy()
    adata.uns.clear()
    return adata


@pytest.fixture(scope="module")
def cells(counts):
    """Their log-expression, all genes."""
    adata = counts.copy()
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    return adata


@pytest.fixture(scope="module")
def model(cells):
    return trained(cells.copy())


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    model.save(str(folder))
    return str(folder)


def trained(adata, **setup):
    torch.manual_seed(0)
    sccl.CLModel.setup_anndata(adata, **{"batch_key": "batch", **setup})
    model = sccl.CLModel(adata, n_latent=8)
    model.train(1, augmentation="mask", sampling="uniform", **QUIET)
    return model


# ------------------------------------------------------------------------------------------------- doors
# Each takes (adata, about) and returns arrays; `about` has a model, a saved one, and cells that are as they should be.


def through_preprocess(adata, about):
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=40)
    return adata.X, adata.layers["counts"]


def through_setup(adata, about):
    return (trained(adata).get_latent_representation(),)


def through_train(adata, about):
    """What is put into a registered AnnData before the model trains."""
    known = about["cells"].copy()
    sccl.CLModel.setup_anndata(known, batch_key="batch")
    torch.manual_seed(0)
    model = sccl.CLModel(known, n_latent=8)
    known.X = adata.X
    model.train(1, augmentation="mask", sampling="uniform", **QUIET)
    return (model.get_latent_representation(),)


def through_own(adata, about):
    """What is put into a trained model's AnnData before it is embedded."""
    known = about["cells"].copy()
    model = trained(known)
    known.X = adata.X
    return model.get_latent_representation(), model.get_latent_representation(known)


def through_embedding(adata, about):
    return (about["model"].get_latent_representation(adata),)


def through_map_query(adata, about):
    return (about["model"].map_query(adata),)


def through_load(adata, about):
    return (sccl.CLModel.load(about["saved"], adata, accelerator="cpu").get_latent_representation(),)


def through_load_query_data(adata, about):
    return (sccl.CLModel.load_query_data(adata, about["model"], accelerator="cpu").get_latent_representation(),)


def through_prepare_query(adata, about):
    prepared = sccl.CLModel.prepare_query_anndata(adata, about["model"], inplace=False)
    return (about["model"].map_query(prepared),)


def through_reference(adata, about):
    query = about["cells"].copy()
    return (sccl.mapping.transfer_labels(about["model"], adata, query, "cell_type").to_numpy(),)


def through_query(adata, about):
    query = adata.copy() if isinstance(adata, ad.AnnData) and adata.is_view else adata
    return (sccl.mapping.transfer_labels(about["model"], about["cells"], query, "cell_type").to_numpy(),)


def through_representation(adata, about):
    x = sccl.graph.representation(adata, n_comps=5)
    return (np.abs(x),)


LOG_DOORS = (
    through_setup,
    through_train,
    through_own,
    through_embedding,
    through_map_query,
    through_load,
    through_load_query_data,
    through_prepare_query,
    through_reference,
    through_query,
    through_representation,
)
#: Public functions and methods that take an AnnData, and the door that stands for each.
COVERED = {
    "sccl.pp.preprocess": through_preprocess,
    "sccl.pp.normalize_protein": through_preprocess,  # what its own input may be is in test_multimodal.py
    "sccl.model.CLModel.setup_anndata": through_setup,
    "sccl.model.CLModel.__init__": through_train,
    "sccl.model.CLModel.get_latent_representation": through_embedding,
    "sccl.model.CLModel.map_query": through_map_query,
    "sccl.model.CLModel.load": through_load,
    "sccl.model.CLModel.load_query_data": through_load_query_data,
    "sccl.model.CLModel.prepare_query_anndata": through_prepare_query,
    "sccl.mapping.transfer_labels": through_reference,
    "sccl.mapping.predict_modality": through_reference,  # reads cells with the same functions
    "sccl.graph.representation": through_representation,
}


def test_no_entry_point_is_left_out():
    found = set()
    for room in ("augment", "dataloaders", "datasets", "graph", "mapping", "pp", "train"):
        package = import_module(f"sccl.{room}")
        found |= {f"sccl.{room}.{name}" for name in package.__all__ if takes_cells(getattr(package, name))}
    for name, method in inspect.getmembers(sccl.CLModel):
        is_ours = str(getattr(method, "__module__", "")).startswith("sccl.")
        if is_ours and (not name.startswith("_") or name == "__init__") and takes_cells(method):
            found.add(f"sccl.model.CLModel.{name}")
    assert found == set(COVERED)


def takes_cells(thing):
    """Whether an argument, not the result, is an AnnData."""
    function = thing.__init__ if inspect.isclass(thing) else thing
    hints = {name: str(hint) for name, hint in getattr(function, "__annotations__", {}).items() if name != "return"}
    return any("AnnData" in hint for hint in hints.values())


# ------------------------------------------------------------------------------------------------- kinds of input


def with_x(make):
    def change(adata, tmp_path):
        adata.X = make(adata.X)
        return adata

    return change


def in_file(form):
    def change(adata, tmp_path):
        adata.X = form(adata.X)
        adata.write_h5ad(tmp_path / "cells.h5ad")
        return ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")

    return change


def with_duplicates(x):
    x = sp.csr_matrix(x)
    twice = np.column_stack([x.data, np.zeros_like(x.data)]).ravel()
    return sp.csr_matrix((twice, np.repeat(x.indices, 2), x.indptr * 2), shape=x.shape)


def shuffled_within_rows(x):
    x = sp.csr_matrix(x)
    order = np.concatenate([np.arange(a, b)[::-1] for a, b in zip(x.indptr[:-1], x.indptr[1:], strict=True)])
    return sp.csr_matrix((x.data[order], x.indices[order], x.indptr), shape=x.shape)


def with_long_indices(x):
    x = sp.csr_matrix(x)
    long = sp.csr_matrix(x.shape, dtype=x.dtype)
    long.data, long.indices, long.indptr = x.data, x.indices.astype(np.int64), x.indptr.astype(np.int64)
    return long


def read_only(x):
    x = x.toarray()
    x.flags.writeable = False
    return x


def stored_zeros(x):
    x = x.toarray()
    every_second = np.arange(x.shape[1]) % 2 == 0
    full = sp.csr_matrix(np.where((x == 0) & every_second, -1, x))
    full.data[full.data == -1] = 0
    return full


def as_view(adata, tmp_path):
    return adata[np.arange(adata.n_obs)]


SAME = {
    "csr_matrix": with_x(sp.csr_matrix),
    "csc_matrix": with_x(sp.csc_matrix),
    "csr_array": with_x(sp.csr_array),
    "csc_array": with_x(sp.csc_array),
    "dense": with_x(lambda x: x.toarray()),
    "dense, by column": with_x(lambda x: np.asfortranarray(x.toarray())),
    "dense, read-only": with_x(read_only),
    "dense, float64": with_x(lambda x: x.toarray().astype(np.float64)),
    "float64": with_x(lambda x: x.astype(np.float64)),
    "big-endian": with_x(lambda x: x.toarray().astype(">f4")),
    "duplicate entries": with_x(with_duplicates),
    "unsorted indices": with_x(shuffled_within_rows),
    "64-bit indices": with_x(with_long_indices),
    "stored zeros": with_x(stored_zeros),
    "sparse, in a file": in_file(sp.csr_matrix),
    "dense, in a file": in_file(lambda x: x.toarray()),
    "a view": as_view,
}


def damaged(**changes):
    def make(x):
        x = sp.csr_matrix(x).copy()
        for name, (at, value) in changes.items():
            getattr(x, name)[at] = value
        return x

    return make


def with_value(value):
    def make(x):
        x = x.toarray()
        x[3, 4] = value
        return x

    return make


def scaled(adata, tmp_path):
    x = adata.X.toarray()
    adata.X = ((x - x.mean(0)) / (x.std(0) + 1e-3)).clip(max=10)
    return adata


def own_note(note):
    def change(adata, tmp_path):
        adata.uns["sccl"] = note
        return adata

    return change


#: Refused by every door, whatever it is for.
REFUSED = {
    "masked": with_x(lambda x: np.ma.masked_greater(x.toarray(), 1)),
    "text": with_x(lambda x: x.toarray().astype(str).astype(object)),
    "complex": with_x(lambda x: x.toarray() + 1j),
    "indices outside": with_x(damaged(indices=(5, 10**6))),
    "indices below": with_x(damaged(indices=(5, -7))),
    "indptr outside": with_x(damaged(indptr=(-1, 10**7))),
    "indptr falls": with_x(damaged(indptr=(3, 10**6))),
    "NaN": with_x(with_value(np.nan)),
    "infinite": with_x(with_value(np.inf)),
    "negative": with_x(with_value(-1.0)),
    "scaled": scaled,
    "no matrix": lambda adata, tmp_path: ad.AnnData(obs=adata.obs, var=adata.var),
    "no cells": lambda adata, tmp_path: adata[:0].copy(),
    "a path": lambda adata, tmp_path: "cells.h5ad",
    "a table": lambda adata, tmp_path: adata.to_df(),
    "an array": lambda adata, tmp_path: adata.X,
}
#: Refused by every door that reads log-expression.
NOT_LOGARITHMS = {
    "raw counts": with_x(lambda x: x.expm1().rint()),
    "raw counts, int": with_x(lambda x: x.expm1().rint().astype(int)),
    "normalised only": with_x(lambda x: x.expm1()),
    "huge": with_x(lambda x: x * 1e30),
    "another note": own_note("something"),
    "another total": own_note({"preprocess": {"target_sum": 1e6}}),
}
#: What a door does not take although the others do, and the other way round. The rest holds for all.
EXCEPTIONS = {
    # what is changed in place must be one's own and in memory
    (through_preprocess, "a view"): OURS,
    (through_preprocess, "sparse, in a file"): OURS,
    (through_preprocess, "dense, in a file"): OURS,
    (through_preprocess, "another note"): OURS,
    (through_setup, "a view"): OURS,
    (through_load, "a view"): OURS,
    (through_load_query_data, "a view"): OURS,
    (through_query, "a view"): "same",  # a copy is made of it
    # the embedding is not made with it
    (through_representation, "another note"): "same",
    (through_representation, "another total"): "same",
    (through_setup, "another total"): "same",
    # components may be those of any finite numbers
    **{
        (through_representation, kind): "any"
        for kind in ("negative", "scaled", *(set(NOT_LOGARITHMS) - {"another note", "another total"}))
    },
    (through_prepare_query, "no cells"): "any",
    (through_map_query, "no cells"): "any",
    (through_embedding, "no cells"): "any",
}
# Doors through which only the matrix goes.
MATRIX_ONLY = (through_train, through_own)
NOT_A_MATRIX = ("a view", "no cells", "a path", "a table", "an array", "another note", "another total", "no matrix")


def fingerprint(adata):
    """Everything in it, as bytes."""
    if not isinstance(adata, ad.AnnData):
        return repr(adata)
    x = adata.X
    if x is None:
        values = [b""]
    elif sp.issparse(x):
        values = [x.data.tobytes(), x.indices.tobytes(), x.indptr.tobytes()]
    else:
        values = [np.asarray(x[:]).tobytes() if not hasattr(x, "to_memory") else x.to_memory().data.tobytes()]
    return values, adata.obs.to_csv(), list(adata.uns), list(adata.layers), list(adata.var.columns)


def attempts():
    for door in (through_preprocess, *LOG_DOORS):
        kinds = {
            **SAME,
            **REFUSED,
            **(NOT_LOGARITHMS if door is not through_preprocess else {"another note": NOT_LOGARITHMS["another note"]}),
        }
        for kind, make in kinds.items():
            if door in MATRIX_ONLY and (kind in NOT_A_MATRIX or "file" in kind):
                continue
            expected = EXCEPTIONS.get((door, kind), "same" if kind in SAME else OURS)
            yield door, kind, make, expected


def test_every_door_takes_or_refuses_every_kind_of_input(counts, cells, model, saved, tmp_path, capsys):
    about = {"model": model, "saved": saved, "cells": cells.copy()}
    known, wrong, n_same, n_refused = {}, [], 0, 0
    for number, (door, kind, make, expected) in enumerate(attempts()):
        start = (counts if door is through_preprocess else cells).copy()
        if door not in known:
            known[door] = [np.asarray(dense(part)) for part in door(start.copy(), about)]
        folder = tmp_path / str(number)
        folder.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adata = make(start, folder)
            before = fingerprint(adata)
            try:
                found = door(adata, about)
            except Exception as error:  # noqa: BLE001 - which kind it is is what is tested
                if expected == "same" or not isinstance(error, OURS) or not is_helpful(error):
                    wrong.append(f"{door.__name__}, {kind}: {type(error).__name__}: {str(error)[:150]}")
                elif fingerprint(adata) != before:
                    wrong.append(f"{door.__name__}, {kind}: refused, but changed")
                n_refused += 1
                continue
            n_same += 1
            if expected == OURS:
                wrong.append(f"{door.__name__}, {kind}: taken")
            elif expected == "same" and not all(
                np.allclose(dense(part), right, atol=1e-4) for part, right in zip(found, known[door], strict=True)
            ):
                wrong.append(f"{door.__name__}, {kind}: another result")
    with capsys.disabled():
        print(
            f"\n{number + 1} attempts through {len(known)} doors: {n_same} taken, {n_refused} refused, {len(wrong)} wrong"
        )
    assert not wrong, "\n".join(wrong)


# ------------------------------------------------------------------------------------------------- batches and labels
# Each takes a batch and a label per cell and returns arrays.


def columns_through_preprocess(adata, about, tmp_path):
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=40)
    return (adata.var_names.to_numpy(dtype=str) == about["genes"],) if "genes" in about else (np.ones(40, bool),)


def columns_through_setup(adata, about, tmp_path):
    adata.X = about["cells"].X.copy()
    sccl.CLModel.setup_anndata(adata, batch_key="batch", labels_key="cell_type")
    manager = sccl.CLModel(adata).adata_manager
    return tuple(manager.get_from_registry(key).ravel() for key in ("batch", "labels"))


def columns_through_load(adata, about, tmp_path):
    adata.X = about["cells"].X.copy()
    manager = sccl.CLModel.load(about["saved"], adata, accelerator="cpu").adata_manager
    return (pd.factorize(manager.get_from_registry("batch").ravel())[0],)


def columns_through_load_query_data(adata, about, tmp_path):
    adata.X = about["cells"].X.copy()
    model = sccl.CLModel.load_query_data(adata, about["model"], accelerator="cpu")
    return (pd.factorize(model.adata_manager.get_from_registry("batch").ravel())[0],)


def columns_through_reference(adata, about, tmp_path):
    adata.X = about["cells"].X.copy()
    query = about["cells"].copy()
    return (sccl.mapping.transfer_labels(about["model"], adata, query, "cell_type").to_numpy(),)


def columns_through_benchmark(adata, about, tmp_path):
    from sccl.benchmark import data

    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5ad"
    adata.copy().write_h5ad(path)  # which makes categories of text, in place
    config = {
        "_target_": "sccl.datasets.read",
        "path": str(path),
        "batch_key": "batch",
        "labels_key": "cell_type",
        "layer": None,
        "n_top_genes": 40,
        "subsample": None,
        "ignore_labels": [],
    }
    found = data.prepare(config)
    return found.batch.cat.codes.to_numpy(), found.labels.cat.codes.to_numpy()[found.scored]


def columns_through_score(adata, about, tmp_path):
    # the gate of `score`; that the score itself does not change with names is in its own test
    from sccl.benchmark.scores.inputs import as_codes

    return tuple(pd.factorize(as_codes(key, adata.obs[key], adata.n_obs))[0] for key in ("batch", "cell_type"))


COLUMN_DOORS = (
    columns_through_preprocess,
    columns_through_setup,
    columns_through_load,
    columns_through_load_query_data,
    columns_through_reference,
    columns_through_benchmark,
    columns_through_score,
)


def renamed(batch=None, labels=None):
    """Two batches, 0 and 1, and three labels, 0 to 2, under other names that sort alike."""

    def change(obs):
        for key, make in (("batch", batch), ("cell_type", labels)):
            if make is not None:
                obs[key] = make(obs[key].to_numpy().astype(int))
        return obs

    return change


def missing_first(values):
    values = values.astype(object)
    values[:3] = None
    return pd.Categorical(values)


SAME_COLUMNS = {
    "text": renamed(lambda b: b.astype(str), lambda t: t.astype(str)),
    "whole numbers": renamed(lambda b: b, lambda t: t),
    "small whole numbers": renamed(lambda b: b.astype(np.int8), lambda t: t.astype(np.uint16)),
    "floats": renamed(lambda b: b.astype(float), lambda t: t.astype(np.float32)),
    "booleans": renamed(lambda b: b == 1),
    "categories of text": renamed(lambda b: pd.Categorical(b.astype(str)), lambda t: pd.Categorical(t.astype(str))),
    "categories of numbers": renamed(lambda b: pd.Categorical(b), lambda t: pd.Categorical(t)),
    "an unused category": renamed(lambda b: pd.Categorical(b.astype(str), ["0", "1", "9"])),
    "ordered the other way": renamed(lambda b: pd.Categorical(b.astype(str), ["1", "0"], ordered=True)),
    "pandas' own text": renamed(
        lambda b: pd.array(b.astype(str), dtype="string"), lambda t: pd.array(t, dtype="Int64")
    ),
}
#: These cannot be written to a file as they are.
IN_MEMORY_COLUMNS = {
    "numbers and text": renamed(lambda b: np.array([0, "0", 1, "1"], object)[2 * b + np.arange(b.size) % 2])
}
REFUSED_COLUMNS = {
    "a batch is missing": renamed(missing_first),
    "no such columns": lambda obs: obs[[]],
}
TAKEN_COLUMNS = {
    "new names": renamed(lambda b: np.array(["site A", "$ite_B"])[b], lambda t: np.array(["β cell", "T\n", "'x'"])[t]),
    "a label is missing": renamed(None, missing_first),
}
REFUSES_MISSING_LABELS = (columns_through_reference, columns_through_score)


def test_every_door_takes_or_refuses_every_kind_of_batches_and_labels(counts, cells, tmp_path, capsys):
    names = counts.copy()
    names.obs = pd.DataFrame(
        {key: pd.factorize(counts.obs[key], sort=True)[0].astype(str) for key in ("batch", "cell_type")},
        index=counts.obs_names,
    )
    own = cells.copy()
    own.obs = names.obs.copy()
    model = trained(own)
    model.save(str(tmp_path / "model"))
    about = {"model": model, "saved": str(tmp_path / "model"), "cells": own}
    chosen = names.copy()
    sccl.pp.preprocess(chosen, batch_key="batch", n_top_genes=40)
    about["genes"] = chosen.var_names.to_numpy(dtype=str)
    wrong, number = [], 0
    for door in COLUMN_DOORS:
        known = [np.asarray(part) for part in door(names.copy(), about, tmp_path)]
        for kind, change in {**SAME_COLUMNS, **IN_MEMORY_COLUMNS, **REFUSED_COLUMNS, **TAKEN_COLUMNS}.items():
            if door is columns_through_benchmark and kind in IN_MEMORY_COLUMNS:
                continue
            number += 1
            adata = names.copy()
            adata.obs = change(adata.obs.copy())
            refuses = kind in REFUSED_COLUMNS or (kind == "a label is missing" and door in REFUSES_MISSING_LABELS)
            refuses &= not (kind == "no such columns" and door is columns_through_score)
            before = adata.obs.copy()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    if kind == "no such columns" and door is columns_through_score:
                        continue  # it is given none
                    found = door(adata, about, tmp_path)
                except Exception as error:  # noqa: BLE001 - which kind it is is what is tested
                    if not refuses or not isinstance(error, OURS) or not is_helpful(error):
                        wrong.append(f"{door.__name__}, {kind}: {type(error).__name__}: {str(error)[:200]}")
                    elif not adata.obs.equals(before):
                        wrong.append(f"{door.__name__}, {kind}: refused, but changed")
                    continue
            if refuses:
                wrong.append(f"{door.__name__}, {kind}: taken")
            elif kind in SAME_COLUMNS and not all(
                np.allclose(part, right, atol=1e-6) for part, right in zip(found, known, strict=True)
            ):
                wrong.append(f"{door.__name__}, {kind}: another result")
    with capsys.disabled():
        print(f"\n{number} columns through {len(COLUMN_DOORS)} doors, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)


def dense(x):
    return x.toarray() if sp.issparse(x) else np.asarray(x)


def is_helpful(error):
    """Ours names the argument, and was not raised by another package on the way."""
    frame = error.__traceback__
    while frame.tb_next is not None:
        frame = frame.tb_next
    return "sccl" in frame.tb_frame.f_code.co_filename

"""A model from a stranger runs no code, and saving is all or nothing."""

import errno
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import sccl
from sccl.storage import decode, encode, read_tensors, replacing, write_tensors

pytestmark = pytest.mark.trust
QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}
FIXTURES = Path(__file__).parent / "trust"


@pytest.fixture(scope="module")
def adata():
    adata = sccl.datasets.simulate(n_cells=80, n_genes=40, n_batches=2, n_types=3, seed=0, mean_count=1.0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return adata


@pytest.fixture(scope="module")
def model(adata):
    model = sccl.SimCLR(adata, n_latent=4, n_hidden=[8, 8], n_projection=4)
    model.train(2, validation_size=0.2, **QUIET)
    return model


def smaller(adata):
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return sccl.SimCLR(adata, n_latent=3)


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model", save_anndata=True)
    return tmp_path / "model"


class Attack:
    """Writes a file when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (os.system, (f"touch {self.trace}",))


def readers(folder, adata):
    """All ways in which a saved model is read."""
    yield lambda: sccl.SimCLR.load(folder)
    yield lambda: sccl.SimCLR.load(folder, adata)
    yield lambda: sccl.SimCLR.load_registry(folder)
    yield lambda: sccl.SimCLR.view_setup_args(folder)
    yield lambda: sccl.SimCLR.prepare_query_anndata(adata.copy(), folder)
    yield lambda: sccl.SimCLR.load_query_data(adata.copy(), folder)


def crafted(kind, path, trace):
    payload = Attack(trace)
    if kind == "pickle":
        path.write_bytes(pickle.dumps(payload))
    elif kind == "torch":
        torch.save({"model_state_dict": payload}, path)
    elif kind == "torch, old":
        torch.save({"model_state_dict": payload}, path, _use_new_zipfile_serialization=False)
    elif kind == "npz":
        with path.open("wb") as file:
            np.savez(file, payload=np.array([payload], dtype=object))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("archive/data.pkl", pickle.dumps(payload))


@pytest.mark.parametrize("kind", ["pickle", "torch", "torch, old", "npz", "zip"])
def test_a_crafted_file_is_refused_by_all_that_reads_a_model_and_runs_nothing(kind, adata, tmp_path):
    folder, trace = tmp_path / "model", tmp_path / "trace"
    folder.mkdir()
    crafted(kind, folder / "model.safetensors", trace)
    for read in readers(folder, adata):
        with pytest.raises(ValueError, match=r"(pickle|zip archive).*sccl reads only what it saved"):
            read()
    (folder / "model.safetensors").rename(folder / "model.pt")
    for read in readers(folder, adata):
        with pytest.raises(ValueError, match=r"holds \['model.pt'\].*pickles, which run whatever code"):
            read()
    with pytest.raises(NotImplementedError, match="no pickles"):
        sccl.SimCLR.convert_legacy_save(folder, tmp_path / "new")
    assert not trace.exists()


def test_names_in_a_file_reach_no_methods(folder, adata):
    arrays, content, _ = read_tensors(folder / "model.safetensors", kind="model")
    attributes = content["attributes"]
    attributes |= {"save": "x", "__class__": "y", "_module_": "z"}
    attributes["registry_"] |= {"setup_method_name": "convert_legacy_save"}
    write_tensors(folder / "model.safetensors", arrays, content, kind="model")
    loaded = sccl.SimCLR.load(folder, adata.copy())
    assert not {"save", "_module_"} & set(vars(loaded))
    attributes["init_params_"]["kwargs"]["architecture_kwargs"]["os.system"] = "true"
    write_tensors(folder / "model.safetensors", arrays, content, kind="model")
    with pytest.raises(TypeError, match=r"Unknown hyper-parameter of SimCLR 'os.system'"):
        sccl.SimCLR.load(folder, adata.copy())


def test_what_was_saved_is_loaded(model, folder, adata):
    loaded = sccl.SimCLR.load(folder)
    assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    assert loaded.adata is not adata
    for name in ("train_loss", "validation_loss"):
        pd.testing.assert_frame_equal(loaded.history[name], model.history[name])
    assert loaded.init_params_ == model.init_params_
    assert loaded.training_ == model.training_
    assert loaded.training_[0]["lr"] == 1e-3
    assert np.array_equal(loaded.validation_indices, model.validation_indices)
    assert sccl.SimCLR.load(folder, adata=False).adata is None
    header = json.loads((folder / "model.safetensors").read_bytes()[8:].split(b'"module.')[0].rstrip(b" ,") + b"}")
    assert header["__metadata__"]["sccl"] == sccl.__version__
    assert header["__metadata__"]["format_version"] == "1"


def test_several_models_share_a_folder_by_their_prefixes(model, folder, adata):
    other = smaller(adata)
    other.save(folder, prefix="its [*] ", overwrite=True, save_anndata=True)
    assert sccl.SimCLR.load(folder, prefix="its [*] ").module.encoder.n_latent == 3
    assert sccl.SimCLR.load(folder).module.encoder.n_latent == 4
    with pytest.raises(ValueError, match="beginning of a file's name"):
        model.save(folder, prefix="../x", overwrite=True)
    with pytest.warns(UserWarning, match="saved without cells"):
        model.save(folder, overwrite=True)
        assert sccl.SimCLR.load(folder).adata is None


def test_a_model_of_another_class_or_of_a_later_form_is_named(folder, adata, monkeypatch):
    with pytest.raises(ValueError, match=r"holds a SimCLR, which is a model from a different class than MoCo"):
        sccl.MoCo.load(folder, adata)
    monkeypatch.setattr("sccl.storage.tensors.FORMAT_VERSION", 7)
    arrays, content, _ = read_tensors(folder / "model.safetensors", kind="model")
    write_tensors(folder / "model.safetensors", arrays, content, kind="model")
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"in version 7 of the form, and this is sccl .* which reads up to version 1"):
        sccl.SimCLR.load(folder, adata)
    write_tensors(folder / "model.safetensors", {}, None, kind="checkpoint")
    with pytest.raises(ValueError, match="is a sccl checkpoint file, and not a model"):
        sccl.SimCLR.load(folder, adata)


def test_the_first_form_stays_readable():
    # written by tests/trust/write_fixture.py
    loaded = sccl.SimCLR.load(FIXTURES, prefix="form_1_", adata=False)
    expected = json.loads((FIXTURES / "form_1.json").read_text())
    query = sccl.datasets.simulate(n_cells=6, n_genes=12, n_batches=2, n_types=2, seed=1, mean_count=2.0)
    sccl.pp.preprocess(query, n_top_genes=None)
    np.testing.assert_allclose(loaded.map_query(query), expected["embedding"], rtol=1e-4, atol=1e-5)
    assert (
        list(loaded.registry["field_registries"]["batch"]["state_registry"]["categorical_mapping"])
        == expected["batches"]
    )
    assert loaded.history["train_loss"]["train_loss"].tolist() == pytest.approx(expected["train_loss"])


# ------------------------------------------------------------------------------------------------------------- damage


def test_no_flipped_bit_and_no_truncation_goes_unnoticed(model, tmp_path):
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    n_header = 8 + int.from_bytes(whole[:8], "little")
    # every bit of the beginning, and of the whole of it some
    bits = [*range(8 * 40), *rng.integers(0, 8 * n_header, 200), *rng.integers(0, 8 * len(whole), 200)]
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            sccl.SimCLR.load_registry(path.parent)
    for size in [0, 1, 7, 8, 9, n_header - 1, n_header, len(whole) - 1, *rng.integers(0, len(whole), 50)]:
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            sccl.SimCLR.load_registry(path.parent)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="checksum"):
        sccl.SimCLR.load_registry(path.parent)
    path.write_bytes(whole)
    sccl.SimCLR.load(path.parent, adata=False)


def test_damaged_cells_are_noticed_before_they_are_read(folder):
    (folder / "adata.h5ad").write_bytes((folder / "adata.h5ad").read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"adata.h5ad is other cells than those that were saved"):
        sccl.SimCLR.load(folder)
    (folder / "adata.h5ad").unlink()
    with pytest.raises(ValueError, match=r"adata.h5ad is not there: pass the cells"):
        sccl.SimCLR.load(folder)


# -------------------------------------------------------------------------------------------------------- all or nothing


class Break(BaseException):
    """Ends a process, as far as the code that it passes can tell."""


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize("number", range(3))
def test_a_save_that_breaks_off_leaves_the_old_model_and_its_cells_or_the_new_ones(
    moment, number, model, folder, adata, monkeypatch
):
    other = smaller(adata)
    calls = iter(range(10))

    def breaking(do):
        def call(*args):
            if next(calls) == number:
                raise Break
            return do(*args)

        return call

    monkeypatch.setattr(os, moment, breaking(getattr(os, moment)))
    try:
        other.save(folder, overwrite=True, save_anndata=True)
        whole = True
    except Break:
        whole = False
    monkeypatch.undo()
    n_latent = sccl.SimCLR.load(folder).module.encoder.n_latent
    assert n_latent == 3 if whole else n_latent in (3, 4)
    model.save(folder, overwrite=True, save_anndata=True)
    assert sorted(path.name for path in folder.iterdir()) == ["adata.h5ad", "model.safetensors"]


def test_a_broken_first_save_does_not_stand_in_the_way_of_the_next(model, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OSError, match=r"No space left on device: it cannot be written, and what was there is as it was.*model"
    ):
        model.save(tmp_path / "model")
    monkeypatch.undo()
    (tmp_path / "model" / ".sccl-0123456789abcdef.part").write_bytes(b"of a process that was killed")
    model.save(tmp_path / "model")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["model.safetensors"]
    with pytest.raises(ValueError, match="exists and is not empty"):
        model.save(tmp_path / "model")


def test_a_disk_that_is_really_full_leaves_the_old_model(model, folder):
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(OSError, match="No space left"), replacing(folder / "model.safetensors") as file:
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")
        file.write(b"y")
    assert (folder / "model.safetensors").read_bytes() == before


def test_what_no_file_can_hold_without_code_is_named(model, tmp_path):
    model.mine_ = {"of": [lambda: 1]}
    try:
        with pytest.raises(TypeError, match=r"attributes.mine_.of.0 is a function, which cannot be saved"):
            model.save(tmp_path / "model")
    finally:
        del model.mine_
    assert not (tmp_path / "model").exists()


# ----------------------------------------------------------------------------------------------------------- round trips

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(value=plain)
def test_plain_values_come_back_as_they_were(value):
    arrays = {}
    text = json.dumps(encode(value, arrays, name="value"), allow_nan=False)
    assert decode(json.loads(text), arrays, as_tensor=torch.from_numpy) == value


numbers = arrays_of.arrays(
    st.sampled_from([np.dtype(code) for code in ("?", "u1", "<i8", ">i4", "<f4", ">f8", "<f2")]),
    arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)


@settings(max_examples=50, deadline=None)
@given(array=numbers)
def test_arrays_come_back_as_they_were(array, tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "file"
    write_tensors(path, {"a": array, "fortran": np.asfortranarray(array)}, [1.5], kind="model")
    found, content, _ = read_tensors(path, kind="model")
    for read in found.values():
        np.testing.assert_array_equal(read, array)
        assert read.dtype == array.dtype.newbyteorder("=")
    assert content == [1.5]

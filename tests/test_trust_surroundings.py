"""Odd surroundings: caches that are damaged, no home, a directory that is gone, odd names; and downloads gone wrong."""

import importlib.util
import os
import pickle
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import test_datasets_load
from test_datasets_load import CONTENT, get

import sccl
from sccl.benchmark.app import main as sccl_bench
from sccl.commands.embed import main as sccl_embed
from sccl.datasets import DownloadError
from sccl.datasets.download import _Refused, _SafeRedirects, cache_folder, fetch
from sccl.storage import Taken, hold

pytestmark = pytest.mark.trust
server = test_datasets_load.server

# ----------------------------------------------------------------------------------------------------------- downloads


def test_a_cut_off_download_of_unknown_length_is_found_by_its_content(server, tmp_path):
    def check(path):
        if path.stat().st_size < len(CONTENT):
            raise ValueError("its end is missing")

    server.faults = ["cut off"]
    path = fetch(server.url, tmp_path / "cells.h5ad", check=check, pause=0.01)
    assert path.read_bytes() == CONTENT
    server.faults = ["cut off"] * 2
    with pytest.raises(DownloadError, match="is not what it should be: its end is missing"):
        fetch(server.url, tmp_path / "other.h5ad", check=check, attempts=2, pause=0.01)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.h5ad", "cells.h5ad.sha256"]


def test_an_answer_that_is_another_part_than_was_asked_for_is_not_taken(server, tmp_path):
    server.faults = ["truncate", "false part"]
    assert get(server, tmp_path / "cells.h5ad").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=150000-", None]


def test_what_is_whole_and_wrong_is_not_asked_for_again(server, tmp_path):
    def check(path):
        raise ValueError("a login page")

    with pytest.raises(DownloadError, match="a login page"):
        get(server, tmp_path / "cells.h5ad", check=check)
    assert server.ranges == [None]


def test_the_message_says_how_to_pin_what_nobody_has_named(server, tmp_path, caplog):
    get(server, tmp_path / "cells.h5ad", size=None, sha256=None)
    assert f"size={len(CONTENT)}, sha256='{test_datasets_load.SHA256}'" in caplog.text


def test_https_never_leads_to_http():
    from urllib.request import Request

    handler = _SafeRedirects()
    for url in ("http://example.org/x", "ftp://example.org/x"):
        with pytest.raises(_Refused, match="not encrypted"):
            handler.redirect_request(Request("https://example.org/x"), None, 302, "Found", {}, url)
    assert handler.redirect_request(Request("https://example.org/x"), None, 302, "Found", {}, "https://example.org/y")
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED
    with pytest.raises(DownloadError, match="no address of http"):
        fetch("file:///etc/passwd", Path("x"))


def test_a_link_under_the_parts_name_is_not_followed(server, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "cells.h5ad.part").symlink_to(victim)
    with pytest.raises(DownloadError, match="is a link, which is not followed: remove it"):
        get(server, tmp_path / "cells.h5ad")
    assert victim.read_text() == "precious"


def test_a_cache_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(DownloadError, match=r"cannot be written to .* SCCL_CACHE"):
        get(server, tmp_path / "a file" / "cells.h5ad")
    with pytest.raises(DownloadError, match=r"cannot be written to .* SCCL_CACHE"):
        get(server, Path("/proc/sys/cells.h5ad"))


def test_all_that_need_one_file_at_once_get_it(server, tmp_path):
    found = []
    server.faults = ["truncate"]
    calls = [
        threading.Thread(target=lambda: found.append(get(server, tmp_path / "cells.h5ad").read_bytes()))
        for _ in range(6)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert found == [CONTENT] * 6
    assert server.ranges == [None, "bytes=150000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5ad"]


def test_a_lock_is_let_go_when_its_owner_is_killed(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom sccl.storage import hold\n"
        "with hold(Path(sys.argv[1]), wait=False):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    lock = tmp_path / ".lock"
    with subprocess.Popen([sys.executable, "-c", code, lock], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(Taken), hold(lock, wait=False):
            pass
        owner.kill()
    with hold(lock, wait=False) as is_held:
        assert is_held
    assert not lock.exists()


# -------------------------------------------------------------------------------------------------------------- caches

SOURCE = """
from sccl.storage.compiled import compiled

@compiled()
def add(a, b):
    return a + b
"""


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where numba looks for it
    spec.loader.exec_module(module)
    return module.add


class Attack:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (os.system, (f"touch {self.trace}",))


@pytest.fixture
def cached(tmp_path):
    path = tmp_path / "cached_for_a_test.py"
    path.write_text(SOURCE)
    add = load(path)
    assert add(1, 2) == 3
    yield path, list((tmp_path / "__pycache__").glob("*.nb[ic]"))
    sys.modules.pop(path.stem, None)


@pytest.mark.parametrize("content", [b"", b"\x80\x05damaged", b"anything"])
def test_a_damaged_cache_of_compiled_functions_is_made_anew(content, cached):
    path, files = cached
    assert len(files) == 2
    for file in files:
        file.write_bytes(content)
        assert load(path)(1, 2) == 3
        again = load(path)
        assert again(1, 2) == 3
        assert sum(again.stats.cache_hits.values()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_another_user_put_into_a_cache_is_not_read(cached, tmp_path):
    path, files = cached
    for file in files:
        file.write_bytes(pickle.dumps(Attack(tmp_path / "trace")))
        os.chown(file, 12345, 12345)
    assert load(path)(1, 2) == 3
    assert not (tmp_path / "trace").exists()


def test_without_a_place_for_a_cache_functions_are_compiled_all_the_same(tmp_path, monkeypatch):
    from numba.core.caching import CompileResultCacheImpl

    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    path = tmp_path / "uncached_for_a_test.py"
    path.write_text(SOURCE)
    assert load(path)(1, 2) == 3
    assert not list((tmp_path / "__pycache__").glob("*.nb[ic]"))


def test_no_home_is_said_where_one_is_needed(monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME", "SCCL_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home directory."))
    )
    with pytest.raises(DownloadError, match=r"There is no home directory .* SCCL_CACHE"):
        cache_folder()


# --------------------------------------------------------------------------------------------------------------- names


@pytest.fixture(scope="module")
def model():
    adata = sccl.datasets.simulate(n_cells=60, n_genes=20, n_batches=2, n_types=2, seed=0, mean_count=1.0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    model = sccl.SimCLR(adata, n_latent=3, n_hidden=4)
    model.train(1, enable_progress_bar=False, accelerator="cpu")
    model.cells = adata  # who registered them would lose them
    return model


@pytest.mark.parametrize("name", ["with blank", 'it\'s "$HOME"', "a\nb", "🧬", "[*]?", "-x", "é" * 100])
def test_folders_may_have_any_name(name, model, tmp_path):
    folder = tmp_path / name
    model.save(folder, prefix=f"{name[:20]} ", save_anndata=True)
    loaded = sccl.SimCLR.load(folder, prefix=f"{name[:20]} ")
    assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    (tmp_path / "link").symlink_to(folder)
    model.save(tmp_path / "link", prefix=f"{name[:20]} ", overwrite=True, save_anndata=True)
    assert (tmp_path / "link").is_symlink()
    model.train(1, checkpoint_dir=folder / "checkpoints", resume=True, enable_progress_bar=False, accelerator="cpu")


def test_a_deleted_working_directory_is_named(model, tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError, match="working directory was deleted"):
        model.train(1, enable_progress_bar=False, accelerator="cpu")
    model.save(tmp_path / "model")
    assert sccl.SimCLR.load(tmp_path / "model", adata=False).is_trained
    for command in (sccl_bench, sccl_embed):
        assert command([]) == 2
        assert "working directory was deleted" in capsys.readouterr().err

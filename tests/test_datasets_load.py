"""Downloads, from a local server that can do everything wrong."""

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from sccl import datasets
from sccl.datasets import DownloadError
from sccl.datasets.download import fetch
from sccl.datasets.registry import PUBLISHED, Published

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content`; `faults` holds what to do wrong with the coming requests, one after the other."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.faults: list[str] = []
        self.ranges: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}/cells.h5ad"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None: ...

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        fault = self.server.faults.pop(0) if self.server.faults else ""
        if fault.isdecimal():
            self.send_error(int(fault))
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and fault != "no ranges" else 0
        if start >= len(self.server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = self.server.content[start:]
        self.send_response(206 if start or fault == "false part" else 200)
        if start and fault != "false part":
            last = len(self.server.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        if fault != "cut off":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "corrupt":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if fault in ("truncate", "stall", "cut off"):
            body = body[: len(body) // 2]
        self.wfile.write(body)
        self.wfile.flush()
        if fault == "stall":
            time.sleep(1.5)


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def get(server, path, **options):
    return fetch(server.url, path, **{"timeout": 0.5, "pause": 0.01, "size": len(CONTENT), "sha256": SHA256} | options)


def test_a_file_is_fetched_once(server, tmp_path):
    path = get(server, tmp_path / "new" / "cells.h5ad")
    assert path.read_bytes() == CONTENT
    get(server, path)
    assert server.ranges == [None]


@pytest.mark.parametrize("fault", ["truncate", "stall"])
def test_an_interrupted_download_goes_on_where_it_stopped(server, tmp_path, fault):
    server.faults = [fault, fault]
    assert get(server, tmp_path / "cells.h5ad").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=150000-", "bytes=225000-"]


def test_a_later_call_goes_on_too(server, tmp_path):
    server.faults = ["truncate"]
    with pytest.raises(DownloadError, match="150000 of 300000 bytes"):
        get(server, tmp_path / "cells.h5ad", attempts=1)
    assert not (tmp_path / "cells.h5ad").exists()
    assert get(server, tmp_path / "cells.h5ad").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=150000-"]


def test_a_complete_part_needs_nothing_more(server, tmp_path):
    (tmp_path / "cells.h5ad.part").write_bytes(CONTENT)
    assert get(server, tmp_path / "cells.h5ad").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.faults = ["truncate", "no ranges"]
    assert get(server, tmp_path / "cells.h5ad").read_bytes() == CONTENT


def test_a_corrupt_download_is_thrown_away_and_fetched_again(server, tmp_path):
    server.faults = ["corrupt"]
    assert get(server, tmp_path / "cells.h5ad").read_bytes() == CONTENT
    server.faults = ["corrupt"] * 2
    with pytest.raises(DownloadError, match="checksum"):
        get(server, tmp_path / "other.h5ad", attempts=2)
    assert not list(tmp_path.glob("other*"))


def test_an_error_of_the_server_is_tried_again_and_a_missing_file_is_not(server, tmp_path):
    server.faults = ["500", "503"]
    get(server, tmp_path / "cells.h5ad")
    assert len(server.ranges) == 3
    server.faults = ["404"]
    with pytest.raises(DownloadError, match=r"404") as caught:
        get(server, tmp_path / "other.h5ad")
    assert server.url in str(caught.value)
    assert str(tmp_path / "other.h5ad") in str(caught.value)
    assert len(server.ranges) == 4


def test_without_a_network_the_error_says_where_to_put_the_file(tmp_path):
    path = tmp_path / "cells.h5ad"
    with pytest.raises(DownloadError, match=rf"http://127.0.0.1:9/cells.*put it at {path}"):
        fetch("http://127.0.0.1:9/cells", path, attempts=2, pause=0.01, timeout=0.5)


def test_without_a_known_checksum_the_first_one_is_kept(server, tmp_path):
    path = get(server, tmp_path / "cells.h5ad", size=None, sha256=None)
    path.write_bytes(b"changed since")
    with pytest.raises(DownloadError, match=r"checksum.*Delete it"):
        get(server, path, size=None, sha256=None)


@pytest.fixture
def published(server, tmp_path, monkeypatch) -> AnnData:
    """A published file: counts in a layer, and a batch whose counts are no counts."""
    x = np.random.default_rng(0).poisson(1.0, (30, 8)).astype(np.float32)
    obs = pd.DataFrame({"tech": ["a", "b", "c"] * 10, "type": ["x", "y"] * 15}, index=[f"cell_{i}" for i in range(30)])
    adata = AnnData(np.log1p(x), obs=obs, layers={"counts": x + 0.5 * (obs[["tech"]] == "c").to_numpy()})
    adata.write_h5ad(tmp_path / "published.h5ad")
    server.content = (tmp_path / "published.h5ad").read_bytes()
    monkeypatch.setitem(PUBLISHED, "toy", Published(server.url, 30, "tech", "type", "counts"))
    return adata


def test_a_data_set_is_counts_and_batches_without_counts_are_left_out(published, tmp_path):
    with pytest.warns(UserWarning, match="batch 'c' holds no counts"):
        adata = datasets.load("toy", folder=tmp_path / "cache")
    assert adata.shape == (20, 8)
    assert set(adata.obs["batch"]) == {"a", "b"}
    kept = published[adata.obs_names]
    np.testing.assert_array_equal(adata.X.toarray(), kept.layers["counts"])
    np.testing.assert_array_equal(adata.obs["cell_type"], kept.obs["type"])


def test_a_file_that_is_not_the_published_one_is_refused(published, server, tmp_path, monkeypatch):
    monkeypatch.setitem(PUBLISHED, "toy", Published(server.url, 31, "tech", "type", "counts"))
    with pytest.raises(DownloadError, match="30 cells instead of 31"):
        datasets.load("toy", folder=tmp_path / "cache")
    monkeypatch.setitem(PUBLISHED, "toy", Published(server.url, 30, "tech", "annotation", "counts"))
    with pytest.raises(DownloadError, match=r"lacks the columns \['annotation'\]"):
        datasets.load("toy", folder=tmp_path / "cache")
    server.content = b"<html>please enable cookies</html>"
    with pytest.raises(DownloadError, match="no AnnData file"):
        datasets.load("toy", folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(KeyError, match="human_pancreas"):
        datasets.load("human_pancrea")

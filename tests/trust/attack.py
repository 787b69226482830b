"""Kill trainings and saves at random moments, damage files, and download at once from many processes; count what is lost.

    python tests/trust/attack.py                 # prints the table of docs/reliability.md
    python tests/trust/attack.py --cases 0.05    # a twentieth of the cases
    python tests/trust/attack.py --no-sweeps     # all but sccl-bench, which takes most of the time

Every process that is killed is a real one, forked from this one, which has imported everything.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="", JAX_PLATFORMS="cpu")

import argparse
import hashlib
import http.server
import shutil
import signal
import socketserver
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

import sccl
from sccl.datasets.download import fetch
from sccl.storage import replacing

QUIET = {"enable_progress_bar": False, "accelerator": "cpu"}
N_EPOCHS = 8


def cells() -> object:
    adata = sccl.datasets.simulate(n_cells=400, n_genes=200, n_batches=2, n_types=3, seed=0, mean_count=1.0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    return adata


def make(adata: object, cls: type = sccl.MoCo, seed: int = 0) -> sccl.CLModel:
    torch.manual_seed(seed)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return cls(adata, n_latent=8, n_hidden=32)


def digest(model: sccl.CLModel) -> str:
    """Everything that a training leaves, as one number."""
    tensors = b"".join(tensor.numpy().tobytes() for tensor in model.module.state_dict().values())
    history = "".join(frame.to_csv() for frame in model.history.values())
    embedding = model.get_latent_representation().tobytes()
    return hashlib.sha256(tensors + history.encode() + embedding).hexdigest()


def forked(do: Callable[[], None]) -> int:
    """Run a function in a process of its own and return its number."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        do()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    except BaseException:  # noqa: BLE001 - this process ends here, whatever it was
        os._exit(1)
    os._exit(0)


def is_running(process: int) -> bool:
    return os.waitpid(process, os.WNOHANG)[0] == 0


def killed_after(process: int, seconds: float) -> bool:
    """Kill a process, and return whether it was still running."""
    time.sleep(seconds)
    if not is_running(process):
        return False
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True


def trainings(n: int, folder: Path, rng: np.random.Generator, **training: object) -> tuple[int, int]:
    """Kill trainings; each is started again until it ends. Wrong: another result than that of a training left alone."""
    adata = cells()

    def train(where: Path, seed: int) -> None:
        model = make(adata, seed=seed)
        model.train(N_EPOCHS, batch_size=64, checkpoint_dir=where / "checkpoints", resume=True, **training, **QUIET)
        with replacing(where / "digest") as file:
            file.write(digest(model).encode())

    def start(where: Path, seed: int) -> int:
        where.mkdir(exist_ok=True)
        return forked(lambda: train(where, seed))

    begin = time.perf_counter()
    os.waitpid(start(folder / "alone", 0), 0)
    duration = time.perf_counter() - begin
    expected = (folder / "alone" / "digest").read_text()
    n_killed, n_wrong, number = 0, 0, 0
    while n_killed < n:
        where, number, n_here = folder / str(number), number + 1, 0
        # each is killed a few times; after the first time with other weights and another seed to start from, which must not
        # matter, if the first process came as far as to write anything
        while n_here < 3 and n_killed < n:
            started = (where / "checkpoints" / "training.safetensors").exists()
            if not killed_after(start(where, number if started else 0), rng.uniform(0.0, duration)):
                break
            n_here, n_killed = n_here + 1, n_killed + 1
        started = (where / "checkpoints" / "training.safetensors").exists()
        os.waitpid(start(where, number if started else 0), 0)
        n_wrong += not (where / "digest").exists() or (where / "digest").read_text() != expected
        shutil.rmtree(where)
    return n_killed, n_wrong


def saves(n: int, folder: Path, rng: np.random.Generator) -> tuple[int, int]:
    """Kill saves over a good model, and first saves. Wrong: no model, or neither the old nor the new; or a refused next save."""
    adata = cells()
    models = []
    for cls in (sccl.SimCLR, sccl.SimCLR):
        models.append(make(adata, cls, seed=len(models)))
        models[-1].train(1, **QUIET)
    known = {digest(model) for model in models}

    def save(where: Path, **how: bool) -> None:
        for model in [*models, *models, *models]:
            model.save(where, save_anndata=True, overwrite=True)

    models[0].save(folder / "time", save_anndata=True)
    begin = time.perf_counter()
    models[1].save(folder / "time", save_anndata=True, overwrite=True)
    duration = time.perf_counter() - begin
    n_killed = n_wrong = number = 0
    while n_killed < n:
        where, number = folder / str(number), number + 1
        is_first = number % 4 == 0
        if not is_first:
            models[0].save(where, save_anndata=True)
        n_killed += killed_after(forked(lambda where=where: save(where)), rng.uniform(0.0, 6 * duration))
        try:
            if not is_first or (where / "model.safetensors").exists():
                n_wrong += digest(sccl.SimCLR.load(where)) not in known
                models[1].save(where, overwrite=True)
            else:
                models[1].save(where)
            n_wrong += {path.name for path in where.iterdir()} - {"model.safetensors", "adata.h5ad"} != set()
        except (OSError, ValueError) as error:
            print(f"after a kill: {error}", file=sys.stderr)
            n_wrong += 1
        shutil.rmtree(where)
    return n_killed, n_wrong


def damage(n_bits: int, n_cuts: int, folder: Path, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Flip bits of a saved model, and cut it off. Wrong: it is loaded, or the error is another one than ValueError."""
    model = make(cells(), sccl.SimCLR)
    model.train(1, **QUIET)
    model.save(folder / "model")
    path = folder / "model" / "model.safetensors"
    whole = path.read_bytes()

    def is_loaded(raw: bytes) -> bool:
        path.write_bytes(raw)
        try:
            sccl.SimCLR.load(path.parent, adata=False)
        except ValueError as error:
            return str(path) not in str(error)
        return True

    def flipped(bit: int) -> bytes:
        raw = bytearray(whole)
        raw[bit // 8] ^= 1 << bit % 8
        return bytes(raw)

    n_header = 8 + int.from_bytes(whole[:8], "little")
    places = [rng.integers(8 * (n_header if number % 2 else len(whole))) for number in range(n_bits)]
    yield n_bits, sum(is_loaded(flipped(int(bit))) for bit in places)
    yield n_cuts, sum(is_loaded(whole[:size]) for size in rng.integers(0, len(whole), n_cuts))


class Handler(http.server.BaseHTTPRequestHandler):
    content = np.random.default_rng(0).bytes(400_000)

    def log_message(self, *args: object) -> None: ...

    def do_GET(self) -> None:
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        body = self.content[first:]
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(self.content) - 1}/{len(self.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for start in range(0, len(body), 40_000):
            self.wfile.write(body[start : start + 40_000])
            time.sleep(0.005)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64


def downloads(n: int, folder: Path, rng: np.random.Generator) -> tuple[int, int]:
    """Four processes at once need one file for the first time, one of which is killed every other time. Wrong: a call that
    fails, or a file that is not the published one."""
    with Server(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/file"
        process = forked(server.serve_forever)
        n_calls = n_wrong = number = 0
        try:
            while n_calls < n:
                path, number = folder / str(number) / "file", number + 1
                calls = [forked(lambda path=path: fetch(url, path, timeout=5.0, pause=0.05) and None) for _ in range(4)]
                if number % 2:
                    victim = calls.pop(int(rng.integers(4)))
                    killed_after(victim, rng.uniform(0.0, 0.1))
                n_calls += len(calls)
                n_wrong += sum(os.waitpid(call, 0)[1] != 0 for call in calls)
                n_wrong += path.read_bytes() != Handler.content
                n_wrong += {other.name for other in path.parent.iterdir()} != {"file", "file.sha256"}
        finally:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
    return n_calls, n_wrong


SWEEP = ["method=pca", "method.n_comps=3,4,5", "data.n_cells=120", "data.n_genes=60"]


def sweep(results: Path) -> int:
    from sccl.benchmark.app import main

    return main([*SWEEP, f"results={results}"])


def scores_of(results: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in results.glob("runs/[!.]*/metrics.json")}


def sweeps(n: int, folder: Path, rng: np.random.Generator) -> tuple[int, int]:
    """Kill sweeps; each is started again until it ends. Wrong: other scores than those of a sweep left alone, or a complete run
    that was made again."""
    begin = time.perf_counter()
    os.waitpid(forked(lambda: sweep(folder / "alone")), 0)
    duration = time.perf_counter() - begin
    expected = scores_of(folder / "alone")
    assert len(expected) == 3
    n_killed = n_wrong = number = 0
    while n_killed < n:
        results, number = folder / str(number), number + 1
        kept: dict[Path, int] = {}
        is_ended = False
        while not is_ended:
            process = forked(lambda results=results: sweep(results))
            if n_killed < n:
                is_ended = not killed_after(process, rng.uniform(0.0, duration))
                n_killed += not is_ended
            else:
                os.waitpid(process, 0)
                is_ended = True
            complete = {path: path.stat().st_mtime_ns for path in results.glob("runs/[!.]*/status.json")}
            n_wrong += any(complete.get(path) != time_of for path, time_of in kept.items())
            kept = complete
        n_wrong += scores_of(results) != expected
    return n_killed, n_wrong


def sweeps_at_once(n: int, folder: Path) -> tuple[int, int]:
    """Two sweeps at once in one results folder. Wrong: one that fails, or other scores than those of a sweep alone."""
    os.waitpid(forked(lambda: sweep(folder / "alone")), 0)
    expected, n_wrong = scores_of(folder / "alone"), 0
    for number in range(n):
        results = folder / str(number)
        both = [forked(lambda results=results: sys.exit(sweep(results))) for _ in range(2)]
        n_wrong += any(os.waitpid(process, 0)[1] != 0 for process in both) or scores_of(results) != expected
    return n, n_wrong


def rows(scale: float, folder: Path, *, with_sweeps: bool) -> Iterator[tuple[str, str, int, int]]:
    """What is done, what should come of it, how often it was done, how often something else came of it."""
    rng = np.random.default_rng(0)

    def times(n: int) -> int:
        return max(2, round(n * scale))

    def room(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    for what, training in (("without", {}), ("with", {"validation_size": 0.2})):
        yield (
            f"`kill -9` while training, {what} validation cells; started again with `resume=True`",
            "the result of a training left alone, bit for bit: weights, history, embedding",
            *trainings(times(50), room(f"train {what}"), rng, **training),
        )
    yield (
        "`kill -9` while saving, over a good model or for the first time",
        "the old model or the new one, with its cells; the next save is not refused",
        *saves(times(100), room("save"), rng),
    )
    flips, cuts = damage(times(200), times(50), room("damage"), rng)
    yield ("one flipped bit in a saved model", "refused, naming the file", *flips)
    yield ("a saved model cut off", "refused, naming the file", *cuts)
    yield (
        "first downloads of one file by four processes at once, some of them killed",
        "the file, whole, for all that live",
        *downloads(times(100), room("download"), rng),
    )
    if not with_sweeps:
        return
    yield (
        "`kill -9` while `sccl-bench` runs; started again until it ends",
        "the scores of a sweep left alone, byte for byte; no complete run is made twice",
        *sweeps(times(10), room("sweep"), rng),
    )
    yield (
        "two `sccl-bench` at once in one results folder",
        "both succeed, with the scores of one alone",
        *sweeps_at_once(times(3), room("sweeps")),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=float, default=1.0, help="fraction of the cases")
    parser.add_argument("--no-sweeps", action="store_true", help="leave out sccl-bench, which takes most of the time")
    args = parser.parse_args()
    import scanpy  # noqa: F401 - once, for all processes
    import scib_metrics  # noqa: F401
    import umap  # noqa: F401

    assert threading.active_count() == 1  # or forks could hang
    n_wrong = 0
    print("| fault | outcome | cases | otherwise |\n|---|---|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for fault, outcome, n, wrong in rows(args.cases, Path(folder), with_sweeps=not args.no_sweeps):
            print(f"| {fault} | {outcome} | {n} | {wrong} |", flush=True)
            n_wrong += wrong
    return n_wrong > 0


if __name__ == "__main__":
    sys.exit(main())

"""What a job costs as cells become many: simulate, preprocess, train the default recipe, embed; in memory, or from disk.

python tests/performance/scale.py --cells 100000 1000000           in memory, and how each stage grows
python tests/performance/scale.py --cells 100000 1000000 --disk    from a store on disk

Each size runs in a process of its own, on disk one that writes and one that learns. For each stage: CPU seconds, seconds, and the largest resident memory while it ran; in
memory beside what ``X`` and the counts hold. Growth is the exponent of the cells, 1 where time is proportional to them.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import log
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from anndata import AnnData
from scipy import sparse

N_TYPES, BLOCK = 30, 10_000
WARM_UP = 5000
"""Cells of a first run, which leaves compiled functions in their caches and is not reported."""


class Stages:
    """Time and memory of one stage after the other."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a block."""
        forget_peak()
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.add(name, time.process_time() - cpu, time.perf_counter() - wall)

    def add(self, name: str, cpu: float, wall: float) -> None:
        """Keep what was measured, and print it."""
        self.rows[name] = {"cpu_s": round(cpu, 1), "s": round(wall, 1), "peak_mb": round(peak_mb())}
        print(f"  {name:>12} {cpu:9.1f} {wall:9.1f} {self.rows[name]['peak_mb']:9.0f}", file=sys.stderr, flush=True)


def forget_peak() -> None:
    """Let the kernel count the largest resident memory anew."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Largest resident memory since then, in MB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def count_blocks(
    n_cells: int, n_genes: int, n_batches: int
) -> Iterator[tuple[sparse.csr_matrix, np.ndarray, np.ndarray]]:
    """Counts of thirty types in batches that differ, a tenth of them other than zero, with batches and types; batch by batch."""
    rng = np.random.default_rng(0)
    rate = rng.gamma(0.3, 0.35, size=(N_TYPES, n_genes))[None] * np.exp(rng.normal(0, 0.3, (n_batches, 1, n_genes)))
    for batch, members in enumerate(np.array_split(np.arange(n_cells), n_batches)):
        for start in range(0, members.size, BLOCK):
            n = min(BLOCK, members.size - start)
            types = rng.integers(N_TYPES, size=n)
            counts = sparse.csr_matrix(rng.poisson(rate[batch, types]).astype(np.float32))
            yield counts, np.full(n, batch), types


def simulate(n_cells: int, n_genes: int, n_batches: int) -> AnnData:
    """All of them in memory, none twice."""
    room = int(0.2 * n_cells * n_genes)  # not taken before it is written to
    data, indices = np.empty(room, np.float32), np.empty(room, np.int32)
    indptr, batch = np.zeros(n_cells + 1, np.int64), np.empty(n_cells, np.int64)
    row = place = 0
    for block, of_block, _ in count_blocks(n_cells, n_genes, n_batches):
        n, stop = block.shape[0], place + block.nnz
        data[place:stop], indices[place:stop] = block.data, block.indices
        indptr[row + 1 : row + n + 1], batch[row : row + n] = block.indptr[1:] + place, of_block
        row, place = row + n, stop
    x = sparse.csr_matrix((data[:place], indices[:place], indptr), shape=(n_cells, n_genes))
    adata = AnnData(x)
    adata.obs["batch"] = [f"batch {code}" for code in batch]
    adata.obs["batch"] = adata.obs["batch"].astype("category")
    return adata


def simulate_files(folder: Path, n_cells: int, n_genes: int, n_batches: int) -> list[Path]:
    """All of them as files of 50 000 cells."""
    import anndata as ad

    paths: list[Path] = []
    parts: list[AnnData] = []

    def write() -> None:
        paths.append(folder / f"cells_{len(paths)}.h5ad")
        ad.concat(parts).write_h5ad(paths[-1])
        parts.clear()

    for block, batch, types in count_blocks(n_cells, n_genes, n_batches):
        names = [f"{len(paths)}_{len(parts)}_{cell}" for cell in range(block.shape[0])]
        part = AnnData(block)
        part.obs_names = names
        part.obs["batch"] = [f"batch {code}" for code in batch]
        part.obs["cell_type"] = [f"type {code}" for code in types]
        parts.append(part)
        if len(parts) == 5:
            write()
    if parts:
        write()
    return paths


def held_mb(adata: AnnData) -> float:
    """What ``X`` and the counts hold together, what they share once, in MB."""
    arrays = [array for x in (adata.X, adata.layers["counts"]) for array in (x.data, x.indices, x.indptr)]
    return sum({array.__array_interface__["data"][0]: array.nbytes for array in arrays}.values()) / 1e6


def steps_timer():
    """A callback that keeps what the passes of a training cost."""
    from lightning.pytorch.callbacks import Callback

    class Steps(Callback):
        cpu = wall = 0.0

        def on_train_epoch_start(self, trainer, plan) -> None:
            self._start = time.process_time(), time.perf_counter()

        def on_train_epoch_end(self, trainer, plan) -> None:
            self.cpu += time.process_time() - self._start[0]
            self.wall += time.perf_counter() - self._start[1]

    return Steps()


def run(n_cells: int, args: argparse.Namespace) -> dict[str, object]:
    """One size."""
    import torch

    import sccl

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("scvi").setLevel(logging.WARNING)
    stages, steps = Stages(), steps_timer()
    result: dict[str, object] = {"cells": n_cells, "start_mb": round(peak_mb())}
    train = {"max_steps": args.steps, "enable_progress_bar": False, "callbacks": [steps]}
    if args.part == "write":
        with stages.stage("simulate"):
            files = simulate_files(Path(args.folder), n_cells, args.genes, args.batches)
        with stages.stage("preprocess"):
            sccl.pp.preprocess_to(
                Path(args.folder) / "store.zarr", files, batch_key="batch", n_top_genes=args.top_genes, progress=False
            )
        return {"stages": stages.rows}
    if args.part == "learn":
        store = sccl.pp.CellStore(Path(args.folder) / "store.zarr")
        model = sccl.CLModel(registry=store.registry)
        with stages.stage("train"):
            model.train(datamodule=store, **train)
        n_steps = model.training_[-1]["n_steps"]
        with stages.stage("embed"):
            latent = model.get_latent_representation(store)
    else:
        with stages.stage("simulate"):
            adata = simulate(n_cells, args.genes, args.batches)
        with stages.stage("preprocess"):
            sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=args.top_genes, keep_raw=False)
        result["matrix_mb"] = round(held_mb(adata))
        with stages.stage("setup"):
            sccl.CLModel.setup_anndata(adata, batch_key="batch")
            model = sccl.CLModel(adata)
        with stages.stage("train"):
            model.train(**train)
        n_steps = model.training_[-1]["n_steps"]
        with stages.stage("embed"):
            latent = model.get_latent_representation()
    whole = stages.rows["train"]
    stages.rows["steps"] = {"cpu_s": round(steps.cpu, 1), "s": round(steps.wall, 1), "peak_mb": whole["peak_mb"]}
    stages.rows["pairs etc."] = {key: round(whole[key] - stages.rows["steps"][key], 1) for key in ("cpu_s", "s")} | {
        "peak_mb": whole["peak_mb"]
    }
    del stages.rows["train"]
    assert latent.shape[0] == n_cells
    return {**result, "n_steps": n_steps, "embedding_mb": round(latent.nbytes / 1e6), "stages": stages.rows}


def report(results: list[dict]) -> None:
    """Print all sizes side by side."""
    first, last = results[0], results[-1]
    names = list(first["stages"])
    print(f"{'':>12}" + "".join(f" | {each['cells']:>9} cells: CPU s, s, peak MB" for each in results) + " | growth")
    for name in names:
        cells = [each["stages"][name] for each in results]
        line = "".join(f" | {each['cpu_s']:13.1f} {each['s']:10.1f} {each['peak_mb']:10.0f}" for each in cells)
        growth = ""
        if len(results) > 1 and min(cells[0]["cpu_s"], cells[-1]["cpu_s"]) > 0:
            times = [
                each["cpu_s"] / (result["n_steps"] if name == "steps" else 1)
                for each, result in zip(cells, results, strict=True)
            ]
            growth = f" | {log(times[-1] / times[0]) / log(last['cells'] / first['cells']):6.2f}"
        print(f"{name:>12}{line}{growth}")
    for each in results:
        after = [row for name, row in each["stages"].items() if name != "simulate"]
        steps = each["stages"]["steps"]
        line = (
            f"{each['cells']} cells: {sum(row['cpu_s'] for row in after) - steps['cpu_s']:.0f} CPU s beside the steps, "
            f"{sum(row['s'] for row in after):.0f} s in all; {each['n_steps']} steps, {1000 * steps['cpu_s'] / each['n_steps']:.1f} "
            f"CPU ms and {1000 * steps['s'] / each['n_steps']:.1f} ms each; peak {max(row['peak_mb'] for row in after):.0f} MB"
        )
        if "matrix_mb" in each:
            line += f", of which X and counts {each['matrix_mb']} (1.25 × that + 1500: {1.25 * each['matrix_mb'] + 1500:.0f})"
        print(f"{line}, the embedding {each['embedding_mb']}, before anything {each['start_mb']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--top-genes", type=int, default=None, help="genes to choose; all if left out")
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--disk", action="store_true")
    parser.add_argument("--folder", default=None, help="where files and store are written, and removed afterwards")
    parser.add_argument("--part", choices=["all", "write", "learn"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps(run(args.cells[0], args)))
        return
    results, where = [], args.folder
    for n_cells in [WARM_UP, *args.cells]:
        print(f"{n_cells} cells: stage, CPU s, s, peak MB", file=sys.stderr)
        if not args.disk:
            results.append(measured(n_cells, "all", args))
            continue
        with tempfile.TemporaryDirectory(dir=where) as args.folder:
            written, learned = (measured(n_cells, part, args) for part in ("write", "learn"))
        results.append({**learned, "stages": {**written["stages"], **learned["stages"]}})
    report(results[1:])


def measured(n_cells: int, part: str, args: argparse.Namespace) -> dict:
    """Run one size, or a part of it, in a process of its own."""
    command = [sys.executable, __file__, *options(args), "--part", part, "--cells", str(n_cells)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])


def options(args: argparse.Namespace) -> list[str]:
    """The arguments again, all but the sizes."""
    given = {"--genes": args.genes, "--top-genes": args.top_genes, "--batches": args.batches, "--steps": args.steps}
    given["--folder"] = args.folder
    words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    return words


if __name__ == "__main__":
    main()

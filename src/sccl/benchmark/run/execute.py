"""One run, from its configuration to its directory."""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sccl.benchmark.plan.run import STATUS, Run, checksums
from sccl.benchmark.run.surroundings import code, forget_peak_memory, git_state, hardware, peak_memory_gib, versions
from sccl.storage import hold, sync_file, sync_folder


def execute(run: Run, *, wait: bool = True) -> None:
    """Make a run's directory.

    It is written under another name and renamed when all is there. If the run fails, the directory holds the traceback.
    A run that is complete is left alone, one that failed, broke off or was damaged is made anew. If the directory cannot be
    written, that is printed, and nothing is left of it.

    Parameters
    ----------
    run
        The run. Its directory will hold ``config.json``, ``surroundings.json``, ``costs.json``, ``loss.csv``,
        ``embedding.npz``, ``metrics.json``, ``picture.png``, where a batch was held out ``confusion.csv``, and, last,
        ``status.json`` with the checksums of all of them.
    wait
        Whether to wait for another process that is making this run.

    Raises
    ------
    Taken
        If another process is making it, and ``wait`` is False.
    """
    try:
        run.lock.parent.mkdir(parents=True, exist_ok=True)
        with hold(run.lock, wait=wait) as is_held:
            if run.state != "complete":
                _make(run, are_leftovers=is_held)
    except OSError as error:
        print(f"  cannot be kept: {error}", flush=True)


def _make(run: Run, *, are_leftovers: bool) -> None:
    parent = run.directory.parent
    if are_leftovers:  # whoever made them held the lock, and does not live
        for leftover in parent.glob(f".{run.id}.*/"):
            shutil.rmtree(leftover)
    directory = parent / f".{run.id}.{platform.node()}-{os.getpid()}.part"
    directory.mkdir()
    try:
        about = {"config": run.config, "choices": run.choices, "command": run.command, "content": run.content}
        _write(directory / "config.json", about)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            surroundings = {"versions": versions(), "code": code(), "git": git_state(), "hardware": hardware()}
            _write(directory / "surroundings.json", surroundings)
            _work(run, directory)
            state = "complete"
        except Exception as error:  # noqa: BLE001 - whatever a method raises, the other runs go on
            (directory / "traceback.txt").write_text(traceback.format_exc())
            print(f"  failed: {type(error).__name__}: {str(error).partition('\n')[0]}", flush=True)
            state = "failed"
        _write(directory / STATUS, {"state": state, "started": started, "files": checksums(directory)})
        for path in directory.iterdir():
            sync_file(path)
        shutil.rmtree(run.directory, ignore_errors=True)
        directory.rename(run.directory)
    except OSError:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    sync_folder(parent)


def _work(run: Run, directory: Path) -> None:
    from hydra.utils import get_method
    from threadpoolctl import threadpool_limits

    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[name] = round(time.perf_counter() - start, 3)

    with stage("imports"):
        # all that any run imports, so that the first of a process starts with as much memory as the others
        import scanpy  # noqa: F401
        import scib_metrics  # noqa: F401
        import torch
        import umap  # noqa: F401

        from sccl.benchmark.data import prepare
        from sccl.benchmark.run import holdout, integration

        torch.set_num_threads(run.threads)
        method = dict(run.config["method"])
        embed = get_method(method.pop("_target_"))
    forget_peak_memory()
    with _quiet(), threadpool_limits(run.threads):
        with stage("data"):
            data = prepare(
                run.config["data"], max_cells=run.config["score"]["max_cells"], holdout=run.config.get("holdout")
            )
            _ = data.pca  # computed here, so that no method is charged for it
        with stage("embedding"):
            embedding = embed(data, seed=run.config["seed"], **method)
        memory = peak_memory_gib()
        task = integration if data.query is None else holdout
        with stage("scores"):
            scores = task.score(data, embedding)
        with stage("picture"):
            task.save(data, embedding, directory, name=" ".join(run.choices.values()))
    if embedding.loss is not None:
        embedding.loss.rename("loss").to_csv(directory / "loss.csv", index_label="epoch")
    _write(directory / "metrics.json", {name: None if np.isnan(value) else value for name, value in scores.items()})
    _write(directory / "costs.json", {"seconds": seconds, "peak_memory_gib": memory})


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the hints of all methods' frameworks out of the list of runs, but not that a training went wrong."""
    from sccl.train import TrainingWarning

    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "scvi")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", TrainingWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")

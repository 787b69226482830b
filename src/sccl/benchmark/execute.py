"""One run, from its configuration to its directory."""

from __future__ import annotations

import json
import logging
import os
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

from sccl.benchmark.run import STATUS, Run
from sccl.benchmark.surroundings import forget_peak_memory, git_state, hardware, peak_memory_gib, versions


def execute(run: Run) -> None:
    """Make a run's directory.

    It is written under another name and renamed when all is there. If the run fails, the directory holds the traceback.
    A run that is complete is left alone, one that failed or broke off is made anew.

    Parameters
    ----------
    run
        The run. Its directory will hold ``config.json``, ``surroundings.json``, ``costs.json``, ``loss.csv``,
        ``embedding.npz``, ``metrics.json``, ``picture.png`` and, last, ``status.json``.
    """
    if run.state == "complete":
        return
    parent = run.directory.parent
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(f".{run.id}.*"):
        shutil.rmtree(leftover)
    directory = parent / f".{run.id}.{os.getpid()}"
    directory.mkdir()
    _write(directory / "config.json", {"config": run.config, "choices": run.choices, "command": run.command})
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        _write(directory / "surroundings.json", {"versions": versions(), "git": git_state(), "hardware": hardware()})
        _work(run, directory)
        state = "complete"
    except Exception as error:  # noqa: BLE001 - whatever a method raises, the other runs go on
        (directory / "traceback.txt").write_text(traceback.format_exc())
        print(f"  failed: {type(error).__name__}: {str(error).partition('\n')[0]}", flush=True)
        state = "failed"
    _write(directory / STATUS, {"state": state, "started": started})
    shutil.rmtree(run.directory, ignore_errors=True)
    directory.rename(run.directory)


def _work(run: Run, directory: Path) -> None:
    from hydra.utils import get_method
    from threadpoolctl import threadpool_limits

    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[name] = round(time.perf_counter() - start, 3)

    forget_peak_memory()
    with stage("imports"):
        import torch

        from sccl.benchmark.data import prepare
        from sccl.benchmark.jax_cache import use_jax_cache
        from sccl.benchmark.scores import score

        use_jax_cache()
        torch.set_num_threads(run.threads)
        method = dict(run.config["method"])
        embed = get_method(method.pop("_target_"))
    with _quiet(), threadpool_limits(run.threads):
        with stage("data"):
            data = prepare(run.config["data"], max_cells=run.config["score"]["max_cells"])
            unintegrated = data.pca
        with stage("embedding"):
            embedding = embed(data, seed=run.config["seed"], **method)
        memory = peak_memory_gib()
        z_nd, cells = np.asarray(embedding.z_nd, dtype=np.float32), data.scored
        with stage("scores"):
            scores = score(
                {"run": z_nd[cells]},
                data.batch.iloc[cells],
                data.labels.iloc[cells],
                unintegrated=unintegrated[cells],
                n_jobs=1,
            )
        with stage("picture"):
            umap_n2: np.ndarray = _umap(z_nd[cells], directory / "picture.png", data, run)
    if embedding.loss is not None:
        embedding.loss.rename("loss").to_csv(directory / "loss.csv", index_label="epoch")
    obs = {"batch": data.batch, "label": data.labels}
    np.savez_compressed(
        directory / "embedding.npz",
        z=z_nd,
        scored=cells,
        umap=umap_n2,
        cell=data.adata.obs_names.to_numpy(dtype=str),
        **{name: column.astype(str).to_numpy(dtype=str) for name, column in obs.items()},
    )
    values = {name: None if np.isnan(value) else float(value) for name, value in scores.loc["run"].items()}
    _write(directory / "metrics.json", values)
    _write(directory / "costs.json", {"seconds": seconds, "peak_memory_gib": memory})


def _umap(z_nd: np.ndarray, path: Path, data: Any, run: Run) -> np.ndarray:
    """Draw the scored cells, and return where they are drawn, shape `(n_scored, 2)`."""
    import scanpy as sc
    from anndata import AnnData

    from sccl.benchmark.pictures import draw_umaps

    neighbors = AnnData(z_nd)
    sc.pp.neighbors(neighbors, use_rep="X", transformer="sklearn", random_state=0)  # exact
    sc.tl.umap(neighbors, random_state=0)
    umap_n2: np.ndarray = np.asarray(neighbors.obsm["X_umap"], dtype=np.float32)
    obs = data.adata.obs.iloc[data.scored]
    name = " ".join(run.choices.values())
    draw_umaps({name: umap_n2}, {key: obs[key] for key in (data.batch_key, data.labels_key)}).savefig(path, dpi=100)
    return umap_n2


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the frameworks' hints, which nobody asked for, out of the list of runs."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "scvi")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")

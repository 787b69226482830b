"""Where runs take place: in this process, in several on this machine, or as Slurm jobs."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from sccl.benchmark.run import Run


def run_all(runs: Iterable[Run], cluster: dict[str, Any] | None = None) -> dict[Run, str]:
    """Bring runs to completion, leaving alone those that are complete.

    Parameters
    ----------
    runs
        Runs.
    cluster
        None: one after the other, here. Otherwise ``kind``, ``"local"`` or ``"slurm"``, and its parameters.

    Returns
    -------
    For each run ``"complete"``, ``"failed"``, or ``"lost"`` if its process ended without a word.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    runs = list(runs)
    pending = [run for run in runs if run.state != "complete"]
    if len(pending) < len(runs):
        print(f"{len(runs) - len(pending)} of {len(runs)} runs are complete already.")
    if pending:
        parameters = dict(cluster or {"kind": "serial"})
        kind = parameters.pop("kind")
        if kind not in KINDS:
            raise ValueError(f"`cluster.kind` must be one of {', '.join(KINDS)}, found {kind!r}.")
        KINDS[kind](pending, **parameters)
    return {run: "lost" if run.state == "missing" else run.state for run in runs}


def _serial(runs: list[Run]) -> None:
    for number, run in enumerate(runs, 1):
        print(f"[{number}/{len(runs)}] {run.title}", flush=True)
        _execute(run)


def _local(runs: list[Run], *, n_jobs: int) -> None:
    """Run in `n_jobs` processes. Where one is killed, the runs that it took along are tried again, alone."""
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(n_jobs, mp_context=context) as pool:
            jobs = {pool.submit(_execute, run): run for run in runs}
            for number, job in enumerate(as_completed(jobs), 1):
                job.result()
                print(f"[{number}/{len(runs)}] {jobs[job].title}", flush=True)
    except BrokenProcessPool:
        print("A process was killed; what it left undone is tried again, each run in a process of its own.", flush=True)
        for run in [run for run in runs if run.state == "missing"]:
            process = context.Process(target=_execute, args=(run,))
            process.start()
            process.join()


def _slurm(runs: list[Run], **parameters: Any) -> None:
    """Submit each run as a task of one Slurm array, and wait."""
    import submitit

    executor = submitit.SlurmExecutor(folder=runs[0].results / "slurm")
    executor.update_parameters(
        job_name="sccl-bench", **{name: value for name, value in parameters.items() if value is not None}
    )
    jobs = executor.map_array(_execute, runs)
    print(f"Submitted {len(jobs)} Slurm jobs, {jobs[0].job_id} and following.", flush=True)
    for number, (job, run) in enumerate(zip(jobs, runs, strict=True), 1):
        lost = job.exception() is not None  # a failure of the run itself is in its directory
        print(f"[{number}/{len(runs)}] {run.title}{f': lost, see {job.paths.stderr}' if lost else ''}", flush=True)


def _execute(run: Run) -> None:
    # imported where it is needed: planning a study needs no torch
    from sccl.benchmark.execute import execute

    execute(run)


KINDS: dict[str, Callable[..., None]] = {"serial": _serial, "local": _local, "slurm": _slurm}

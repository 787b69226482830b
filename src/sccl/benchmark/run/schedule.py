"""Where runs take place: in this process, in several on this machine, or as Slurm jobs."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Any

from sccl.benchmark.plan.run import Run
from sccl.storage import Taken, hold

_POLL_SECONDS = 5.0


def run_all(runs: Iterable[Run], cluster: dict[str, Any] | None = None) -> dict[Run, str]:
    """Bring runs to completion, leaving alone those that are complete.

    Two of these on one directory share the work: a run that another process is making is left to it, and looked at again at the
    end.

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
    for run in pending:
        with suppress(Taken, OSError), hold(run.lock, wait=False):
            if run.state != "complete":
                shutil.rmtree(run.directory, ignore_errors=True)  # of a failure, which may not happen again
    if pending:
        parameters = dict(cluster or {"kind": "serial"})
        kind = parameters.pop("kind")
        if kind not in KINDS:
            raise ValueError(f"`cluster.kind` must be one of {', '.join(KINDS)}, found {kind!r}.")
        KINDS[kind](pending, **parameters)
    return {run: "lost" if run.state == "missing" else run.state for run in runs}


def _serial(runs: list[Run]) -> None:
    taken = []
    for number, run in enumerate(runs, 1):
        print(f"[{number}/{len(runs)}] {run.title}", flush=True)
        try:
            _execute(run, wait=False)
        except Taken:
            print("  another process makes it", flush=True)
            taken.append(run)
    for run in taken:
        _execute(run)  # at once if the other has made it, and as soon as it ends if it has not


def _local(runs: list[Run], *, n_jobs: int) -> None:
    """Run in `n_jobs` processes. Where one is killed, the runs that it took along are tried again, alone."""
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(n_jobs, mp_context=context, initializer=_end_with_parent) as pool:
            jobs = {pool.submit(_execute, run): run for run in runs}
            for number, job in enumerate(as_completed(jobs), 1):
                job.result()
                print(f"[{number}/{len(runs)}] {jobs[job].title}", flush=True)
    except BrokenProcessPool:
        print("A process was killed; what it left undone is tried again, each run in a process of its own.", flush=True)
        for run in [run for run in runs if run.state == "missing"]:
            process = context.Process(target=_execute_with_parent, args=(run,))
            process.start()
            process.join()


def _end_with_parent() -> None:
    """End this process when the one that started it ends: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it was started by multiprocessing

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _execute_with_parent(run: Run) -> None:
    _end_with_parent()
    _execute(run)


def _slurm(runs: list[Run], **parameters: Any) -> None:
    """Submit each run as a task of one Slurm array, and wait until all are done or gone; an interruption cancels them.

    Whether a task is gone is asked of ``squeue``, and not of the accounting, which not every cluster has.
    """
    import submitit

    executor = submitit.SlurmExecutor(folder=runs[0].results / "slurm")
    executor.update_parameters(
        job_name="sccl-bench", **{name: value for name, value in parameters.items() if value is not None}
    )
    tasks = {job.job_id: run for job, run in zip(executor.map_array(_execute, runs), runs, strict=True)}
    array = next(iter(tasks)).partition("_")[0]
    try:
        print(f"Submitted {len(tasks)} Slurm tasks, {next(iter(tasks))} and following.", flush=True)
        _wait_for(tasks, logs=runs[0].results / "slurm")
    except KeyboardInterrupt:
        subprocess.run(["scancel", array], check=True)
        print(f"Interrupted; the tasks of Slurm job {array} are cancelled.", flush=True)
        raise


def _wait_for(tasks: dict[str, Run], *, logs: Path) -> None:
    """Wait until all tasks are done or gone; those that are leave `tasks`."""
    n_tasks, n_done, missed = len(tasks), 0, set[str]()
    while tasks:
        time.sleep(_POLL_SECONDS)
        done = {task for task, run in tasks.items() if run.state != "missing"}
        absent = set(tasks) - done - _in_queue(next(iter(tasks)).partition("_")[0])
        # a shared file system may show a directory a little late: gone is what is absent twice
        lost, missed = absent & missed, absent
        for task in [task for task in tasks if task in done | lost]:
            run, n_done = tasks.pop(task), n_done + 1
            why = f" lost, see {logs}/{task}*" if task in lost else ""
            print(f"[{n_done}/{n_tasks}] {run.title}{why}", flush=True)


def _in_queue(array: str) -> set[str]:
    """Return those tasks of an array that Slurm knows to be waiting or running."""
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={array}"]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0 and "Invalid job id" not in answer.stderr:  # which says that all are gone
        raise RuntimeError(f"squeue failed: {answer.stderr.strip()}")
    return set(answer.stdout.split())


def _execute(run: Run, *, wait: bool = True) -> None:
    # imported where it is needed: planning a study needs no torch
    from sccl.benchmark.run.execute import execute

    execute(run, wait=wait)


KINDS: dict[str, Callable[..., None]] = {"serial": _serial, "local": _local, "slurm": _slurm}

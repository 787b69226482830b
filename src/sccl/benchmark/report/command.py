"""The command ``sccl-report``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Write the report of a study.

    Parameters
    ----------
    argv
        Command line arguments; those of the process if None.

    Returns
    -------
    The exit code: 0, or 2 if there is nothing to report.
    """
    parser = argparse.ArgumentParser(prog="sccl-report", description="Read a study from one page.")
    parser.add_argument("results", type=Path, help="directory that sccl-bench wrote, results/benchmark by default")
    parser.add_argument("--out", type=Path, help="directory to write into; RESULTS/report by default")
    args = parser.parse_args(argv)
    try:
        written = write_report(args.results, args.out or args.results / "report")
    except FileNotFoundError as error:
        print(f"sccl-report: {error}", file=sys.stderr)
        return 2
    print("\n".join(map(str, written)))
    return 0


def write_report(results: Path, out: Path) -> list[Path]:
    """Write the report of a study.

    Parameters
    ----------
    results
        Directory of the study.
    out
        Directory to write into: ``report.html`` and the tables it shows. Of runs on all batches these are ``runs.csv``,
        ``table.csv``, ``table.md``, ``measures.md``, ``costs.csv``, ``pairs.csv`` and ``effects.csv``
        (:mod:`sccl.benchmark.report.integration`), of those in which a batch was held out ``holdout_runs.csv``,
        ``holdout.csv`` and ``holdout.md`` (:mod:`sccl.benchmark.report.holdout`). All but the costs and the page are the
        same however often the study was interrupted.

    Returns
    -------
    The files, the page last.

    Raises
    ------
    FileNotFoundError
        If there is no complete run.
    """
    import pandas as pd

    from sccl.benchmark.report import holdout, integration
    from sccl.benchmark.report.page import note, render, sortable
    from sccl.benchmark.report.results import damages, failures, kinds, read_runs

    damaged = damages(results)
    for path, damage in damaged:
        print(f"sccl-report: {path} is left out, for it is damaged: {damage}.", file=sys.stderr)
    found = kinds(results)
    if not found:
        raise FileNotFoundError(f"{results} has no complete run; sccl-bench results={results} makes some.")
    out.mkdir(parents=True, exist_ok=True)
    written, sections = [], []
    for held_out, part in ((False, integration), (True, holdout)):
        if held_out in found:
            names, content = part.write(read_runs(results, held_out=held_out), out)
            written += names
            sections += content
    if failed := failures(results):
        table = pd.DataFrame(failed, columns=["command", "error"])
        sections.append(("Failed runs", sortable(table, code=["command"])))
    if damaged:
        text = "They are left out of all the rest. The command that made them makes them anew."
        table = pd.DataFrame(damaged, columns=["directory", "damage"])
        sections.append(("Damaged runs", note(text) + sortable(table, code=["directory"])))
    (out / "report.html").write_text(render(f"Results of sccl-bench in {results.resolve().name}", sections))
    return [out / name for name in (*written, "report.html")]


if __name__ == "__main__":
    sys.exit(main())

"""The report's part on mapping: runs in which a batch was held out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sccl.benchmark.report import figures
from sccl.benchmark.report.page import heading, heat_map, note, sortable
from sccl.benchmark.report.results import HELD_OUT, of_data, title_of_data, title_of_row
from sccl.benchmark.report.statistics import over_seeds
from sccl.benchmark.run.holdout import METRIC, K
from sccl.benchmark.run.picture import queries

#: Rows of each data set of which a confusion matrix and a UMAP is shown.
N_SHOWN = 4
_LEADING = "Macro-F1"


def write(runs: pd.DataFrame, out: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Write the tables and return the page's sections.

    Parameters
    ----------
    runs
        Of :func:`sccl.benchmark.report.results.read_runs`, with ``held_out=True``.
    out
        Directory to write into: ``holdout_runs.csv`` (metrics of each run), ``holdout.csv`` (mean and sd over seeds, for
        each batch and, as batch ``all``, for the mean over batches) and ``holdout.md`` (the latter).

    Returns
    -------
    names
        Of the files.
    sections
        Headings as text, contents as HTML.
    """
    factors, metrics = runs.attrs["factors"], runs.attrs["metrics"]
    runs[[*factors, "seed", *metrics]].to_csv(out / "holdout_runs.csv", index=False)
    table = _table(runs)
    table.to_csv(out / "holdout.csv", index=False)
    (out / "holdout.md").write_text(_markdown(table, factors, metrics))
    return ["holdout_runs.csv", "holdout.csv", "holdout.md"], _sections(runs, table)


def _table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return means and sds over seeds, of the mean over batches first; the best rows of each data set first."""
    factors, metrics = runs.attrs["factors"], runs.attrs["metrics"]
    methods = [name for name in factors if name != HELD_OUT]
    # without one of the data's batches it would be another mean
    n_batches = runs.groupby(of_data(factors))[HELD_OUT].transform("nunique")
    complete = runs[runs.groupby([*methods, "seed"])[HELD_OUT].transform("nunique") == n_batches]
    overall = complete.groupby([*methods, "seed"])[[*metrics, "Seconds"]].mean().reset_index()
    overall[HELD_OUT] = "all"
    overall.attrs = runs.attrs
    parts = []
    for part in (overall, runs):
        means, sds, seeds = over_seeds(part, [*metrics, "Seconds"])
        parts.append(means.join(sds[metrics].add_suffix(" sd")).join(seeds).reset_index())
    order = parts[0].set_index(methods)[_LEADING].rename("order")
    table = pd.concat(parts).join(order, on=methods)
    first = {
        **{name: table[name] for name in of_data(methods)},
        "batch": table[HELD_OUT] != "all",
        "name": table[HELD_OUT],
        "order": -table["order"],
    }
    rows = pd.DataFrame(first).reset_index(drop=True).sort_values(list(first), kind="stable").index
    return table.drop(columns="order").reset_index(drop=True).loc[rows].reset_index(drop=True)


def _sections(runs: pd.DataFrame, table: pd.DataFrame) -> list[tuple[str, str]]:
    factors, metrics = runs.attrs["factors"], runs.attrs["metrics"]
    methods = [name for name in factors if name != HELD_OUT]
    shown = [name for name in methods if table[name].nunique() > 1] or ["method"]
    board = table[[*shown, HELD_OUT]].copy()
    for name in metrics:
        board[name] = list(zip(table[name], table[f"{name} sd"], strict=True))
    board["seeds"], board["Seconds"] = table["seeds"], table["Seconds"]
    overall = table[HELD_OUT] == "all"
    text = (
        "Each batch in turn was new: methods learned without it. Its cells got labels from the method, where it has a way "
        f"to, or else that of most of their {K} nearest ({METRIC}) neighbours among the others. Mean ± standard deviation over seeds, of the mean over batches. Macro-F1 "
        "is over all labels of either side; shared is over the cells whose label the others have. What lacks a batch is only "
        "in the tables further down. Click a heading to sort."
    )
    sections = [("Held-out batches", note(text) + sortable(board[overall].drop(columns=HELD_OUT)))]
    of_set = of_data(methods)
    for data, group in table[~overall].groupby(of_set):
        best = table[overall & (table[of_set] == list(data)).all(axis=1)].head(N_SHOWN)
        panel = board.loc[group.index].drop(columns=of_data(shown))
        directories = _directories(runs, best, methods, shown)
        content = [note("Each batch."), sortable(panel)]
        for title, paths in directories.items():
            content.append(heading(f"Confusion, {title}") + note("Share of each label, row, that got which, column."))
            content.append(heat_map(_confusion(paths), low=0, high=1))
        if directories:
            first = {title: paths[0] for title, paths in directories.items()}
            content.append(heading("Reference and query, first batch and seed") + figures.as_svg(queries(first)))
        sections.append((f"Held-out batches of {title_of_data(of_set, data)}", "".join(content)))
    return sections


def _directories(runs: pd.DataFrame, rows: pd.DataFrame, methods: list[str], shown: list[str]) -> dict[str, list[str]]:
    """Return a title and the directories of its runs for each row."""
    names = [name for name in shown if name not in of_data(shown)]
    found = {}
    for _, row in rows.iterrows():
        of_row = (runs[methods] == row[methods]).all(axis=1)
        found[title_of_row(row, names)] = runs.loc[of_row].sort_values([HELD_OUT, "seed"])["directory"].tolist()
    return found


def _confusion(directories: list[str]) -> pd.DataFrame:
    """Add up confusion matrices and return shares of their rows; labels in one order in rows and columns."""
    total = pd.DataFrame()
    for directory in directories:
        counts = pd.read_csv(f"{directory}/confusion.csv", index_col=0, dtype={"label": str})
        total = total.add(counts, fill_value=0)
    order = sorted({*total.index, *total.columns})
    rows = [name for name in order if name in total.index]
    columns = [name for name in order if name in total.columns]
    total = total.loc[rows, columns].fillna(0)
    return total.div(total.sum(axis=1), axis=0)


def _markdown(table: pd.DataFrame, factors: list[str], metrics: list[str]) -> str:
    overall = table[table[HELD_OUT] == "all"]
    shown = [name for name in factors if overall[name].nunique() > 1] or ["method"]
    heads = [*shown, *metrics, "seeds"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(shown)}{'---:|' * (len(heads) - len(shown))}"]
    for _, row in overall.iterrows():
        values = [f"{row[name]:.3f} ± {row[f'{name} sd']:.3f}".replace(" ± nan", "") for name in metrics]
        lines.append(f"| {' | '.join(map(str, [*(row[name] for name in shown), *values, row['seeds']]))} |")
    return "\n".join(lines) + "\n"

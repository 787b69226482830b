"""The report's part on integration: runs that embed all batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sccl.benchmark.report import figures
from sccl.benchmark.report.cells import explorer
from sccl.benchmark.report.page import heading, heat_map, note, sortable
from sccl.benchmark.report.results import NONE, of_data, title_of_data, title_of_row
from sccl.benchmark.report.statistics import main_effects, over_seeds, paired_differences, relative_to_table
from sccl.benchmark.scores import AGGREGATES, BATCH_CORRECTION, BIO_CONSERVATION, MEASURES

#: UMAPs shown of each data set.
N_UMAPS = 6
_COSTS = ("Seconds", "Peak memory (GiB)")


def write(runs: pd.DataFrame, out: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Write the tables and return the page's sections.

    Parameters
    ----------
    runs
        Of :func:`sccl.benchmark.report.results.read_runs`.
    out
        Directory to write into: ``runs.csv`` (raw metrics of each run), ``table.csv`` and ``table.md`` (mean and sd over
        seeds, raw and scaled), ``measures.md`` (those that are hard to flatter), ``costs.csv`` (time and memory), ``pairs.csv`` and ``effects.csv``.

    Returns
    -------
    names
        Of the files.
    sections
        Headings as text, contents as HTML.
    """
    factors, metrics = runs.attrs["factors"], runs.attrs["metrics"]
    means, sds, seeds = over_seeds(runs, metrics)
    scaled = relative_to_table(means)
    table = means.join(sds.add_suffix(" sd")).join(scaled.add_suffix(" scaled in table")).join(seeds)
    table = table.sort_values("Total", ascending=False, kind="stable").sort_index(
        level=of_data(factors), sort_remaining=False
    )
    costs = over_seeds(runs, _COSTS)[0]
    worth, pairs = main_effects(runs), paired_differences(runs)

    runs[[*factors, "seed", *metrics]].to_csv(out / "runs.csv", index=False)
    table.to_csv(out / "table.csv")
    costs.to_csv(out / "costs.csv")
    worth.to_csv(out / "effects.csv", index=False)
    pairs.to_csv(out / "pairs.csv", index=False)
    (out / "table.md").write_text(_markdown(table))
    (out / "measures.md").write_text(_markdown_of_measures(table))
    names = ["runs.csv", "table.csv", "table.md", "measures.md", "costs.csv", "effects.csv", "pairs.csv"]
    return names, _sections(runs, table.join(costs).reset_index(), worth, pairs)


def _sections(
    runs: pd.DataFrame, table: pd.DataFrame, worth: pd.DataFrame, pairs: pd.DataFrame
) -> list[tuple[str, str]]:
    factors = runs.attrs["factors"]
    # what is the same in all rows is said once
    constant = {name: table[name].iloc[0] for name in factors if table[name].nunique() == 1}
    shown = [name for name in factors if name not in constant]
    commands = runs.groupby(factors)["command"].first().reset_index()
    board = table[shown].copy()
    for name in reversed(AGGREGATES):
        board[name] = list(zip(table[name], table[f"{name} sd"], strict=True))
    board["Total, scaled in this table"] = table["Total scaled in table"]
    for name in ("seeds", *_COSTS):
        board[name] = table[name]
    board["reproduce"] = table.merge(commands, on=factors, how="left")["command"]
    everywhere = ", ".join(f"{name} {value}" for name, value in constant.items() if value != NONE)

    sections = [
        (
            "Leaderboard",
            note(
                f"Raw scores, mean ± standard deviation over seeds, higher is better; {len(runs)} runs"
                + (f", all with {everywhere}. " if everywhere else ". ")
                + "Total is 0.6 of bio conservation and 0.4 of batch correction. The scaled total takes each metric from "
                "the lowest to the highest row of this table and data set: it changes with who is in the table. The "
                "command makes the first seed of its row. Click a heading to sort."
            )
            + sortable(board, code=["reproduce"]),
        )
    ]
    ours = table[table["model"] != NONE]
    if ours[["model", "augmentation"]].nunique().max() > 1:
        parts = []
        for (*data, sampling), group in ours.groupby([*of_data(factors), "sampling"]):
            cells = group.pivot_table(index="model", columns="augmentation", values="Total")
            parts.append((f"{title_of_data(of_data(factors), data)}, {sampling} sampling", cells))
        low, high = (pick([pick(cells.to_numpy()) for _, cells in parts]) for pick in (np.nanmin, np.nanmax))
        maps = [heading(title) + heat_map(cells, low=low, high=high) for title, cells in parts]
        text = (
            "Mean total over seeds and over the settings that are not shown. One scale of colours for all tables, from "
            f"{low:.3f}, white, to {high:.3f}, dark."
        )
        sections.append(("Architecture × augmentation × sampling", note(text) + "".join(maps)))
    if len(worth):
        text = (
            "Mean difference in total score between runs with this value and the mean over all values of the same "
            "choice, all else being equal. Bars are 95 % intervals (Student) over seeds, none with a single seed: they "
            "cover the randomness of training, not other data sets."
        )
        sections.append(
            ("What each choice is worth", note(text) + figures.as_svg(figures.effects(worth)) + sortable(worth))
        )
    if len(pairs):
        text = (
            "Second minus first, on runs that agree in all else, seed by seed; mean, 95 % interval over seeds, number of "
            "seeds, and in how many of them the second is better."
        )
        sections.append(("Pairs", note(text) + sortable(pairs)))
    for data, group in table.groupby(of_data(factors)):
        metrics = [*BIO_CONSERVATION, *BATCH_CORRECTION]
        labels = [name for name in shown if name not in of_data(factors)]
        panel = pd.concat([group[labels], group[metrics]], axis=1)
        chosen = _first_runs(runs, group.head(N_UMAPS), shown)
        content = (
            note("Each metric, raw, mean over seeds.")
            + sortable(panel)
            + heading("Measures that are hard to flatter")
            + note(
                "None of them is part of the total. docs/measures.md says what each asks, and when it is undefined (–)."
            )
            + sortable(pd.concat([panel[labels], group[_measures(group)]], axis=1))
            + f"<h3>Quality against time</h3>{figures.as_svg(figures.quality_against_time(group))}"
            + heading("UMAPs of the best rows, first seed")
            + note("Point at a cell: it is named, and marked in all panels. Click a name to hide its cells.")
            + explorer(chosen)
        )
        sections.append((f"Data set {title_of_data(of_data(factors), data)}", content))
    return sections


def _first_runs(runs: pd.DataFrame, rows: pd.DataFrame, shown: list[str]) -> dict[str, str]:
    """Return a title and the first seed's directory for each row."""
    first = rows.merge(runs.groupby(runs.attrs["factors"])["directory"].first().reset_index(), on=runs.attrs["factors"])
    names = [name for name in shown if name not in of_data(shown)]
    return {title_of_row(row, names): row["directory"] for _, row in first.iterrows()}


def _measures(table: pd.DataFrame) -> list[str]:
    """Return the measures that are there: runs of an earlier version lack them."""
    return [name for name in MEASURES if name in table]


def _varying(table: pd.DataFrame) -> list[str]:
    return [name for name in table.index.names if table.index.get_level_values(name).nunique() > 1] or ["method"]


def _markdown_of_measures(table: pd.DataFrame) -> str:
    factors, measures = _varying(table), _measures(table)
    heads = [*factors, "Total", *measures]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(factors)}{'---:|' * (len(heads) - len(factors))}"]
    for _, row in table.reset_index().iterrows():
        values = ["–" if pd.isna(row[name]) else f"{row[name]:.3f}" for name in ("Total", *measures)]
        lines.append(f"| {' | '.join([*(str(row[name]) for name in factors), *values])} |")
    return "\n".join(lines) + "\n"


def _markdown(table: pd.DataFrame) -> str:
    factors = _varying(table)
    heads = [*factors, *AGGREGATES, "Total, scaled in this table", "seeds"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(factors)}{'---:|' * (len(heads) - len(factors))}"]
    rows = table.reset_index()
    for _, row in rows.iterrows():
        scores = [f"{row[name]:.3f} ± {row[f'{name} sd']:.3f}".replace(" ± nan", "") for name in AGGREGATES]
        values = [*(row[name] for name in factors), *scores, f"{row['Total scaled in table']:.3f}", row["seeds"]]
        lines.append(f"| {' | '.join(map(str, values))} |")
    return "\n".join(lines) + "\n"

"""What the runs say: means over seeds, differences between pairs of runs, what each choice is worth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from sccl.benchmark.report.order import in_order
from sccl.benchmark.report.results import CONTENT, NONE, of_data
from sccl.benchmark.scores import AGGREGATES, MEASURES, with_aggregates

#: Coverage of the intervals.
LEVEL = 0.95


def over_seeds(runs: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return mean and standard deviation (n - 1; NaN for one seed) of columns over seeds, and the number of seeds.

    The index of all three is what was chosen.
    """
    groups = runs.groupby(runs.attrs["factors"])
    return groups[list(columns)].mean(), groups[list(columns)].std(ddof=1), groups.size().rename("seeds")


def relative_to_table(means: pd.DataFrame) -> pd.DataFrame:
    """Scale each metric to [0, 1] over the rows of each data set, and aggregate anew.

    A row's values depend on the other rows, so that they cannot be compared between tables. A metric in which all rows
    are equal becomes NaN and is left out of the aggregates.
    """
    metrics = means.drop(columns=[name for name in (*AGGREGATES, MEASURES[0]) if name in means])
    groups = metrics.groupby(level=of_data(means.index.names))
    span = groups.transform("max") - groups.transform("min")
    return with_aggregates((metrics - groups.transform("min")) / span.where(span > 0))


def main_effects(runs: pd.DataFrame, metric: str = "Total") -> pd.DataFrame:
    """Estimate what each choice is worth, other things being equal.

    Runs that agree in all but one choice make a block. The worth of a value is its mean difference from its block's
    mean; only blocks that hold every value that any of them holds are used, so that values are compared on equal terms.

    Returns
    -------
    One row per factor and value: ``effect``, the interval ``low`` to ``high``, ``blocks`` and ``seeds``. The interval is
    Student's, over seeds, each seed being the mean of its blocks: it says how far training is random, not how far other
    data sets would differ. NaN with one seed.
    """
    rows = []
    for factor in _compared(runs):
        others = [name for name in runs.attrs["factors"] if name != factor]
        wide = _wide(runs, others, factor, metric)
        wide = wide[[value for value in wide if value != NONE]].dropna(how="all")
        wide = wide.dropna() if len(wide.dropna()) else wide[wide.notna().sum(axis=1) > 1]
        wide = wide.dropna(axis=1, how="all")
        if wide.shape[1] < 2 or wide.empty:
            continue
        deviations = wide.sub(wide.mean(axis=1), axis=0)
        for value in in_order(deviations):
            column = deviations[value]
            effect, low, high, n_seeds = _interval(column.dropna())
            rows.append((factor, value, effect, low, high, int(column.count()), n_seeds))
    return pd.DataFrame(rows, columns=["factor", "value", "effect", "low", "high", "blocks", "seeds"])


def paired_differences(runs: pd.DataFrame, metric: str = "Total") -> pd.DataFrame:
    """Compare each pair of values of each choice on runs that agree in all else, seed and data set included.

    Returns
    -------
    One row per data set, setting of the other choices, and pair: ``difference`` of the second value from the first,
    ``low`` and ``high`` of its interval over seeds (NaN with one seed), the number of ``seeds`` and in how many of them
    the second value was ``better``.
    """
    rows = []
    for factor in _compared(runs):
        others = [name for name in runs.attrs["factors"] if name != factor]
        wide = _wide(runs, others, factor, metric)
        for context, block in wide.groupby(level=others):
            context = context if isinstance(context, tuple) else (context,)
            differing = [(name, value) for name, value in zip(others, context, strict=True) if runs[name].nunique() > 1]
            shown = " ".join(f"{name}={value}" for name, value in differing if value != NONE)
            for first, second in combinations(in_order(set(wide) - {NONE}), 2):
                pair = (block[second] - block[first]).dropna()
                if pair.empty:
                    continue
                difference, low, high, n_seeds = _interval(pair)
                rows.append((factor, first, second, shown, difference, low, high, n_seeds, int((pair > 0).sum())))
    names = ["factor", "first", "second", "with", "difference", "low", "high", "seeds", "better"]
    return pd.DataFrame(rows, columns=names)


def _compared(runs: pd.DataFrame) -> list[str]:
    """Return the factors whose values may be compared: all but which data set it is."""
    return [name for name in runs.attrs["factors"] if name not in ("data", CONTENT)]


def _wide(runs: pd.DataFrame, others: list[str], factor: str, metric: str) -> pd.DataFrame:
    return runs.pivot_table(index=[*others, "seed"], columns=factor, values=metric, aggfunc="mean")


def _interval(values: pd.Series) -> tuple[float, float, float, int]:
    """Return the mean, Student's interval over seeds, and the number of seeds."""
    by_seed = values.groupby(level="seed").mean()
    mean, n = float(by_seed.mean()), len(by_seed)
    if n < 2:
        return mean, np.nan, np.nan, n
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * by_seed.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half, n

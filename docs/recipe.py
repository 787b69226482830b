"""Tables and a figure of what each part of the recipe is worth.

sccl-bench --multirun +experiment=recommended results=results/recommended
sccl-bench --multirun +experiment=ingredients results=results/ingredients
sccl-report results/recommended
sccl-report results/ingredients
python docs/recipe.py results/recommended results/ingredients
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

STATIC = Path(__file__).parent / "_static"
SCORES = ["Bio conservation", "Batch correction", "Total"]
LIKE_SETTINGS = ["iLISI", "cLISI"]  # metrics that are written like settings
# What the recipe sets, where an experiment that spells it out says the same.
RECIPE = {
    "model": "clmodel",
    "augmentation": "cross_batch",
    "sampling": "own",
    "augmentation.cross_batch_positive.k_anchor": 10,
    "augmentation.cross_batch_positive.min_shared": 0.55,
    "augmentation.cross_batch_positive.p": 0.5,
    "sampling.batch.min_shared": 0.3,
    "augmentation.mask.fraction": 0.4,
    "augmentation.mask.p": 0.5,
    "model.temperature": 0.4,
    "projection": False,
    "readout": True,
}


def main(recommended: Path, ingredients: Path) -> None:
    """Print the tables and draw the figure."""
    runs = read(recommended)
    runs["method"] = runs["model"].fillna(runs["method"])
    print(as_markdown(runs, "method"))
    changed = read(ingredients)
    settings = [
        name for name in changed if name[0].islower() and name not in ("data", "method", "seed", *LIKE_SETTINGS)
    ]
    changed["change"] = [name_change(row) for _, row in changed[settings].iterrows()]
    print(as_markdown(changed, "change"))
    draw_changes(changed)


def read(results: Path) -> pd.DataFrame:
    """Return raw scores and settings of each run; settings that no run changes are left out."""
    runs = pd.read_csv(results / "report" / "runs.csv", na_values="–")
    return runs.loc[:, (runs.nunique(dropna=False) > 1) | runs.columns.isin(["data", "method", "model"])]


def name_change(settings: pd.Series) -> str:
    """Say in what a run differs from the recipe."""
    said = {
        name: value for name, value in settings.items() if pd.notna(value) and value not in ("own", RECIPE.get(name))
    }
    return ", ".join(f"{name.partition('.')[2] or name} {value}" for name, value in said.items()) or "as it is"


def as_markdown(runs: pd.DataFrame, key: str) -> str:
    """Return a table of mean ± sd of all scores, a row per data set and value of the key, best Total first."""
    rows = []
    for (data, value), group in runs.groupby(["data", key]):
        deviation = "{:.3f} ± {:.3f}" if len(group) > 1 else "{:.3f}"
        scores = [deviation.format(group[name].mean(), group[name].std()) for name in SCORES]
        rows.append((data, -group["Total"].mean(), f"| {data} | {value} | {' | '.join(scores)} | {len(group)} |"))
    head = f"| data | {key} | bio | batch | Total | seeds |\n|---|---|---:|---:|---:|---:|"
    return "\n".join([head, *(row for _, _, row in sorted(rows))])


def draw_changes(runs: pd.DataFrame) -> None:
    """Draw what each change does to bio conservation, batch correction and Total, a line per data set."""
    means = runs.groupby(["change", "data"])[SCORES].mean()
    change = means - means.xs("as it is", level="change")
    order = change["Total"].groupby(level="change").mean().sort_values().index
    figure, axes = plt.subplots(1, 3, figsize=(13, 0.28 * len(order) + 1), sharey=True)
    for axis, score in zip(axes, SCORES, strict=True):
        for data, marker in zip(runs["data"].unique(), "os^D", strict=False):
            axis.plot(
                change[score].xs(data, level="data").reindex(order), range(len(order)), marker, label=data, alpha=0.8
            )
        axis.axvline(0, color="0.7", zorder=0)
        axis.set(xlabel=f"Δ {score}", yticks=range(len(order)), yticklabels=order)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(STATIC / "recipe_ingredients.png", dpi=120)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))

"""Table and figure of ``docs/benchmark.md``: what correcting the reference's augmentations changes.

sccl-bench --multirun +experiment=released_vs_corrected +cluster=local results=results/released_vs_corrected
sccl-report results/released_vs_corrected
python docs/released_vs_corrected.py results/released_vs_corrected
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

FIGURE = Path(__file__).parent / "_static" / "released_vs_corrected.png"
NAMES = {
    "reference_mnn": "MNN",
    "reference_bbknn": "BBKNN",
    "reference_mask": "mask",
    "reference_gauss": "noise",
    "reference_crossover": "crossover",
    "reference_innerswap": "swap",
}
COLOURS = {"released": "#b2182b", "corrected": "#2166ac"}
KEYS = ["data", "model", "augmentation"]


def main(results: Path) -> None:
    """Print the table and draw the figure."""
    table = pd.read_csv(results / "report" / "table.csv")
    table["augmentation"] = table["augmentation"].map(NAMES)
    columns = ["Bio conservation", "Batch correction", "Total"]
    shown = pd.DataFrame(
        {
            name: [f"{m:.3f} ± {s:.3f}" for m, s in zip(table[name], table[f"{name} sd"], strict=True)]
            for name in columns
        }
    )
    shown = pd.concat([table[[*KEYS, "semantics"]], shown], axis=1).pivot(
        index=KEYS, columns="semantics", values=columns
    )
    order = list(NAMES.values())
    shown = shown.sort_index(key=lambda index: index.map(order.index) if index.name == "augmentation" else index)
    print("| data | architecture | augmentation | bio, released | bio, corrected | batch, released | batch, corrected "
          "| Total, released | Total, corrected |\n|---|---|---|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    for (data, model, augmentation), row in shown.iterrows():
        cells = [row[name, semantics] for name in columns for semantics in ("released", "corrected")]
        print("| " + " | ".join([data, model, augmentation, *cells]) + " |")
    draw(table, order)


def draw(table: pd.DataFrame, order: list[str]) -> None:
    """Draw the totals of both semantics, joined by a line, one panel per data set and architecture."""
    panels = list(table.groupby(["data", "model"]))
    figure, axes = plt.subplots(1, len(panels), figsize=(3 * len(panels), 2.8), sharey=True, sharex=True)
    for axis, ((data, model), rows) in zip(axes, panels, strict=True):
        total = rows.pivot(index="augmentation", columns="semantics", values="Total").loc[order[::-1]]
        sd = rows.pivot(index="augmentation", columns="semantics", values="Total sd").loc[order[::-1]]
        axis.hlines(range(len(order)), total.min(axis=1), total.max(axis=1), color="0.7", zorder=0)
        for semantics, colour in COLOURS.items():
            axis.errorbar(
                total[semantics], range(len(order)), xerr=sd[semantics], fmt="o", ms=5, color=colour, label=semantics
            )
        axis.set(title=f"{data}, {model}", xlabel="Total", yticks=range(len(order)), yticklabels=order[::-1])
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(loc="lower right", frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(FIGURE, dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What came out, in words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FILES = {
    "umap.png": "both embeddings, by batch and by cell type",
    "table.md": "the scores, to read",
    "table.csv": "the scores, to compute with",
    "embeddings.h5ad": "the embeddings, in obsm",
    "model": "the model, for sccl.CLModel.load",
    "loss.png": "how the training went: loss, alignment, uniformity, effective rank",
}
# A gain in "Batch correction" below this is not worth the name; above the second there is little left to correct.
_WORTHWHILE_GAIN, _MIXED = 0.1, 0.8
# A loss of "Bio conservation" that is more than what another seed makes.
_NOTABLE_LOSS = 0.05
# Of types of one batch alone: below this, most of their neighbours are of other types.
_PURE = 0.5

_SCALE = (
    "Scale: 0 to 1, higher is better; PCA is what doing nothing gives. Differences of a few hundredths may be chance: another "
    "--seed tells. Scores of different data cannot be compared. docs/measures.md says what each asks."
)


def verdict(table: pd.DataFrame) -> str:
    """Say in words what happened, what the scale is, and what to try.

    Parameters
    ----------
    table
        Scores of the rows "PCA" and "sccl", see :func:`sccl.benchmark.score`.
    """
    pca, ours = table.loc["PCA"], table.loc["sccl"]

    def change(name: str) -> str:
        return f"{name.lower()} {pca[name]:.2f} (PCA) -> {ours[name]:.2f} (sccl)"

    loses = pca["Bio conservation"] - ours["Bio conservation"] > _NOTABLE_LOSS
    types = f"Cell types: {change('Bio conservation')}, {'less far apart than on PCA' if loses else 'kept apart'}."
    before, after = pca["Batch correction"], ours["Batch correction"]
    if math.isnan(before):
        return "\n".join(["Batches: there is only one, so there is nothing to correct.", types, _SCALE])
    gains = after - before >= _WORTHWHILE_GAIN
    found = (
        "better mixed" if gains else "worse mixed than on PCA" if after < before else "hardly better mixed than on PCA"
    )
    lines = [f"Batches: {change('Batch correction')}, {found}.", types]
    if "Total" in table:
        lines.append(f"Together: {change('Total')}; 0.6 of cell types and 0.4 of batches.")
    advice = _advice(gains=gains, loses=loses, before=before, purity=ours.get("One-batch purity", math.nan))
    return "\n".join([*lines, *(f"Try: {one}" for one in advice), _SCALE])


def _advice(*, gains: bool, loses: bool, before: float, purity: float) -> list[str]:
    advice = []
    if not gains and before >= _MIXED:
        advice.append("nothing; batches were mixed before, so that PCA may be all you need.")
    elif not gains:
        advice.append(
            "another --batch-key, if another column (plate, donor, technology) is what differs; batches that share no cell types "
            "cannot mix. docs/guide.md: My batches do not mix."
        )
    if loses:
        advice.append(
            "fewer steps, model.train(max_steps=300); and a condition of interest is no batch. docs/guide.md: My batches mix too "
            "much."
        )
    if purity < _PURE:
        advice.append(
            f"to look at types that one batch alone has, on PCA: most of their neighbours are others now (purity {purity:.2f})."
        )
    return advice


def markdown(table: pd.DataFrame) -> str:
    """Return scores as a table, one column per embedding."""
    lines = [
        f"| | {' | '.join(table.index)} |",
        f"|---|{'---:|' * len(table)}",
        *(f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |" for name, values in table.items()),
    ]
    return "\n".join(lines) + "\n"


def contents(folder: Path) -> str:
    """List the files that are there, and what they hold."""
    lines = [f"  {folder / name!s:<36} {holds}" for name, holds in _FILES.items() if (folder / name).exists()]
    return "\n".join(["Where to look:", *lines])

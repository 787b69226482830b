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
# A gain in "Batch correction" below this is not worth the name.
_WORTHWHILE_GAIN = 0.1


def verdict(table: pd.DataFrame) -> str:
    """Say in words what the table says.

    Parameters
    ----------
    table
        Scores of the rows "PCA" and "sccl", see :func:`sccl.benchmark.score`.
    """
    pca, ours = table.loc["PCA"], table.loc["sccl"]
    types = (
        f"Cell types: bio conservation {pca['Bio conservation']:.2f} (PCA) -> {ours['Bio conservation']:.2f} (sccl)."
    )
    before, after = pca["Batch correction"], ours["Batch correction"]
    if math.isnan(before):
        return f"Batches: there is only one, so there is nothing to correct. {types}"
    change = f"Batches: batch correction {before:.2f} (PCA) -> {after:.2f} (sccl)"
    if after - before >= _WORTHWHILE_GAIN:
        return f"{change}. {types}"
    found = "worse than PCA" if after < before else "hardly better than PCA"
    return (
        f"{change}, {found}. Views from other batches may help: augmentation=sccl.augment.CrossBatchPositive(). {types}"
    )


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

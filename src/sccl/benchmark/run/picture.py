"""The picture of runs, from what their directories hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sccl.pl.cells import fill
from sccl.pl.query import query_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def umaps(coordinates: Mapping[str, np.ndarray], groups: Mapping[str, pd.Series], *, seed: int = 0) -> Figure:
    """Draw UMAPs of embeddings below each other, by batch and by cell type.

    Parameters
    ----------
    coordinates
        Name of each embedding and its UMAP, shape `(n_cells, 2)`.
    groups
        Name of each grouping and the group of each cell, shape `(n_cells,)`.
    seed
        Seed of the order in which cells are drawn.
    """
    from matplotlib.figure import Figure

    figure = Figure()
    rows = {
        f"UMAP of {name}": [(f"by {key}", xy_n2, group) for key, group in groups.items()]
        for name, xy_n2 in coordinates.items()
    }
    fill(figure, rows, seed=seed)
    return figure


def queries(directories: Mapping[str, Path | str]) -> Figure:
    """Draw, for runs in which a batch was held out, the reference and the query on top of it, true and predicted labels.

    Parameters
    ----------
    directories
        Title and directory of each run.
    """
    from matplotlib.figure import Figure

    rows = {}
    for title, directory in directories.items():
        with np.load(f"{directory}/embedding.npz") as saved:
            of_query = {"labels": saved["query_label"], "predicted labels": saved["query_predicted"]}
            labels = saved["label"][saved["drawn"]]
            rows[f"UMAP of {title}"] = query_panels(saved["umap"], saved["query_umap"], labels, of_query)
    figure = Figure()
    fill(figure, rows, missing="reference")
    return figure

"""The picture of runs, from what their directories hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sccl.benchmark.pictures import draw_panels, draw_umaps

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def umaps(directories: dict[str, str]) -> Figure:
    """Draw the scored cells of runs, by batch and by cell type.

    Parameters
    ----------
    directories
        Title and directory of each run, all of the same data.
    """
    coordinates, groups = {}, {}
    for title, directory in directories.items():
        with np.load(f"{directory}/embedding.npz") as saved:
            coordinates[title] = saved["umap"]
            groups = {name: pd.Series(saved[name][saved["scored"]]) for name in ("batch", "label")}
    return draw_umaps(coordinates, groups)


def queries(directories: Mapping[str, Path | str]) -> Figure:
    """Draw, for runs in which a batch was held out, the reference and the query on top of it, true and predicted labels.

    Parameters
    ----------
    directories
        Title and directory of each run.
    """
    rows = {}
    for title, directory in directories.items():
        with np.load(f"{directory}/embedding.npz") as saved:
            drawn, query = saved["umap"], saved["query_umap"]
            labels, true, predicted = saved["label"][saved["drawn"]], saved["query_label"], saved["query_predicted"]
        names = np.union1d(labels, true)
        xy_n2, none = np.vstack([drawn, query]), np.full(len(drawn), None)
        groups = {
            "labels of the reference": [*labels, *np.full(len(query), None)],
            "labels of the query": [*none, *true],
            "predicted labels of the query": [*none, *predicted],
        }
        rows[title] = [(name, xy_n2, pd.Series(pd.Categorical(group, names))) for name, group in groups.items()]
    return draw_panels(rows)

"""Embeddings to look into: coloured by any column, cells named under the pointer, methods side by side."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from sccl.benchmark.report.order import in_order
from sccl.pl.palette import GREY, palette

#: Cells shown of each embedding; of more a random part, the same of all.
MOST_CELLS = 5000
_STEPS = 4095  # of a coordinate


def explorer(directories: Mapping[str, str]) -> str:
    """Return embeddings of the same cells that the page's script draws, from ``embedding.npz`` of each run.

    Parameters
    ----------
    directories
        Title and directory of each run, all of the same data.
    """
    panels, about = [], {}
    shown = None
    for title, directory in directories.items():
        with np.load(f"{directory}/embedding.npz") as saved:
            scored = saved["scored"]
            if shown is None:
                n = len(scored)
                shown = np.sort(np.random.default_rng(0).permutation(n)[:MOST_CELLS])
                about = _about(saved, scored[shown])
            panels.append({"title": title, "xy": _coordinates(saved["umap"][shown])})
    # the script reads it as text: nothing in it can end the element
    data = json.dumps({**about, "panels": panels, "grey": GREY}).replace("<", "\\u003c")
    options = "".join(f"<option>{escape(name)}</option>" for name in [column["name"] for column in about["columns"]])
    return (
        f'<div class="explorer"><p><label>Colour by <select>{options}</select></label> '
        '<span class="shown"></span></p>\n<div class="keys"></div>\n<div class="panels"></div>\n'
        f'<script type="application/json">{data}</script></div>\n'
    )


def _about(saved: Any, cells: np.ndarray) -> dict[str, Any]:
    """Return the cells' names and columns: codes and what they stand for, or numbers."""
    columns = []
    for key in ("batch", "label", *(name for name in saved.files if name.startswith("column_"))):
        values = saved[key][cells]
        name = key.removeprefix("column_")
        if values.dtype.kind in "fiu":
            numbers = [None if np.isnan(value) else float(f"{value:.4g}") for value in values.astype(float)]
            columns.append({"name": name, "numbers": numbers})
            continue
        # in the order of numbers where all are numbers; that of a column, so that colours are those of all cells
        names = in_order(map(str, pd.unique(saved[key])))
        codes = pd.Categorical(values, names).codes
        columns.append({"name": name, "names": names, "codes": codes.tolist(), "colors": palette(len(names))})
    return {"cells": saved["cell"][cells].tolist(), "columns": columns, "n": len(saved["scored"])}


def _coordinates(xy_n2: np.ndarray) -> str:
    """Return coordinates as base64 of whole numbers from 0 to 4095, little-endian, one scale for both axes."""
    low, high = xy_n2.min(axis=0), xy_n2.max(axis=0)
    centred = (xy_n2 - (low + high) / 2) / max(float((high - low).max()), 1e-9)
    return base64.b64encode(np.round((centred + 0.5) * _STEPS).astype("<u2").tobytes()).decode()

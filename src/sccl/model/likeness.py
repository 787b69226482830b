"""Were new cells preprocessed like those that the model was trained on?"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import sparse

from sccl.model.checks import LARGEST_LOG_EXPRESSION
from sccl.pp.blocks import blocks

# New cells may be twice as far from the usual total as the outermost percent of the known ones.
SLACK = 2.0


def describe(x: Any, record: dict[str, Any] | None) -> dict[str, Any]:
    """Describe how expression was preprocessed, to compare that of new cells with it.

    Parameters
    ----------
    x
        Expression, cells × genes, in memory or backed; read once, in blocks.
    record
        What :func:`sccl.pp.preprocess` noted in ``adata.uns``, if it made ``x``.

    Returns
    -------
    ``largest``: the largest value. ``whole``: whether all values are whole numbers. ``mean``: mean of each gene before the
    logarithm, float32 ``(n_genes,)``. ``spread``: the first and the last percentile of the cells' totals before the
    logarithm, in units of their mean. ``target_sum``: the recorded one, or None.
    """
    largest, whole, total_n, sum_g = 0.0, True, np.zeros(x.shape[0]), np.zeros(x.shape[1])
    for cell, gene, block in blocks(x):
        values = block.data if sparse.issparse(block) else np.asarray(block)
        if not values.size:
            continue
        largest = max(largest, float(values.max()))
        whole = whole and bool((values == np.rint(values)).all())
        linear = block.astype(np.float64)
        if sparse.issparse(linear):
            linear.data = np.expm1(np.minimum(linear.data, LARGEST_LOG_EXPRESSION))
        else:
            linear = np.expm1(np.minimum(linear, LARGEST_LOG_EXPRESSION))
        total_n[cell : cell + block.shape[0]] += np.asarray(linear.sum(axis=1)).ravel()
        sum_g[gene : gene + block.shape[1]] += np.asarray(linear.sum(axis=0)).ravel()
    mean = total_n.mean() if total_n.size else 0.0
    spread = np.quantile(total_n, [0.01, 0.99]) / mean if mean else np.ones(2)
    return {
        "largest": largest,
        "whole": whole,
        "mean": (sum_g / max(total_n.size, 1)).astype(np.float32),
        "spread": tuple(map(float, spread)),
        "target_sum": None if record is None else record.get("target_sum"),
    }


def check_likeness(
    x: Any, record: dict[str, Any] | None, known: dict[str, Any], *, measured: np.ndarray, name: str
) -> None:
    """Refuse new cells whose expression is not of the kind that a model was trained on.

    Parameters
    ----------
    x
        Expression of the new cells, cells × genes of the model.
    record
        What :func:`sccl.pp.preprocess` noted in their ``uns``, if it made ``x``.
    known
        What :func:`describe` said of the cells that the model was trained on.
    measured
        Which of the genes were measured, bool ``(n_genes,)``.
    name
        What the messages call ``x``.

    Raises
    ------
    ValueError
        If they are counts or were not logarithmised and the known ones were, or were scaled to another recorded total.

    Warns
    -----
    UserWarning
        If the cells' totals are far from those of the known cells.
    """
    new = describe(x, record)
    if not new["largest"]:
        return
    advice = "call `sccl.pp.preprocess(adata, n_top_genes=None"
    advice += ")` first." if known["target_sum"] is None else f", target_sum={known['target_sum']:g})` first."
    if known["largest"] <= LARGEST_LOG_EXPRESSION < new["largest"] or new["whole"] > known["whole"]:
        what = "raw counts" if new["whole"] else "no logarithms"
        raise ValueError(
            f"{name} seems to hold {what} (largest value {new['largest']:.4g}), but the model was trained on "
            f"log-expression (largest value {known['largest']:.4g}): {advice}"
        )
    if None not in (new["target_sum"], known["target_sum"]) and new["target_sum"] != known["target_sum"]:
        raise ValueError(
            f"{name} was preprocessed with target_sum={new['target_sum']:g}, but the cells that the model was trained on "
            f"with {known['target_sum']:g}: begin with the raw counts again and {advice}"
        )
    if known["largest"] > LARGEST_LOG_EXPRESSION:
        return
    expected, found = float(known["mean"][measured].sum()), float(new["mean"][measured].sum())
    low, high = known["spread"][0] / SLACK * expected, known["spread"][1] * SLACK * expected
    # A few genes say little: their sum depends on what kind of cells these are.
    if expected >= 0.5 * float(known["mean"].sum()) and not low <= found <= high:
        warnings.warn(
            f"{name}, before the logarithm, has {found:.4g} per cell in the genes of the model, but those that it was "
            f"trained on have {expected:.4g}: it looks normalised to another total, or not with the natural logarithm. "
            f"If so, begin with the raw counts again and {advice}",
            stacklevel=4,
        )

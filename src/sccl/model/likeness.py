"""Is expression what the models read, and of the kind that one was trained on?"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from anndata.abc import CSCDataset
from scipy import sparse

from sccl.inputs.blocks import blocks
from sccl.inputs.expression import LARGEST_LOG, check_expression, raw_hint

if TYPE_CHECKING:
    from anndata import AnnData

# New cells may be twice as far from the usual total as the outermost percent of the known ones.
SLACK = 2.0
# From here on every float32 is a whole number.
LARGEST_COUNT = 2.0**24


def check_cells(x: Any, adata: AnnData, *, name: str, what: str = "adata") -> None:
    """Refuse a matrix whose cells cannot be read one by one, or whose values are no expression.

    Parameters
    ----------
    x
        Cells × genes of ``adata``.
    adata
        Where it comes from, for the names in messages.
    name, what
        What messages call ``x`` and ``adata``.

    Raises
    ------
    ValueError
        Naming the first place and what to do.
    """
    if isinstance(x, CSCDataset):
        raise ValueError(
            f"{name} is stored by genes (CSC) in its file, where reading a cell means reading everything: write it as CSR, "
            "or load it with `adata.to_memory()`."
        )
    check_expression(x, name=name, obs_names=adata.obs_names, var_names=adata.var_names, hint=raw_hint(adata, what))


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
    logarithm, in units of their mean. ``n_empty``: cells without expression. ``alike``: whether there are several cells, and
    all are the same. ``target_sum``: the recorded one, or None.
    """
    n_cells, n_genes = x.shape
    largest, whole, total_n = 0.0, True, np.zeros(n_cells)
    sum_g, squares_g = np.zeros(n_genes), np.zeros(n_genes)
    for cell, gene, block in blocks(x):
        values = block.data if sparse.issparse(block) else np.asarray(block)
        genes = slice(gene, gene + block.shape[1])
        if not values.size:
            continue
        largest = max(largest, float(values.max()))
        whole = whole and bool((values == np.rint(values)).all())
        linear = block.astype(np.float64)
        if sparse.issparse(linear):
            linear.data = np.expm1(np.minimum(linear.data, LARGEST_LOG))
        else:
            linear = np.expm1(np.minimum(linear, LARGEST_LOG))
        total_n[cell : cell + block.shape[0]] += np.asarray(linear.sum(axis=1)).ravel()
        sum_g[genes] += np.asarray(linear.sum(axis=0)).ravel()
        squared = linear.power(2) if sparse.issparse(linear) else linear**2
        squares_g[genes] += np.asarray(squared.sum(axis=0)).ravel()
    mean = total_n.mean() if total_n.size else 0.0
    spread = np.quantile(total_n, [0.01, 0.99]) / mean if mean else np.ones(2)
    return {
        "largest": largest,
        "whole": whole,
        "mean": (sum_g / max(total_n.size, 1)).astype(np.float32),
        "spread": tuple(map(float, spread)),
        "n_empty": int((total_n == 0).sum()),
        "alike": n_cells > 1 and bool((n_cells * squares_g - sum_g**2 <= 1e-9 * sum_g**2).all()),
        "target_sum": None if record is None else record.get("target_sum"),
    }


def check_logarithms(description: dict[str, Any], *, name: str, target_sum: float | None = None) -> None:
    """Refuse what is no log-expression.

    Parameters
    ----------
    description
        What :func:`describe` says.
    name
        What messages call the matrix.
    target_sum
        The total that the cells of a model were scaled to, if these are to be compared with them.

    Raises
    ------
    ValueError
        Saying what the values look like and what to do.
    """
    largest = description["largest"]
    options = "" if target_sum is None else f", n_top_genes=None, target_sum={target_sum:g}"
    advice = f"call `sccl.pp.preprocess(adata{options})` first."
    if largest and description["whole"] and largest < LARGEST_COUNT:
        raise ValueError(
            f"{name} seems to hold raw counts (whole numbers up to {largest:.4g}), where models read log-expression: "
            f"{advice} After it, `X` is what they read, and `layers['counts']` keeps the counts."
        )
    if largest > LARGEST_LOG:
        raise ValueError(
            f"{name} seems to hold no logarithms (largest value {largest:.4g}), where models read log-expression: begin "
            f"with the raw counts and {advice}"
        )


def check_likeness(new: dict[str, Any], known: dict[str, Any] | None, *, measured: np.ndarray, name: str) -> None:
    """Refuse new cells whose expression is not of the kind that a model was trained on.

    Parameters
    ----------
    new
        What :func:`describe` says of the new cells, with the genes of the model.
    known
        What it said of the cells that the model was trained on; None: it is not known.
    measured
        Which of the genes were measured, bool ``(n_genes,)``.
    name
        What the messages call the new cells' matrix.

    Raises
    ------
    ValueError
        If they are no log-expression, see :func:`check_logarithms`, or were scaled to another recorded total.

    Warns
    -----
    UserWarning
        If cells have no expression at all, or if the cells' totals are far from those of the known cells.
    """
    target_sum = None if known is None else known["target_sum"]
    check_logarithms(new, name=name, target_sum=target_sum or 1e4)
    if new["n_empty"]:
        warnings.warn(
            f"{name} has {new['n_empty']} cells without any expression in the genes of the model, which are all embedded "
            "in one place: nothing can be said of them. If there are many, check which layer and which genes are read.",
            stacklevel=4,
        )
    if known is None or not new["largest"]:
        return
    advice = f"begin with the raw counts and call `sccl.pp.preprocess(adata, n_top_genes=None, target_sum={target_sum or 1e4:g})`."
    if None not in (new["target_sum"], target_sum) and new["target_sum"] != target_sum:
        raise ValueError(
            f"{name} was preprocessed with target_sum={new['target_sum']:g}, but the cells that the model was trained on "
            f"with {target_sum:g}: {advice}"
        )
    expected, found = float(known["mean"][measured].sum()), float(new["mean"][measured].sum())
    low, high = known["spread"][0] / SLACK * expected, known["spread"][1] * SLACK * expected
    # A few genes say little: their sum depends on what kind of cells these are.
    if expected >= 0.5 * float(known["mean"].sum()) and not low <= found <= high:
        warnings.warn(
            f"{name}, before the logarithm, has {found:.4g} per cell in the genes of the model, but those that it was "
            f"trained on have {expected:.4g}: it looks normalised to another total, or not with the natural logarithm. "
            f"If so, {advice}",
            stacklevel=4,
        )

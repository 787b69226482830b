"""What counts are, and the form they are kept in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from sccl.inputs.blocks import as_dense, blocks
from sccl.inputs.expression import LARGEST_LOG, check_expression, first_place, place


def check_counts(x: Any, *, name: str, obs_names: Sequence[str], var_names: Sequence[str], advice: str) -> None:
    """Refuse a matrix that does not hold raw counts, and say how that can be seen.

    Raises
    ------
    ValueError
        If a value is NaN, infinite, negative or not an integer. `advice` closes the message.
    """
    check_expression(x, name=name, obs_names=obs_names, var_names=var_names, hint=f" {advice[0].upper()}{advice[1:]}")
    if x.dtype.kind != "f":
        return
    found = first_place(x, lambda values: values != np.rint(values))
    if found is None:
        return
    cell, gene, value = found
    totals, largest = np.asarray(x.sum(axis=1)).ravel(), x.max()
    totals = totals[totals > 0]
    guess = ""
    if totals.size > 1 and np.allclose(totals, totals[0], rtol=1e-3):
        guess = f", every cell sums to {totals[0]:.6g}: looks normalised"
    elif largest <= LARGEST_LOG:
        guess = ": looks log-transformed"
    raise ValueError(
        f"{name} holds non-integers, e.g. {value:.3g} at {place(cell, gene, obs_names, var_names)}; "
        f"max {largest:.3g}{guess}. preprocess needs raw counts; {advice}"
    )


def as_counts(x: Any) -> Any:
    """Bring counts into the form they are kept in, without copying what has it already.

    Dense stays dense. Anything sparse becomes a ``csr_matrix`` without duplicate entries (not a ``csr_array``, which
    scvi-tools cannot register). Values and dtype stay, only booleans become float32, for they cannot be summed.
    """
    if sparse.issparse(x):
        canonical = x.format == "csr" and x.has_canonical_format
        x = sparse.csr_matrix(x, copy=not canonical)
        x.sum_duplicates()
    return x.astype(np.float32) if x.dtype.kind == "b" else x


def same_counts(a: Any, b: Any) -> bool:
    """Whether two matrices of one shape hold the same values, whatever their formats and dtypes."""
    if a is b:
        return True
    for cell, gene, block in blocks(a):
        other = b[cell : cell + block.shape[0], gene : gene + block.shape[1]]
        if not np.array_equal(as_dense(block), as_dense(other)):
            return False
    return True

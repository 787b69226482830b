"""Ways to mix a cell with a neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from sccl.augment.base import Operation
from sccl.augment.bits import fill_bits, threshold, unit
from sccl.augment.keys import combine
from sccl.augment.row import row_function
from sccl.augment.scatter import scatter_row
from sccl.storage.compiled import compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

Mode = Literal["interpolate", "geometric", "exchange"]
MODES: tuple[str, ...] = get_args(Mode)


def as_modes(mode: Mode | Sequence[Mode], *, owner: str = "mix") -> tuple[Mode, ...]:
    """Return one or several modes as a tuple.

    Raises
    ------
    ValueError
        If there is none, or one is unknown.
    """
    modes = (mode,) if isinstance(mode, str) else tuple(mode)
    if not modes or not set(modes) <= set(MODES):
        raise ValueError(f"{owner}: `mode` must be one or some of {MODES}, found {mode!r}.")
    return modes


def mix_operation(alpha: float, draw_alpha: bool, mode: Mode | Sequence[Mode], *, replaces: bool) -> Operation:
    """Return the instruction of the fused pass, see :func:`mix_row`."""
    modes = set(as_modes(mode))
    chosen = sum(1 << MODES.index(one) for one in modes)
    # a value interpolated with a zero is none
    return Operation(
        mix_row, (alpha, float(draw_alpha), float(chosen), float(replaces)), is_sparse="interpolate" not in modes
    )


def mix(
    x_ng: torch.Tensor,
    other_ng: torch.Tensor,
    alpha: float,
    draw_alpha: bool,
    mode: Mode | Sequence[Mode],
    generator: torch.Generator,
) -> torch.Tensor:
    """Mix cells with others, in one of the modes drawn per cell.

    Parameters
    ----------
    x_ng, other_ng
        Cells × genes.
    alpha, draw_alpha, mode
        See :class:`sccl.augment.BBKNN`.
    generator
        Source of randomness.
    """
    import torch

    n_cells, device, modes = x_ng.shape[0], x_ng.device, as_modes(mode)
    own_n1 = torch.full((n_cells, 1), alpha, device=device)
    if draw_alpha:
        own_n1 = alpha + (1 - alpha) * torch.rand(n_cells, 1, generator=generator, device=device)
    mode_n1 = torch.randint(len(modes), (n_cells, 1), generator=generator, device=device)
    mixed_ng = x_ng
    for i, one in enumerate(modes):
        if one == "interpolate":
            result_ng = own_n1 * x_ng + (1 - own_n1) * other_ng
        elif one == "geometric":
            result_ng = x_ng.clamp(min=0) ** own_n1 * other_ng.clamp(min=0) ** (1 - own_n1)
        else:
            kept_ng = torch.rand(x_ng.shape, generator=generator, device=device) < alpha
            result_ng = torch.where(kept_ng, x_ng, other_ng)
        mixed_ng = torch.where(mode_n1 == i, result_ng, mixed_ng)
    return mixed_ng


@row_function
def mix_row(x, row):
    """Mix one row in place with the mean of the rows that it borrows.

    The parameters are alpha, whether it is drawn, the modes as bits, and whether the first borrowed row replaces ``x``
    before it is mixed.
    """
    parameters, lent, data, indices, indptr = row.parameters, row.lent, row.data, row.indices, row.indptr
    alpha, is_drawn, modes, replaces = parameters[0], parameters[1] > 0, np.int64(parameters[2]), parameters[3] > 0
    if replaces:
        scatter_row(x, lent[0], data, indices, indptr)
        lent = lent[1:]
    n_lent, other = 0, row.other
    for one in lent:
        n_lent += one >= 0
    other[:] = np.float32(0.0)
    share = np.float32(1.0 / n_lent)
    for one in lent[:n_lent]:
        for j in range(indptr[one], indptr[one + 1]):
            other[indices[j]] += share * data[j]
    own = alpha
    if is_drawn:
        own += (1 - alpha) * unit(row.key, 0)
    mode = _draw_mode(modes, combine(row.key, 1))
    own32, rest32 = np.float32(own), np.float32(1 - own)
    if mode == 0:
        for gene in range(x.size):
            x[gene] = own32 * x[gene] + rest32 * other[gene]
    elif mode == 1:
        for gene in range(x.size):
            if x[gene] > 0 and other[gene] > 0:
                x[gene] = x[gene] ** own32 * other[gene] ** rest32
            elif own32 > 0 and rest32 > 0:
                x[gene] = 0.0  # a zero of either is a zero of the mean
            else:
                x[gene] = max(x[gene] if own32 > 0 else other[gene], np.float32(0.0))
    else:
        limit = threshold(alpha)
        bits = row.bits[: (x.size + 3) // 4]
        fill_bits(combine(row.key, 2), bits)
        draws = bits.view(np.uint16)
        for gene in range(x.size):
            x[gene] = x[gene] if draws[gene] < limit else other[gene]
    return False


@compiled()
def _draw_mode(modes, key):
    n_modes = (modes & 1) + ((modes >> 1) & 1) + ((modes >> 2) & 1)
    drawn = np.int64(((key >> np.uint64(32)) * np.uint64(n_modes)) >> np.uint64(32))
    for mode in range(3):
        if (modes >> mode) & 1:
            if drawn == 0:
                return mode
            drawn -= 1
    return 0

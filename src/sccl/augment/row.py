"""What the fused pass hands to an augmentation's row function, and how it calls one that it does not know."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from sccl.storage.compiled import compiled


class Row(NamedTuple):
    """What a row function knows of the row, beside the row itself.

    Attributes
    ----------
    key
        What all its randomness is drawn from, see :mod:`sccl.augment.keys` and :mod:`sccl.augment.bits`.
    parameters
        Those of the :class:`~sccl.augment.base.Operation`, float64.
    nonzero
        The genes that may differ from zero; or empty: any may.
    lent
        The rows of the matrix that it borrows, -1 for none.
    data, indices, indptr
        The matrix, as in :class:`scipy.sparse.csr_matrix`.
    bits, order, other
        Room to work in: uint64, two genes each; int32, which holds 0, 1, 2, … and must be left so; float32, one for each gene.
    """

    key: np.uint64
    parameters: np.ndarray
    nonzero: np.ndarray
    lent: np.ndarray
    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    bits: np.ndarray
    order: np.ndarray
    other: np.ndarray


_FIELDS = (
    types.uint64,
    types.float64[::1],
    types.int32[::1],
    types.int64[::1],
    types.float32[::1],
    types.int32[::1],
    types.int64[::1],
    types.uint64[::1],
    types.int32[::1],
    types.float32[::1],
)
_ARGUMENTS = (types.float32[::1], types.NamedTuple(_FIELDS, Row))


def row_function(function: Callable[[np.ndarray, Row], bool]) -> Any:
    """Compile a function for the fused pass, when it is first used, and keep it on disk.

    Parameters
    ----------
    function
        Takes a row, float32 of shape ``(n_genes,)``, which it changes in place, and what is known of it, a :class:`Row`.
        Returns whether all that was zero is still zero. It may call other row functions and what numba compiles.
    """
    return compiled()(function)


@cache
def address_of(function: Any) -> int:
    """Return where the machine code of a row function is.

    Raises
    ------
    TypeError
        If it cannot be compiled, or does not say whether zeros stay zero.
    """
    try:
        code = function.get_compile_result(types.boolean(*_ARGUMENTS))
    except TypingError as error:
        raise TypeError(
            f"numba cannot compile {function.__name__}(x, row), which changes a row of float32 in place and must return "
            f"whether zeros stay zero, True or False: {error}"
        ) from error
    return code.library.get_pointer_to_function(code.fndesc.llvm_func_name)


@intrinsic
def _call(_context, function, x, row):
    """Call the row function at an address, and return what it returns."""

    def generate(context, builder, signature, arguments):
        convention, types_of = context.call_conv, _ARGUMENTS
        pointer = builder.inttoptr(arguments[0], convention.get_function_type(types.boolean, types_of).as_pointer())
        status, result = convention.call_function(builder, pointer, types.boolean, types_of, arguments[1:])
        with builder.if_then(status.is_error, likely=False):
            convention.return_status_propagate(builder, status)
        return result

    return types.boolean(function, x, row), generate


call: Any = _call

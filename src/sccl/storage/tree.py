"""Python's plain values, and arrays, as JSON and arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# Marks a mapping that stands for something else.
_MARK = "~"


def encode(value: Any, arrays: dict[str, np.ndarray], *, name: str) -> Any:
    """Return what JSON can say of a value; arrays are put aside.

    Parameters
    ----------
    value
        None, truth values, numbers, text, lists, tuples, mappings, arrays of numbers or text, data frames with such columns,
        and tensors, nested in any way.
    arrays
        Gets the arrays and tensors of numbers, named by where they are.
    name
        What the value is called, for arrays and messages.

    Raises
    ------
    TypeError
        If there is anything else: where, and what.
    """
    import pandas as pd  # takes long, and whoever only asks what a file is needs none

    def nested(item: Any, key: object) -> Any:
        return encode(item, arrays, name=f"{name}.{key}")

    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {f"{_MARK}float": str(value)}
    if isinstance(value, list):
        return [nested(item, key) for key, item in enumerate(value)]
    if isinstance(value, tuple):
        return {f"{_MARK}tuple": [nested(item, key) for key, item in enumerate(value)]}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith(_MARK) for key in value):
            return {key: nested(item, key) for key, item in value.items()}
        pairs = [[nested(key, "key"), nested(item, key)] for key, item in value.items()]
        return {f"{_MARK}mapping": pairs}
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf":
            arrays[name] = value
            return {f"{_MARK}array": name}
        if all(item is None or isinstance(item, str) for item in value.flat):
            kind = "object" if value.dtype == object else "text"
            return {f"{_MARK}texts": {"kind": kind, "shape": list(value.shape), "values": value.ravel().tolist()}}
    if isinstance(value, pd.DataFrame):
        columns = {str(key): nested(value[key].to_numpy(), key) for key in value}
        index = nested(value.index.to_numpy(), "index")
        return {f"{_MARK}frame": {"columns": columns, "index": index, "name": value.index.name}}
    if callable(getattr(value, "detach", None)):  # a tensor, told without importing torch
        array = value.detach().cpu().numpy()
        if array.dtype.kind in "biuf":
            arrays[name] = array
            return {f"{_MARK}tensor": name}
    raise TypeError(
        f"{name} is a {type(value).__name__}, which cannot be saved: only numbers, text, lists, mappings, arrays and data "
        "frames of these can, for a file must not be able to run code."
    )


def decode(value: Any, arrays: Mapping[str, np.ndarray], *, as_tensor: Callable[[np.ndarray], Any]) -> Any:
    """Return the value that :func:`encode` was given.

    Parameters
    ----------
    value, arrays
        What it returned and filled.
    as_tensor
        Makes a tensor of an array.

    Raises
    ------
    ValueError
        If it cannot have been that.
    """

    def nested(item: Any) -> Any:
        return decode(item, arrays, as_tensor=as_tensor)

    if isinstance(value, list):
        return [nested(item) for item in value]
    if not isinstance(value, dict):
        return value
    mark = next(iter(value), "")
    if not mark.startswith(_MARK):
        return {key: nested(item) for key, item in value.items()}
    content = value[mark]
    try:
        match mark.removeprefix(_MARK):
            case "float":
                return float(content)
            case "tuple":
                return tuple(nested(content))
            case "mapping":
                return {nested(key): nested(item) for key, item in content}
            case "array":
                return arrays[content]
            case "tensor":
                return as_tensor(arrays[content])
            case "texts":
                array = np.array(content["values"], dtype=object if content["kind"] == "object" else str)
                return array.reshape(content["shape"])
            case "frame":
                import pandas as pd

                index = pd.Index(nested(content["index"]), name=content["name"])
                return pd.DataFrame({key: nested(column) for key, column in content["columns"].items()}, index=index)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{mark!r} does not hold what it should: {error}") from error
    raise ValueError(f"{mark!r} stands for nothing")

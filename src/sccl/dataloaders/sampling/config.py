"""What a user may pass as ``sampling``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sccl.dataloaders.sampling.base import Sampling
from sccl.dataloaders.sampling.batch import BatchSampling
from sccl.dataloaders.sampling.neighbor import NeighborSampling
from sccl.dataloaders.sampling.uniform import UniformSampling
from sccl.inputs.names import unknown
from sccl.inputs.plugins import find_part

BY_NAME: dict[str, type[Sampling]] = {
    "uniform": UniformSampling,
    "batch": BatchSampling,
    "neighbor": NeighborSampling,
}


def as_sampling(sampling: Sampling | str | Mapping[str, Any] | None) -> Sampling:
    """Turn a name, a mapping or an object into a way of sampling.

    Parameters
    ----------
    sampling
        ``"uniform"`` (also None), ``"batch"``, ``"neighbor"``, ``"batch+neighbor"``; or a mapping of such names to
        parameters, ``{"batch": {"p_intra": 0.9}, "neighbor": {"p_knn": 0.3}}``; or an object. Neighbours are sampled
        within what the other name says. Those of other packages are named as their entry point in the group
        ``sccl.sampling``, or ``"package.module:Class"``.

    Raises
    ------
    KeyError
        If a name or a parameter is unknown; the message has the nearest valid one.
    ValueError
        If a value is out of range, or two names cannot be combined.

    Examples
    --------
    >>> as_sampling("batch+neighbor").within
    BatchSampling(p_intra=1.0, share='proportional', min_shared=0.0)
    """
    if sampling is None:
        return UniformSampling()
    if isinstance(sampling, Sampling):
        return sampling
    entries = dict.fromkeys(sampling.split("+"), None) if isinstance(sampling, str) else dict(sampling)
    built, classes = {}, {}
    for name, parameters in entries.items():
        classes[name] = find_part(name, BY_NAME, Sampling, what="sampling")
        known = [field.name for field in fields(classes[name])]
        for parameter in parameters or {}:
            if parameter not in known:
                raise KeyError(unknown(f"parameter of {name!r}", parameter, known))
        built[name] = dict(parameters or {})
    outer = [name for name in built if name != "neighbor"]
    if len(outer) > 1 or not built:
        raise ValueError(
            f"`sampling` must name one of {', '.join(BY_NAME)} or of another package, and 'neighbor' beside it if wanted, found "
            f"{sampling!r}."
        )
    within = classes[outer[0]](**built[outer[0]]) if outer else UniformSampling()
    return NeighborSampling(**{"within": within, **built["neighbor"]}) if "neighbor" in built else within

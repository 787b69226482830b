"""What can be passed to a model, as help and editors show it, and what cannot."""

from __future__ import annotations

import inspect
import re
from typing import Any

from sccl.inputs.names import unknown


def show_signature(cls: Any) -> None:
    """Let ``inspect.signature`` of a model name the hyper-parameters that its ``**architecture_kwargs`` stand for."""
    own = inspect.signature(cls.__init__).parameters.values()
    passed_on = [
        parameter.replace(
            kind=parameter.KEYWORD_ONLY, default=cls._architecture_defaults.get(parameter.name, parameter.default)
        )
        for parameter in list(inspect.signature(cls._architecture_cls).parameters.values())[1:]
    ]
    named = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
    cls.__signature__ = inspect.Signature([*named[1:], *(passed_on if len(named) < len(own) else [])])


def check_hyperparameters(cls: Any, passed: dict[str, Any]) -> None:
    """Raise a TypeError that has the nearest valid name if a model has no such hyper-parameter."""
    known = [name for name in inspect.signature(cls).parameters if name not in ("adata", "registry")]
    for name in passed:
        if name == "n_layers":
            raise TypeError(
                f"{cls.__name__} has no hyper-parameter 'n_layers': `n_hidden` takes a list with the width of each layer, for "
                f"example n_hidden=[128, 128]. Known: {', '.join(known)}."
            )
        if name not in known:
            raise TypeError(unknown(f"hyper-parameter of {cls.__name__}", name, known))


def describe(cls: Any) -> str:
    """Return a docstring for a model that has none: what its architecture's says, with the parameters of a model."""
    name, of_architecture = cls.__name__, inspect.getdoc(cls._architecture_cls) or ""
    about, _, rest = of_architecture.partition("Parameters\n----------\n")
    own = re.sub(r"\An_latent\n( .*\n)+", "", rest)
    shared = "adata, n_hidden, n_latent, dropout_rate, integrate\n    See :class:`~sccl.CLModel`.\n"
    public = f"sccl.{name}" if cls.__module__.startswith("sccl.") else name
    return (
        f"{name}: {about.strip()}\n\nTrained by default as ``sccl.model.PublishedModel`` says.\n\n"
        f"Parameters\n----------\n{shared}{own.rstrip()}\n\nExamples\n--------\n"
        f'>>> {public}.setup_anndata(adata, batch_key="batch")\n>>> model = {public}(adata)\n>>> model.train()\n'
        '>>> adata.obsm["X_cl"] = model.get_latent_representation()\n'
    )

"""A model as it was before a training, to go back to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scvi.model.base import BaseModelClass


@contextmanager
def undone_if_it_fails(model: BaseModelClass) -> Iterator[None]:
    """Leave a model as it was if what is done with it raises, whatever is raised: weights, attributes, device and mode."""
    attributes = dict(vars(model))
    weights = {name: tensor.detach().clone() for name, tensor in model.module.state_dict().items()}
    learning = [(parameter, parameter.requires_grad) for parameter in model.module.parameters()]
    device, is_training = model.device, model.module.training
    try:
        yield
    except BaseException:
        vars(model).clear()
        vars(model).update(attributes)
        model.to_device(device)
        model.module.load_state_dict(weights)
        model.module.zero_grad(set_to_none=True)
        for parameter, learns in learning:
            parameter.requires_grad_(learns)
        model.module.train(is_training)
        raise

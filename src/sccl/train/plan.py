"""The training plan that all architectures share."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import lightning.pytorch as pl
import torch
from torch.optim.lr_scheduler import LambdaLR

from sccl.inputs import as_real, check_choice
from sccl.train.diagnostics import alignment, effective_rank, uniformity

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
    from torch import Tensor

    from sccl.module import ContrastiveModule
    from sccl.module.contrastive import ContrastiveOutput

Schedule = Literal["cosine", "constant"]


class ContrastiveTrainingPlan(pl.LightningModule):
    """Learn from two views with AdamW.

    Logged per epoch: ``train_loss`` (mean over the epoch), ``alignment``, ``uniformity`` and ``effective_rank`` (of its
    last minibatch; see :mod:`sccl.train.diagnostics`), and ``validation_loss`` (mean over the validation cells).

    Parameters
    ----------
    module
        The network.
    n_steps
        Number of steps of the whole training, which the schedules are laid over.
    lr
        Largest learning rate, > 0.
    weight_decay
        Of AdamW, ≥ 0.
    schedule
        ``"cosine"``: linear warm-up, then down to 0 along a cosine at the last step. ``"constant"``: warm-up, then
        ``lr``.
    warmup
        Fraction of all steps that warm up, in ``[0, 1)``.

    Raises
    ------
    ValueError
        If an argument is out of range.
    FloatingPointError
        When training, if the loss is no longer finite.
    """

    def __init__(
        self,
        module: ContrastiveModule,
        *,
        n_steps: int,
        lr: float = 1e-3,
        weight_decay: float = 1e-6,
        schedule: Schedule = "cosine",
        warmup: float = 0.05,
    ) -> None:
        super().__init__()
        check_optimisation(lr=lr, weight_decay=weight_decay, schedule=schedule, warmup=warmup)
        self.module = module
        self.n_steps = n_steps
        self.lr, self.weight_decay, self.schedule, self.warmup = lr, weight_decay, schedule, warmup
        self._losses: list[Tensor] = []
        self._last: ContrastiveOutput | None = None

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return AdamW and the schedule of its learning rate, which moves with every step."""
        learning = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(learning, lr=self.lr, weight_decay=self.weight_decay, fused=True)
        factor = partial(
            learning_rate_factor,
            n_steps=self.n_steps,
            warmup=self.warmup,
            schedule=self.schedule,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Let the target follow each step of the optimiser."""
        step = self.global_step  # of those done before
        super().optimizer_step(*args, **kwargs)
        self.module.update_target(step=step, n_steps=self.n_steps)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Return the loss of one minibatch. Nothing is logged here: per-step logging costs a tenth of a step."""
        output = self.module(batch["views"])
        loss = output.projections.loss
        self._losses.append(loss.detach())
        self._last = output
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the epoch."""
        last, self._last = self._last, None
        assert last is not None  # an epoch has at least one step
        train_loss = torch.stack(self._losses).mean()
        self._losses = []
        if not train_loss.isfinite():
            raise FloatingPointError(
                f"The training loss is {train_loss:.3g} in epoch {self.current_epoch}: try a lower `lr`, found {self.lr}."
            )
        h_nd, projections = last.h_vnd[0].detach(), last.projections
        with torch.no_grad():
            values = {
                "alignment": alignment(projections.z1_nd, projections.z2_nd),
                "uniformity": uniformity(projections.z1_nd),
                "effective_rank": effective_rank(h_nd),
            }
        self.log("train_loss", train_loss, prog_bar=True)
        self.log_dict(values)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Log the loss of validation cells, weighted by how many they are."""
        loss = self.module(batch["views"]).projections.loss
        self.log("validation_loss", loss, prog_bar=True, on_epoch=True, batch_size=len(batch["cells"]))


def check_optimisation(*, lr: float, weight_decay: float, schedule: str, warmup: float) -> None:
    """Raise a ValueError that names the argument if one is out of range, see :class:`ContrastiveTrainingPlan`."""
    as_real(lr, "lr", "(0, ∞)")
    as_real(weight_decay, "weight_decay", "[0, ∞)")
    check_choice(schedule, "schedule", get_args(Schedule))
    as_real(warmup, "warmup", "[0, 1)")


def learning_rate_factor(step: int, *, n_steps: int, warmup: float, schedule: Schedule) -> float:
    """Return the learning rate at a step as a fraction of the largest, in ``[0, 1]``.

    Parameters
    ----------
    step
        From 0 to ``n_steps``.
    n_steps
        Number of steps of the whole training.
    warmup
        Fraction of them that warm up, linearly.
    schedule
        What follows: ``"cosine"`` to 0, or ``"constant"``.
    """
    n_warmup = warmup * n_steps
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    if schedule == "constant":
        return 1.0
    progress = (step - n_warmup) / max(n_steps - n_warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

"""How does it learn? Training plan, schedules and what is watched on the way."""

from sccl.train.diagnostics import alignment, effective_rank, uniformity
from sccl.train.plan import ContrastiveTrainingPlan

__all__ = ["ContrastiveTrainingPlan", "alignment", "effective_rank", "uniformity"]

"""How does it learn? Training plan, schedules and what is watched on the way."""

from sccl.train.diagnostics import alignment, effective_rank, uniformity
from sccl.train.judgement import TrainingWarning
from sccl.train.plan import ContrastiveTrainingPlan
from sccl.train.quiet import quiet
from sccl.train.refresh import RefreshNeighbors
from sccl.train.runner import ContinuedRunner

__all__ = [
    "ContinuedRunner",
    "ContrastiveTrainingPlan",
    "RefreshNeighbors",
    "TrainingWarning",
    "alignment",
    "effective_rank",
    "quiet",
    "uniformity",
]

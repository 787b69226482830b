"""What does it look like? Pictures of embeddings, trainings, views, scores and labels, on matplotlib's axes."""

from sccl.pl.confusion import confusion
from sccl.pl.embeddings import embeddings
from sccl.pl.palette import palette
from sccl.pl.query import query
from sccl.pl.scores import scores
from sccl.pl.training import training
from sccl.pl.view import view

__all__ = ["confusion", "embeddings", "palette", "query", "scores", "training", "view"]

"""What does the user call? One workflow; each architecture is a line under it, each recipe a few."""

from typing import TYPE_CHECKING

from sccl.catalogue import models
from sccl.model.architectures import *
from sccl.model.clmodel import CLModel
from sccl.model.published import PublishedModel
from sccl.model.recipes import CLAIRE, CLEAR, CLModelFast

# PublishedModel is what models of other packages start from; by itself it is none.
if not TYPE_CHECKING:  # type checkers would take a list that they cannot read for an empty one
    __all__ = list(models())

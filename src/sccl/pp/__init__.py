"""What goes in? Counts are checked, kept, normalised and cut to the informative genes."""

from sccl.inputs.expression import check_expression
from sccl.inputs.store import CellStore
from sccl.pp.preprocess import preprocess
from sccl.pp.proteins import isotype_controls, normalize_protein
from sccl.pp.to_disk import preprocess_to

__all__ = ["CellStore", "check_expression", "isotype_controls", "normalize_protein", "preprocess", "preprocess_to"]

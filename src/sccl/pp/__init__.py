"""What goes in? Counts are checked, kept, normalised and cut to the informative genes."""

from sccl.inputs.expression import check_expression
from sccl.pp.preprocess import preprocess
from sccl.pp.proteins import isotype_controls, normalize_protein

__all__ = ["check_expression", "isotype_controls", "normalize_protein", "preprocess"]

"""What may come in? The checks that every door of the package shares."""

from sccl.inputs.anndata import check_anndata
from sccl.inputs.arguments import as_count, as_real, check_choice, check_counts, check_switch
from sccl.inputs.columns import as_text, find_batches, find_column, find_complete

__all__ = [
    "as_count",
    "as_real",
    "as_text",
    "check_anndata",
    "check_choice",
    "check_counts",
    "check_switch",
    "find_batches",
    "find_column",
    "find_complete",
]

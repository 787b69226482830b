"""What may come in? The checks that every door of the package shares."""

from sccl.inputs.anndata import check_anndata

__all__ = ["check_anndata"]

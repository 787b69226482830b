"""From raw counts to what the models read."""

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sccl.inputs.anndata import check_anndata, check_shape_and_names, record_of
from sccl.inputs.arguments import check_switch
from sccl.inputs.columns import find_batches
from sccl.inputs.expression import IN_FILES, matrix_of, raw_hint
from sccl.pp.counts import as_counts, check_counts, same_counts
from sccl.pp.normalize import log_normalize, with_structure_of
from sccl.pp.variable import highly_variable


def preprocess(
    adata: AnnData,
    *,
    batch_key: str | list[str] | None = None,
    n_top_genes: int | None = 4000,
    target_sum: float = 1e4,
    layer: str | None = None,
    keep_raw: bool = True,
) -> None:
    """Turn raw counts into normalised log expression of the highly variable genes, in place.

    Afterwards ``adata`` holds the chosen genes, with their counts in ``layers["counts"]`` and
    ``log1p(counts / total * target_sum)`` in ``X``, where the total of a cell is taken over all its genes. The logarithms of
    all genes are in ``adata.raw``, where scanpy's plots and tests for markers look for genes by default. All is checked
    before anything is changed: after an error ``adata`` is as it was.

    Parameters
    ----------
    adata
        Cells × genes with raw counts, in memory and not a view; dense, CSR or CSC, of any integer, float or boolean
        dtype. Names of cells and of genes must be unique.
    batch_key
        Column of ``adata.obs`` with the experimental batch of each cell. Genes are then chosen within each batch and
        merged by votes, so that genes which merely differ between batches are not preferred. Batches with fewer than 10
        cells have no vote (unless all are that small; then all cells are ranked together). Values are compared as text. Of
        several columns, the outer batches first, a batch is what has one value in all of them.
    n_top_genes
        Genes to keep, at least 1. None keeps all, and so does a number not below the number of genes. Where genes
        cannot be ranked (a single cell, or genes that do not vary), the most expressed ones are kept.
    target_sum
        The total every cell is scaled to before the logarithm, > 0.
    layer
        Layer that holds the raw counts; None takes ``adata.X``.
    keep_raw
        Keep the logarithms of all genes in ``adata.raw``. False: genes that are not chosen are gone, which saves memory where
        there are very many cells. Nothing is kept twice: where all genes are chosen, or ``adata.raw`` is there already, it
        stays as it is.

    Returns
    -------
    None. Sets these fields:

    ``adata.X``
        Float32 log expression: CSR if the counts were sparse, dense if they were dense. Cells without counts stay zero.
    ``adata.layers["counts"]``
        The counts, same format as ``X``, same values and dtype as given (booleans become float32). Sparse, the two share the
        arrays that say where their values are, which are therefore read-only: to take entries out of one of them in place
        (``eliminate_zeros``), make it a copy first, ``adata.X = adata.X.copy()``.
    ``adata.raw``
        Float32 log expression of all genes, see `keep_raw`.
    ``adata.var["highly_variable"]``
        True: the genes are chosen. In ``adata.raw.var`` it says which of all genes are.
    ``adata.uns["sccl"]["preprocess"]``
        The parameters above that decide the values.
    ``adata.uns["log1p"]``
        As scanpy sets it, so that its functions know ``X`` is a natural logarithm.

    Raises
    ------
    ValueError
        If ``adata`` is a view, backed, empty or already preprocessed; if names of cells or genes repeat; if the values
        are not counts (NaN, infinite, negative or non-integer; the message names the first cell and gene), or masked, or of a
        damaged sparse matrix; if a batch label is missing; if ``layers["counts"]`` exists with other values; if a parameter is out of range.
    KeyError
        If `batch_key` or `layer` does not exist.
    TypeError
        If ``adata`` is not an AnnData.

    Warns
    -----
    UserWarning
        If cells have no counts at all.

    References
    ----------
    Wolf et al., SCANPY: large-scale single-cell gene expression data analysis, Genome Biology 2018 (normalisation);
    Satija et al., Spatial reconstruction of single-cell gene expression data, Nature Biotechnology 2015 (genes).

    Examples
    --------
    >>> import sccl
    >>> adata = sccl.datasets.simulate()
    >>> sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=500)
    >>> adata.shape, adata.raw.shape
    ((2000, 500), (2000, 1000))
    """
    _check_adata(adata)
    check_parameters(n_top_genes=n_top_genes, target_sum=target_sum)
    check_switch(keep_raw, "keep_raw")
    batches = _batch_codes(adata, batch_key)
    source = _raw_counts(adata, layer)

    logged, totals = log_normalize(as_counts(source), target_sum=target_sum)
    keep = None
    if n_top_genes is not None and n_top_genes < adata.n_vars:
        keep = highly_variable(logged, n_top_genes=n_top_genes, batches=batches)
    if n_empty := int((totals == 0).sum()):
        warnings.warn(
            f"{n_empty} of {adata.n_obs} cells have no counts and stay zero; "
            "scanpy.pp.filter_cells(adata, min_counts=1) before preprocess removes them.",
            UserWarning,
            stacklevel=2,
        )

    # Nothing was changed up to here, and nothing below can refuse.
    del source
    adata.var["highly_variable"] = True if keep is None else keep
    if keep is not None:
        if keep_raw and adata.raw is None:
            adata.raw = AnnData(logged, var=adata.var.copy())
        logged = logged[:, keep]
        adata._inplace_subset_var(keep)  # what scanpy uses for subset=True; AnnData has no public way
    counts = as_counts(adata.X if layer is None else adata.layers[layer])
    counts = counts if layer in (None, "counts") else counts.copy()
    if sparse.issparse(counts):
        logged = with_structure_of(counts, logged.data)
        for x in (counts, logged):  # SciPy then refuses to move the entries of one of them in place
            x.indices.flags.writeable = x.indptr.flags.writeable = False
    adata.layers["counts"] = counts
    adata.X = logged
    adata.uns["log1p"] = {"base": None}
    record = {"batch_key": batch_key, "n_top_genes": n_top_genes, "target_sum": float(target_sum), "layer": layer}
    adata.uns["sccl"] = {**adata.uns.get("sccl", {}), "preprocess": record}


def _check_adata(adata: AnnData) -> None:
    check_anndata(adata)
    if adata.isbacked:
        raise ValueError(
            "adata is backed by a file, which would be changed; pass adata.to_memory(), or write what does not fit in memory to "
            "a store: `sccl.pp.preprocess_to(store, [file])`."
        )
    if adata.is_view:
        raise ValueError("adata is a view of another AnnData; make it its own first: adata = adata.copy().")
    if done := record_of(adata):
        parameters = ", ".join(f"{key}={value!r}" for key, value in done.items())
        raise ValueError(
            f"adata was already preprocessed ({parameters}); its counts are in layers['counts']. To do it again with "
            "the genes it has: adata.X = adata.layers['counts'].copy(); del adata.uns['sccl']['preprocess']."
        )
    check_shape_and_names(adata)


def check_parameters(*, n_top_genes: int | None, target_sum: float) -> None:
    """Raise a ValueError that names the parameter if one is out of range."""
    if n_top_genes is not None and (
        isinstance(n_top_genes, bool) or not isinstance(n_top_genes, Integral) or n_top_genes < 1
    ):
        raise ValueError(f"n_top_genes must be an integer of at least 1, or None to keep all; got {n_top_genes!r}.")
    if isinstance(target_sum, bool) or not isinstance(target_sum, Real) or not 0 < target_sum < np.inf:
        raise ValueError(f"target_sum must be a finite number above 0, got {target_sum!r}; 1e4 is usual.")


def _batch_codes(adata: AnnData, batch_key: str | list[str] | None) -> np.ndarray | None:
    """Batch of each cell as an integer from 0; None without batches."""
    if batch_key is None:
        return None
    return pd.factorize(find_batches(adata.obs, batch_key))[0]


def _raw_counts(adata: AnnData, layer: str | None) -> Any:
    """Find the matrix that holds the counts, and make sure that it does."""
    x, name = matrix_of(adata, layer)
    others = [str(other) for other in adata.layers.keys() if other not in (layer, None)]
    advice = f"if a layer holds them, pass layer=... (there are {others})." if others else "no other layer is there."
    advice += raw_hint(adata)
    if isinstance(x, IN_FILES):
        raise ValueError(
            f"{name} is a {type(x).__name__}, which lies in a file; pass adata.to_memory(), or see preprocess_to."
        )
    check_counts(x, name=name, obs_names=adata.obs_names, var_names=adata.var_names, advice=advice)
    if layer != "counts" and "counts" in adata.layers and not same_counts(x, adata.layers["counts"]):
        raise ValueError(
            f"adata.layers['counts'] exists and differs from {name}, and would be overwritten; "
            "pass layer='counts' to use it, or delete it."
        )
    return x

"""Counts with known cell types and known batch effects."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np

from sccl.datasets.proteins import draw_proteins

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

CHUNK_CELLS = 512
"""Cells drawn at a time, each chunk from its own generator. Part of what a seed means: changing it changes the data."""

GENE_SPREAD = 1.5
"""Standard deviation of log mean expression between genes: few genes hold most counts, as in real data."""


def simulate(
    n_cells: int = 2000,
    n_genes: int = 1000,
    n_batches: int = 3,
    n_types: int = 6,
    *,
    type_strength: float = 1.1,
    marker_fraction: float = 0.2,
    batch_strength: float = 0.5,
    interaction_strength: float = 0.3,
    composition: float = 3.0,
    mean_count: float = 0.2,
    library_spread: float = 0.4,
    dispersion: float = 0.5,
    trajectory: bool = False,
    n_proteins: int = 0,
    seed: int = 0,
) -> AnnData:
    r"""Simulate single-cell counts of several cell types measured in several batches.

    Each cell type expresses its own random markers more or less than the average cell. Each batch multiplies every
    gene by its own factor. With :math:`b` the batch, :math:`t` the type and :math:`l` the library size of cell
    :math:`n`, the count of gene :math:`g` is negative binomial,

    .. math::

        x_{ng} \sim \mathrm{NB}(\mu_{ng}), \quad \mathrm{Var}[x_{ng}] = \mu_{ng} + \phi\,\mu_{ng}^2, \quad
        \mu_{ng} = l_n \, \mathrm{softmax}_g(\mathrm{base}_g + \mathrm{type}_{tg} + \mathrm{batch}_{bg}
        + \mathrm{interaction}_{btg})

    with normal terms in the softmax. Batches have equally many cells (± 1), in random order. With the defaults about
    89 % of the counts are zero, and among a cell's 15 nearest neighbours on 30 principal components of the preprocessed
    data about .9 are of its type and .9 of its batch (.33 if batches were mixed): a visible batch effect.

    Parameters
    ----------
    n_cells
        Number of cells, at least `n_batches` and at least `n_types`, so that every batch and every type occurs.
    n_genes
        Number of genes, at least 1.
    n_batches
        Number of batches, at least 1.
    n_types
        Number of cell types, at least 1.
    type_strength
        Standard deviation of a marker's log fold change, ≥ 0; 0 makes all types alike.
    marker_fraction
        Share of the genes that are markers of a given type, between 0 and 1.
    batch_strength
        Standard deviation of a gene's log fold change between a batch and the average, ≥ 0; 0 leaves no batch effect
        apart from the composition and, unless that is 0 too, the interaction.
    interaction_strength
        Standard deviation of a further log fold change that each type has in each batch, as a share of
        `batch_strength`, ≥ 0; 0 lets a batch act on all types alike.
    composition
        Concentration of the Dirichlet distribution from which the type proportions of each batch are drawn, > 0. Small
        values let the batches differ in composition, large ones make all proportions equal.
    mean_count
        Mean count per cell and gene, > 0; a cell holds ``n_genes * mean_count`` counts on average.
    library_spread
        Standard deviation of the log library size, ≥ 0.
    dispersion
        Overdispersion :math:`\phi` of the counts, ≥ 0; 0 gives Poisson counts.
    trajectory
        Let cells lie on a path through the types, in their order, rather than on the types themselves: the log mean
        expression of a cell is interpolated between those of two types, and its type is the nearer one.
    n_proteins
        Number of surface proteins, ≥ 0, whose counts are in ``obsm["protein"]``. A type bears a quarter of them, over a
        background; batches act on them with `batch_strength`, too.
    seed
        Seed, ≥ 0. The same arguments always give the same data.

    Returns
    -------
    AnnData with raw counts in ``X`` (CSR, float32, ``(n_cells, n_genes)``) and the categorical columns
    ``obs["batch"]`` (``"batch_1"``, ...) and ``obs["cell_type"]`` (``"type_1"``, ...); with `trajectory` also
    ``obs["pseudotime"]``, between 0 at the first type and 1 at the last.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    Cells are drawn 512 at a time; apart from the result nothing grows with the number of cells, but for a second copy
    of it while the parts are joined.

    References
    ----------
    After Zappia, Phipson and Oshlack, Splatter: simulation of single-cell RNA sequencing data, Genome Biology 2017.

    Examples
    --------
    >>> import sccl
    >>> adata = sccl.datasets.simulate(n_cells=500, batch_strength=0.8, seed=1)
    >>> sccl.pp.preprocess(adata, batch_key="batch")
    """
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    for name, count in (("n_genes", n_genes), ("n_batches", n_batches), ("n_types", n_types)):
        _check_integer(name, count, least=1)
    _check_integer("n_cells", n_cells, least=max(n_batches, n_types), why=" (every batch and every type needs a cell)")
    _check_integer("seed", seed, least=0)
    _check_integer("n_proteins", n_proteins, least=0)
    for name, value in (
        ("type_strength", type_strength),
        ("batch_strength", batch_strength),
        ("interaction_strength", interaction_strength),
        ("library_spread", library_spread),
        ("dispersion", dispersion),
    ):
        _check_number(name, value)
    _check_number("marker_fraction", marker_fraction, most=1)
    _check_number("composition", composition, above_zero=True)
    _check_number("mean_count", mean_count, above_zero=True)

    # One seed for what all cells share and one for each chunk of cells, so that memory is bounded by the chunk.
    shared, *chunks = np.random.SeedSequence(seed).spawn(1 + -(-n_cells // CHUNK_CELLS))
    rng = np.random.default_rng(shared)
    markers_tg = rng.random((n_types, n_genes)) < marker_fraction
    log_rate_btg = (
        rng.normal(0, GENE_SPREAD, n_genes)
        + rng.normal(0, type_strength, (n_types, n_genes)) * markers_tg
        + rng.normal(0, batch_strength, (n_batches, 1, n_genes))
        + rng.normal(0, interaction_strength * batch_strength, (n_batches, n_types, n_genes))
    )

    batch_n = rng.permutation(np.arange(n_cells) % n_batches)
    type_n = _draw_types(batch_n, n_types=n_types, composition=composition, rng=rng)
    position_n = type_n.astype(float)
    # exp(-sigma^2 / 2) makes the mean of the log-normal 1.
    library_n = n_genes * mean_count * np.exp(rng.normal(-(library_spread**2) / 2, library_spread, n_cells))
    if trajectory:
        position_n = np.clip(position_n + rng.uniform(-0.5, 0.5, n_cells), 0, n_types - 1)

    parts = []
    for start, chunk in zip(range(0, n_cells, CHUNK_CELLS), chunks, strict=True):
        cells = slice(start, start + CHUNK_CELLS)
        mu_ng = library_n[cells, None] * _shares(log_rate_btg, batch_n[cells], position_n[cells])
        parts.append(_draw_counts(mu_ng, dispersion=dispersion, rng=np.random.default_rng(chunk)))
    obs = pd.DataFrame(
        {"batch": _labels("batch", batch_n, n_batches), "cell_type": _labels("type", type_n, n_types)},
        index=_names("cell", n_cells),
    )
    if trajectory:
        obs["pseudotime"] = position_n / max(n_types - 1, 1)
    adata = AnnData(sparse.vstack(parts, format="csr"), obs=obs)
    adata.var_names = _names("gene", n_genes)
    if n_proteins:
        drawn = draw_proteins(batch_n, type_n, n_proteins=n_proteins, batch_strength=batch_strength, seed=seed)
        adata.obsm["protein"] = pd.DataFrame(drawn, index=obs.index, columns=_names("protein", n_proteins))
    return adata


def _draw_types(batch_n: np.ndarray, *, n_types: int, composition: float, rng: np.random.Generator) -> np.ndarray:
    """Type of each cell: proportions differ between batches, and no type is without a cell."""
    type_n = np.empty(batch_n.size, dtype=np.intp)
    for batch in np.unique(batch_n):
        cells = np.flatnonzero(batch_n == batch)
        type_n[cells] = rng.choice(n_types, size=cells.size, p=rng.dirichlet(np.full(n_types, composition)))
    one_of_each = rng.choice(batch_n.size, size=n_types, replace=False)
    type_n[one_of_each] = np.arange(n_types)
    return type_n


def _shares(log_rate_btg: np.ndarray, batch_n: np.ndarray, position_n: np.ndarray) -> np.ndarray:
    """Share of each gene in the counts of cells that lie at positions between types."""
    before_n = np.floor(position_n).astype(np.intp)
    after_n = np.minimum(before_n + 1, log_rate_btg.shape[1] - 1)
    weight_n1 = (position_n - before_n)[:, None]
    log_rate_ng = (1 - weight_n1) * log_rate_btg[batch_n, before_n] + weight_n1 * log_rate_btg[batch_n, after_n]
    share_ng = np.exp(log_rate_ng - log_rate_ng.max(axis=1, keepdims=True))
    return share_ng / share_ng.sum(axis=1, keepdims=True)


def _draw_counts(mu_ng: np.ndarray, *, dispersion: float, rng: np.random.Generator) -> sparse.csr_matrix:
    """Negative binomial counts as the gamma-Poisson mixture they are."""
    from scipy import sparse

    if dispersion > 0:
        mu_ng = mu_ng * (dispersion * rng.standard_gamma(1 / dispersion, mu_ng.shape, dtype=np.float32))
    return sparse.csr_matrix(rng.poisson(mu_ng).astype(np.float32))


def _labels(prefix: str, codes: np.ndarray, n: int) -> pd.Categorical:
    import pandas as pd

    return pd.Categorical.from_codes(codes, categories=[f"{prefix}_{i}" for i in range(1, n + 1)])


def _names(prefix: str, n: int) -> list[str]:
    """Numbered names of one width, four digits or more, so that they sort as they count."""
    width = max(4, len(str(n)))
    return [f"{prefix}_{i:0{width}d}" for i in range(1, n + 1)]


def _check_integer(name: str, value: int, *, least: int, why: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}{why}, got {value!r}.")


def _check_number(name: str, value: float, *, above_zero: bool = False, most: float = np.inf) -> None:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and (0 < value if above_zero else 0 <= value) and value <= most and value < np.inf):
        upper = f" and at most {most}" if most < np.inf else ""
        raise ValueError(
            f"{name} must be a finite number {'above' if above_zero else 'of at least'} 0{upper}, got {value!r}."
        )

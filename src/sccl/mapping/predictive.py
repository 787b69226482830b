"""A space in which cells are near if expression says that their proteins are alike: reduced-rank ridge regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sccl.mapping.space import principal_axes

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: More cells than this determine the regression no better.
MAX_CELLS = 20_000


def predictive_space(
    z_ref: np.ndarray,
    z_query: np.ndarray,
    x_ref: csr_matrix,
    x_query: csr_matrix,
    proteins: np.ndarray,
    *,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the linear prediction of proteins from the embedding and the principal components of expression.

    As a prediction it is a poor one, for it is linear; as a space to look for neighbours in it weighs each direction by what it
    says of proteins. The penalty is that with the least error on cells left out.

    Parameters
    ----------
    z_ref, z_query
        Embeddings, cells × dimensions.
    x_ref, x_query
        Log-expression, cells × the genes that both have.
    proteins
        Of the reference, cells × proteins.
    seed
        Which of more than 20 000 cells determine it, and of the solver's start.

    Returns
    -------
    float32 arrays, cells × proteins, of the reference and of the query.

    References
    ----------
    Hoerl & Kennard, *Ridge regression: biased estimation for nonorthogonal problems*, Technometrics 1970.
    """
    from sklearn.linear_model import RidgeCV

    rng = np.random.default_rng(seed)
    sample = (
        np.arange(len(z_ref)) if len(z_ref) <= MAX_CELLS else np.sort(rng.choice(len(z_ref), MAX_CELLS, replace=False))
    )
    spaces = [(z_ref, z_query)]
    axes_dg, mean_g = principal_axes(x_ref[sample], seed)
    if len(axes_dg):
        p_ref, p_query = (np.asarray(x @ axes_dg.T) - axes_dg @ mean_g for x in (x_ref, x_query))
        spaces.append((p_ref, p_query))
    # each of the two of the same size, and 1 the usual spread of an axis, which the penalties are relative to
    scaled = [[part / (ref[sample].std(axis=0).mean() or 1.0) for part in (ref, query)] for ref, query in spaces]
    f_ref, f_query = (np.hstack(parts) for parts in zip(*scaled, strict=True))
    center_d, center_p = f_ref[sample].mean(axis=0), proteins[sample].mean(axis=0)
    if len(sample) < 3 or not (f_ref[sample] != center_d).any():
        return f_ref.astype(np.float32), f_query.astype(np.float32)
    ridge = RidgeCV(np.logspace(0, 4, 13), fit_intercept=False).fit(
        f_ref[sample] - center_d, proteins[sample] - center_p
    )
    return tuple(np.asarray(ridge.predict(f - center_d), dtype=np.float32) for f in (f_ref, f_query))  # type: ignore[return-value]

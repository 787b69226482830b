"""Batches and labels, compared as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scvi.data.fields import CategoricalObsField

from sccl.inputs import as_text, find_batches

if TYPE_CHECKING:
    from anndata import AnnData

# More cells than this do not each stand for a batch.
FEW_CELLS = 10


class TextObsField(CategoricalObsField):
    """A column of ``obs`` whose categories are text, see :func:`sccl.inputs.as_text`.

    Codes follow the order of the text, new categories of further data come last. A missing value has the code -1, which is
    no category.

    Parameters
    ----------
    registry_key
        What scvi-tools calls it.
    attr_key
        The column; or several, as :func:`sccl.inputs.find_batches` joins them; all cells are of one category, ``"0"``, if
        None.
    """

    def register_field(self, adata: AnnData) -> dict[str, Any]:
        """Write the codes to ``obs`` and return the categories."""
        return self._encode(adata, known=[])

    def transfer_field(self, state_registry: dict[str, Any], adata_target: AnnData, **kwargs: Any) -> dict[str, Any]:
        """Write the codes of further data, by the categories of those before and new ones."""
        return self._encode(adata_target, known=as_text(state_registry[self.CATEGORICAL_MAPPING_KEY]))

    def get_summary_stats(self, state_registry: dict[str, Any]) -> dict[str, int]:
        """Count the categories."""
        return {self.count_stat_key: len(state_registry[self.CATEGORICAL_MAPPING_KEY])}

    def _encode(self, adata: AnnData, *, known: Any) -> dict[str, Any]:
        key = self.attr_key if self.is_default else self._original_attr_key
        if self.is_default:
            names = np.full(adata.n_obs, "0", dtype=object)
        else:
            names = find_batches(adata.obs, key) if isinstance(key, list | tuple) else as_text(adata.obs[key])
        new = sorted({name for name in pd.unique(names) if name is not None} - set(known))
        categories = np.array([*known, *new], dtype=object)
        adata.obs[self.attr_key] = pd.Index(categories, dtype=object).get_indexer(names).astype(np.int32)
        return {self.CATEGORICAL_MAPPING_KEY: categories, self.ORIGINAL_ATTR_KEY: key}


def check_batches(adata: AnnData, batch_key: str | list[str], *, is_new: bool) -> None:
    """Refuse a column that cannot be the batches.

    Parameters
    ----------
    adata
        Cells.
    batch_key
        Column of ``obs``, or several.
    is_new
        Whether a model is to be trained on these batches, and is not yet.

    Raises
    ------
    TypeError, KeyError, ValueError
        If there is no such column, if it names no batch for some cells, or the cells instead of the batches.
    """
    names = find_batches(adata.obs, batch_key)
    n_batches = pd.unique(names).size
    if is_new and adata.n_obs > FEW_CELLS and n_batches > adata.n_obs / 2:
        raise ValueError(
            f"`batch_key`: adata.obs[{batch_key!r}] holds {n_batches} different values for {adata.n_obs} cells, for "
            f"example {names[0]!r}: it seems to name cells. Name the column of the experimental batches, such as the "
            "sample or the run."
        )

"""What a method of the benchmark must satisfy."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from sccl import datasets
from sccl.benchmark.data import Data, prepare
from sccl.benchmark.methods.embedding import Method


class MethodTests:
    """Contract of a :class:`sccl.benchmark.methods.embedding.Method`.

    Attributes
    ----------
    method
        The function, as a static method.
    parameters
        What it is called with, beside the data and the seed.
    """

    method: ClassVar[Method]
    parameters: ClassVar[dict[str, Any]] = {}

    def data(self, holdout: str | None = None) -> Data:
        """Return simulated cells of three batches, one of them held out if it is named."""
        config = {
            "_target_": f"{datasets.__name__}.simulate",
            "n_cells": 180,
            "n_genes": 120,
            "n_batches": 3,
            "seed": 0,
            "batch_key": "batch",
            "labels_key": "cell_type",
            "layer": None,
            "n_top_genes": 100,
            "subsample": None,
            "ignore_labels": [],
        }
        return prepare(config, holdout=holdout)

    def test_there_is_a_finite_row_for_every_cell_and_the_data_stay_as_they_are(self) -> None:
        """In the order of the cells."""
        data = self.data()
        before = data.adata.copy()
        z_nd = np.asarray(type(self).method(data, seed=0, **self.parameters).z_nd)
        assert z_nd.ndim == 2
        assert len(z_nd) == data.adata.n_obs
        assert np.isfinite(z_nd).all()
        x, known = (np.asarray(cells.X.sum(axis=1)) for cells in (data.adata, before))  # type: ignore[union-attr]
        assert np.array_equal(x, known)
        assert list(data.adata.obs) == list(before.obs)

    def test_a_seed_gives_one_embedding(self) -> None:
        """The same numbers twice."""
        first, second = (np.asarray(type(self).method(self.data(), seed=1, **self.parameters).z_nd) for _ in range(2))
        np.testing.assert_allclose(first, second, atol=1e-5)

    def test_cells_of_a_batch_that_was_held_out_are_embedded_or_not_at_all(self) -> None:
        """In the same space, without having been learned from."""
        data = self.data(holdout="batch_3")
        embedding = type(self).method(data, seed=0, **self.parameters)
        if embedding.query_nd is not None:
            assert embedding.query_nd.shape == (data.query.n_obs, embedding.z_nd.shape[1])  # type: ignore[union-attr]
            assert np.isfinite(embedding.query_nd).all()
        if embedding.query_labels is not None:
            assert set(embedding.query_labels) <= set(data.labels.dropna())

"""What an augmentation must satisfy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.sparse import csr_matrix

from sccl.augment import Augmentation, Compose, Mask
from sccl.graph import CellSpace


class AugmentationTests:
    """Contract of an :class:`sccl.augment.Augmentation`.

    Attributes
    ----------
    augmentation
        One that changes cells with a chance strictly between 0 and 1.
    """

    augmentation: ClassVar[Augmentation]
    n_cells: ClassVar[int] = 300
    n_genes: ClassVar[int] = 80

    def cells(self) -> np.ndarray:
        """Return log-expression, cells × genes, half of it zeros."""
        rng = np.random.default_rng(0)
        values = rng.uniform(0.5, 3.0, (self.n_cells, self.n_genes)) * (rng.random((self.n_cells, self.n_genes)) < 0.5)
        return values.astype(np.float32)

    def composed(self, **changes: Any) -> Compose:
        """Return the augmentation, with fields changed, ready to be drawn from."""
        rng = np.random.default_rng(1)
        space = CellSpace(rng.normal(size=(self.n_cells, 8)), np.arange(self.n_cells) % 2)
        return Compose([replace(self.augmentation, **changes)]).bind(space)  # type: ignore[type-var]

    def view(
        self, pipeline: Compose, *, cells: Any = None, seed: int = 0, epoch: int = 0, view: int = 1, fused: bool = True
    ) -> np.ndarray:
        """Make a view of some cells, on the CPU's fused path or on dense tensors."""
        x = self.cells()
        cells = np.arange(self.n_cells) if cells is None else np.asarray(cells)
        steps = pipeline.draw(cells, pool=np.arange(self.n_cells), seed=seed, epoch=epoch, view=view)
        if fused:
            return pipeline.fill(torch.empty(cells.size, self.n_genes), csr_matrix(x), cells, steps).numpy().copy()
        dense = torch.from_numpy(x)
        return pipeline.apply(dense[cells], [dense[step.partners] for step in steps], steps).numpy()

    def test_a_view_has_the_shape_of_the_cells_and_is_finite(self) -> None:
        """On both paths."""
        for fused in (True, False):
            view = self.view(self.composed(), fused=fused)
            assert view.shape == (self.n_cells, self.n_genes)
            assert view.dtype == np.float32
            assert np.isfinite(view).all()

    def test_without_a_chance_nothing_changes(self) -> None:
        """P = 0 is the identity."""
        for fused in (True, False):
            assert np.array_equal(self.view(self.composed(p=0.0), fused=fused), self.cells())

    def test_about_so_many_cells_change_as_the_chance_says(self) -> None:
        """No cell changes that was not drawn; the share of those that may is p."""
        pipeline = self.composed()
        cells = np.arange(self.n_cells)
        (step,) = pipeline.draw(cells, pool=cells, seed=0, epoch=0, view=1)
        changed = (self.view(pipeline) != self.cells()).any(axis=1)
        assert not (changed & ~step.applied).any()
        assert changed.any()
        p, n = self.augmentation.p, self.n_cells
        assert step.applied.mean() < p + 5 * np.sqrt(p * (1 - p) / n) + 1e-9

    def test_a_key_gives_one_view_whoever_else_is_in_the_minibatch(self) -> None:
        """The same seed, epoch and view replay a cell's view; another epoch gives another."""
        pipeline = self.composed()
        whole = self.view(pipeline)
        assert np.array_equal(self.view(pipeline), whole)
        some = np.array([7, 3, 200, 11])
        if pipeline.is_fused:
            assert np.array_equal(self.view(pipeline, cells=some), whole[some])
        assert not np.array_equal(self.view(pipeline, epoch=1), whole)

    def test_both_paths_draw_from_one_distribution(self) -> None:
        """Mean and spread of what is changed, over many draws, on sparse rows and on dense tensors."""
        moments = []
        for fused in (True, False):
            views = np.stack([self.view(self.composed(), seed=seed, fused=fused) for seed in range(40)]).astype(float)
            difference = views - self.cells()
            moments.append((difference.mean(), difference.std(), (difference != 0).mean()))
        np.testing.assert_allclose(moments[0], moments[1], rtol=0.05, atol=0.01)

    def test_what_follows_it_misses_no_gene(self) -> None:
        """If its row function says that zeros stay zero, they do: a mask of all genes then leaves nothing."""
        pipeline = self.composed()
        steps = Compose([*pipeline.augmentations, Mask(1.0, p=1.0)])
        assert not self.view(steps).any()

    def test_the_cells_are_left_as_they_are(self) -> None:
        """Neither the rows nor a tensor are written to."""
        x = csr_matrix(self.cells())
        before = x.copy()
        cells = np.arange(self.n_cells)
        pipeline = self.composed()
        steps = pipeline.draw(cells, pool=cells, seed=0, epoch=0, view=1)
        pipeline.fill(torch.empty(self.n_cells, self.n_genes), x, cells, steps)
        assert (x != before).nnz == 0
        dense = torch.from_numpy(self.cells())
        pipeline(dense)
        assert np.array_equal(dense.numpy(), self.cells())

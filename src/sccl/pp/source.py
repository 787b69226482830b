"""The cells of many files as one, read in runs and normalised as they are read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from sccl.pp.counts import as_counts, check_counts
from sccl.pp.files import CellFile
from sccl.pp.normalize import log_normalize


class Source:
    """The cells of all files, one file after the other, as log-expression of the genes that all have."""

    def __init__(self, files: Sequence[CellFile], genes: pd.Index, target_sum: float, *, progress: bool) -> None:
        self.files, self.genes, self.target_sum, self.progress = files, genes, target_sum, progress
        self.starts = np.concatenate([[0], np.cumsum([len(file.obs) for file in files])])

    def read(self, runs: Sequence[tuple[int, int]], genes: pd.Index) -> Iterator[tuple[slice, sparse.csr_matrix, int]]:
        """Read runs of rows, file by file: which they are, log-expression of some genes, and how many cells have no counts."""
        for number, file in enumerate(self.files):
            first, last = self.starts[number], self.starts[number + 1]
            own = sorted((start, stop) for start, stop in runs if first <= start < last)
            if not own:
                continue
            var_names = file.var.index
            shared = var_names.isin(self.genes)
            place = var_names[shared].get_indexer(genes)
            in_order = np.array_equal(place, np.arange(len(self.genes)))
            with file.rows() as rows:
                for start, stop in own:
                    counts = self._counts(file, rows[start - first : stop - first], start - first)
                    counts = counts if shared.all() else counts[:, shared]
                    logged, totals = log_normalize(counts, target_sum=self.target_sum)
                    if not in_order:
                        logged = logged[:, place]
                        logged.sort_indices()
                    yield slice(start, stop), logged, int((totals == 0).sum())

    def _counts(self, file: CellFile, block: Any, first: int) -> sparse.csr_matrix:
        counts = as_counts(sparse.csr_matrix(block))
        check_counts(
            counts,
            name=f"{file.path}, {'X' if file.layer is None else f'layers[{file.layer!r}]'},",
            obs_names=file.obs.index[first : first + counts.shape[0]],
            var_names=file.var.index,
            advice="name the layer that holds them, layer=...",
        )
        return counts

    def runs(self, size: int) -> list[tuple[int, int]]:
        """Cut all files into runs of so many rows."""
        return [
            (int(start), int(min(start + size, last)))
            for first, last in zip(self.starts[:-1], self.starts[1:], strict=True)
            for start in range(first, last, size)
        ]

    def bar(self, what: str, done: int) -> Any:
        """Say how many cells are done."""
        from tqdm.auto import tqdm

        return tqdm(
            desc=what,
            file=sys.stdout,  # as the bars of scvi-tools
            total=int(self.starts[-1]),
            initial=done,
            unit=" cells",
            unit_scale=True,
            disable=not self.progress,
        )

"""Cells in a store on disk, more of them than fit in memory: what it holds, and reading some of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sccl.inputs.columns import find_batches

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: Of the form in which a store is written.
STORE_VERSION = 1
#: Where the root of a store says what it is.
ATTRIBUTE = "sccl"
#: Column of ``obs`` with a cell's row in the files, one after the other.
INPUT_ROW = "input_row"


class CellStore:
    """Preprocessed cells on disk, written by :func:`sccl.pp.preprocess_to`; in memory are some bytes per cell.

    The folder is a collection of annbatch: zarr groups ``dataset_0``, ``dataset_1``, ..., each an AnnData of a random part of the
    cells, in ``X`` their log-expression.

    Parameters
    ----------
    path
        Where it is.

    Attributes
    ----------
    path
        Where it is.
    shape
        Numbers of cells and of genes.
    record
        How it was preprocessed: ``batch_key``, ``n_top_genes``, ``target_sum`` and ``layer``.

    Raises
    ------
    ImportError
        If annbatch is not installed.
    ValueError
        If there is no such store, if it is not finished, or damaged; the message says what to do.

    Examples
    --------
    >>> _ = sccl.pp.preprocess_to("cells.zarr", ["cells.h5ad"], batch_key="batch", progress=False)
    >>> store = sccl.pp.CellStore("cells.zarr")
    >>> store.shape, store.batches
    ((180, 80), ['batch_1', 'batch_2', 'batch_3'])
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import_annbatch()
        self.path = Path(path)
        self._root, about = open_root(self.path)
        if not about["complete"]:
            raise ValueError(
                f"{self.path} is not finished: call `sccl.pp.preprocess_to` again with the same arguments, and it goes on."
            )
        self.record: dict[str, Any] = about["record"]
        try:
            self.groups = [self._root[f"dataset_{i}"] for i in range(len(about["sizes"]))]
            sizes = [tuple(map(int, group["X"].attrs["shape"])) for group in self.groups]
            for group, (n_cells, _) in zip(self.groups, sizes, strict=True):
                if (
                    group["X"]["indptr"].shape != (n_cells + 1,)
                    or group["X"]["data"].shape != group["X"]["indices"].shape
                ):
                    raise ValueError("arrays do not fit each other")
            if [n_cells for n_cells, _ in sizes] != about["sizes"]:
                raise ValueError("cells are missing")
        except (KeyError, ValueError, TypeError, OSError) as error:
            raise ValueError(
                f"{self.path} is damaged ({error}): delete it, and call `sccl.pp.preprocess_to` again."
            ) from error
        #: Where each dataset begins among all cells, and the last one ends.
        self.starts = np.concatenate([[0], np.cumsum(about["sizes"])]).astype(np.int64)
        self.shape = (int(self.starts[-1]), sizes[0][1])

    def __repr__(self) -> str:
        return f"CellStore({str(self.path)!r}): {self.n_obs} cells × {self.n_vars} genes, {len(self.batches)} batches"

    @property
    def n_obs(self) -> int:
        """Number of cells."""
        return self.shape[0]

    @property
    def n_vars(self) -> int:
        """Number of genes."""
        return self.shape[1]

    @cached_property
    def var_names(self) -> pd.Index:
        """Names of the genes."""
        return self._frame(self.groups[0], "var", []).index

    @property
    def obs(self) -> pd.DataFrame:
        """All that the files said of the cells, in the order of the store, read anew."""
        return pd.concat([self._frame(group, "obs") for group in self.groups])

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells, in the order of the store, read anew."""
        return pd.concat([self._frame(group, "obs", []) for group in self.groups]).index

    @property
    def batches(self) -> list[str]:
        """Names of the batches, by their codes."""
        return self._batches[0]

    @property
    def codes(self) -> np.ndarray:
        """Code of each cell's batch, shape ``(n_obs,)``."""
        return self._batches[1]

    @property
    def outer_batches(self) -> list[str]:
        """Names of the outer batches; of the batches, where there are none within."""
        return self._outer[0]

    @property
    def outer_codes(self) -> np.ndarray:
        """The same of the outer batches, where there are batches within batches."""
        return self._outer[1]

    @cached_property
    def _batches(self) -> tuple[list[str], np.ndarray]:
        return self._coded(self.record["batch_key"])

    @cached_property
    def _outer(self) -> tuple[list[str], np.ndarray]:
        key = self.record["batch_key"]
        return self._coded(key[0]) if isinstance(key, list) else self._batches

    def _coded(self, key: str | list[str] | None) -> tuple[list[str], np.ndarray]:
        if key is None:
            return ["0"], np.zeros(self.n_obs, dtype=np.uint8)
        columns = key if isinstance(key, list) else [key]
        parts = [pd.factorize(find_batches(self._frame(group, "obs", columns), key)) for group in self.groups]
        names = sorted(set().union(*(found for _, found in parts)))
        codes = [pd.Index(names).get_indexer(found)[part] for part, found in parts]
        return names, np.concatenate(codes).astype(np.min_scalar_type(len(names)))

    @staticmethod
    def _frame(group: Any, axis: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        from anndata.io import read_elem

        held = group[axis]
        if columns is None:
            return read_elem(held)
        return pd.DataFrame(
            {name: read_elem(held[name]) for name in columns}, index=read_elem(held[held.attrs["_index"]])
        )

    @property
    def registry(self) -> dict[str, Any]:
        """What ``setup_anndata`` would have registered: what a model is made of."""

        def column(name: str, key: str, original: Any, names: list[str]) -> dict[str, Any]:
            return {
                "data_registry": {"attr_name": "obs", "attr_key": f"_scvi_{key}"},
                "state_registry": {"categorical_mapping": np.array(names, dtype=object), "original_key": original},
                "summary_stats": {f"n_{name}": len(names)},
            }

        key = self.record["batch_key"]
        genes = {
            "data_registry": {"attr_name": "X", "attr_key": None},
            "state_registry": {
                "n_obs": self.n_obs,
                "n_vars": self.n_vars,
                "column_names": np.array(self.var_names, dtype=object),
            },
            "summary_stats": {"n_vars": self.n_vars, "n_cells": self.n_obs},
        }
        fields = {"X": genes, "batch": column("batch", "batch", key or "_scvi_batch", self.batches)}
        if isinstance(key, list):
            fields["outer_batch"] = column("outer_batch", "outer_batch", key[0], self._outer[0])
        fields["labels"] = column("labels", "labels", "_scvi_labels", ["0"])
        return {
            "scvi_version": version("scvi-tools"),
            "model_name": "CLModel",
            "setup_args": {"layer": None, "batch_key": key, "labels_key": None},
            "setup_method_name": "setup_anndata",
            "field_registries": fields,
        }

    def stream(self, requests: Sequence[np.ndarray]) -> Iterator[csr_matrix]:
        """Read rows, request by request.

        Parameters
        ----------
        requests
            Row numbers, int64; reading is fast where they come in runs.

        Yields
        ------
        For each request float32 expression, cells × genes, in its order.
        """
        from annbatch import Loader
        from anndata.io import sparse_dataset
        from scipy.sparse import csr_matrix

        from sccl.inputs.requested import Requested

        loader = Loader(batch_sampler=Requested(requests), preload_to_gpu=False, to=None)
        loader.add_datasets([sparse_dataset(group["X"]) for group in self.groups])
        for read in loader:
            yield csr_matrix(read["X"], dtype=np.float32)

    def blocks(self, rows: np.ndarray | None = None, *, size: int = 8192) -> Iterator[tuple[np.ndarray, csr_matrix]]:
        """Go through rows, or through all of them, in blocks: the row numbers of each, and their expression."""
        rows = np.arange(self.n_obs) if rows is None else rows
        parts = [rows[start : start + size] for start in range(0, rows.size, size)]
        yield from zip(parts, self.stream(parts), strict=True)


def open_root(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return the root of a store, finished or not, and what it says of itself.

    Raises
    ------
    ValueError
        If it is none: what to do.
    """
    import zarr

    try:
        root = zarr.open_group(path, mode="r", use_consolidated=False)
        about = dict(root.attrs[ATTRIBUTE])  # type: ignore[arg-type]
    except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no store of preprocessed cells: name one that `sccl.pp.preprocess_to(path, files, ...)` wrote."
        ) from error
    if about.get("version") != STORE_VERSION:
        raise ValueError(
            f"{path} is a store of another form ({about.get('version')!r}, this sccl reads {STORE_VERSION}): write it anew."
        )
    return root, about


def import_annbatch() -> Any:
    """Return annbatch, or say how it is installed."""
    try:
        import annbatch
    except ImportError as error:
        raise ImportError(
            "Cells on disk are written and read with annbatch, which is not installed: `pip install 'sccl[disk]'`."
        ) from error
    return annbatch

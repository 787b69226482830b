"""From files of raw counts to a store on disk, a few thousand cells at a time."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sccl.inputs.arguments import check_switch
from sccl.inputs.blocks import BLOCK_ELEMENTS
from sccl.inputs.columns import find_batches
from sccl.inputs.store import ATTRIBUTE, INPUT_ROW, STORE_VERSION, CellStore, import_annbatch, open_root
from sccl.pp.files import CellFile, join_obs
from sccl.pp.preprocess import check_parameters
from sccl.pp.source import Source
from sccl.pp.variable import Moments, choose_genes, voting_batches
from sccl.storage import Taken, hold

# Cells of one dataset, which are drawn at random from all files ...
DATASET_CELLS = 2**15
# ... in runs of so many, for reading single cells takes long.
RUN_CELLS = 1024
# So many are compressed together: reading 16 000 cells takes 0.13 CPU s, and 0.47 of chunks of 128.
CHUNK_CELLS = 1024


def preprocess_to(
    store: str | os.PathLike[str],
    files: Sequence[str | os.PathLike[str]],
    *,
    batch_key: str | list[str] | None = None,
    n_top_genes: int | None = 4000,
    target_sum: float = 1e4,
    layer: str | None = None,
    progress: bool = True,
) -> CellStore:
    """Do what :func:`preprocess` does with files of any size, and write the result to a store on disk.

    The files are read twice, in blocks: once to choose the genes, unless all are kept, and once to write. What is in memory at a
    time does not grow with the cells, up to what ``obs`` says of them. The store is a collection of annbatch (sharded zarr) that
    models train on and embed, see :class:`CellStore`; it takes about as much room as a compressed file of the chosen genes. Cells
    come in random order, so that reading some in a row is drawing at random; ``obs["input_row"]`` says where each came from.

    Interrupted, by whatever it be, the same call goes on where it was. Called again after it finished, it opens the store.

    Parameters
    ----------
    store
        Folder to write, named ``*.zarr`` by custom; new, or begun by the same call.
    files
        Files of raw counts, ``.h5ad`` or folders of zarr, stored by cells. Of genes and of columns of ``obs`` those are kept that
        all files have.
    batch_key
        As in :func:`preprocess`; what minibatches and pairs go by later.
    n_top_genes, target_sum, layer
        As in :func:`preprocess`.
    progress
        Whether to show how far it is.

    Returns
    -------
    The store. ``X`` holds the log-expression, ``obs`` what the files said; counts stay in the files.

    Raises
    ------
    ImportError
        If annbatch is not installed.
    ValueError, KeyError, TypeError
        If a file cannot be read by cells, holds no counts or names that repeat, or lacks ``batch_key``; if a parameter is out of
        range; if ``store`` is something else, or a store of other files or parameters. Nothing is changed then.
    RuntimeError
        If another process writes it.

    References
    ----------
    See :func:`preprocess`.

    Examples
    --------
    >>> store = sccl.pp.preprocess_to("chosen.zarr", ["cells.h5ad"], batch_key="batch", n_top_genes=50)
    >>> model = sccl.CLModel(registry=store.registry)
    >>> model.train(max_steps=10, datamodule=store)
    >>> latent = pd.DataFrame(model.get_latent_representation(store), index=store.obs_names)
    """
    import_annbatch()
    check_parameters(n_top_genes=n_top_genes, target_sum=target_sum)
    check_switch(progress, "progress")
    if isinstance(files, str | os.PathLike) or not list(files):
        raise ValueError(f"`files` must be a list of files, at least one, found {files!r}.")
    path = Path(store)
    cells = [CellFile.read(Path(file), layer) for file in files]
    keys = [] if batch_key is None else [batch_key] if isinstance(batch_key, str) else list(batch_key)
    obs = join_obs(cells, keys)
    ends = np.cumsum([len(file.obs) for file in cells])
    cells = [replace(file, obs=obs.iloc[end - len(file.obs) : end]) for file, end in zip(cells, ends, strict=True)]
    batches = None if batch_key is None else pd.factorize(find_batches(obs, batch_key))[0]
    genes = _shared_genes(cells)
    record = {"batch_key": batch_key, "n_top_genes": n_top_genes, "target_sum": float(target_sum), "layer": layer}
    request = {"files": [file.fingerprint for file in cells], "record": record}
    is_new = not path.exists() or (path.is_dir() and not any(path.iterdir()))
    if not is_new:
        _check_same(path, request)
    path.mkdir(parents=True, exist_ok=True)
    try:
        with hold(path, wait=False):
            source = Source(cells, genes, target_sum, progress=progress)
            _write(path, source, obs, batches, request, n_top_genes, is_new=is_new)
    except Taken as error:
        raise RuntimeError(f"`store`: another process writes {path}: wait for it.") from error
    return CellStore(path)


def _shared_genes(files: Sequence[CellFile]) -> pd.Index:
    genes = files[0].var.index
    for file in files[1:]:
        genes = genes[genes.isin(file.var.index)]
    if not len(genes):
        raise ValueError(
            "`files` have no gene in common: are they named in two ways (symbols and identifiers)? Name them alike first."
        )
    return genes


def _check_same(path: Path, request: dict[str, Any]) -> None:
    """Refuse what was written by another call."""
    _, about = open_root(path)
    if about["request"]["record"] != request["record"]:
        before = ", ".join(f"{key}={value!r}" for key, value in about["request"]["record"].items())
        raise ValueError(
            f"`store`: {path} was begun with other parameters ({before}): pass the same, or name another folder."
        )
    if about["request"]["files"] != request["files"]:
        raise ValueError(
            f"`store`: {path} was begun with other files, or these were changed since: pass the same, name another folder, or "
            "delete it."
        )


def _write(
    path: Path,
    source: Source,
    obs: pd.DataFrame,
    batches: np.ndarray | None,
    request: dict[str, Any],
    n_top_genes: int | None,
    *,
    is_new: bool,
) -> None:
    import zarr

    root = zarr.open_group(path, mode="a", zarr_format=3, use_consolidated=False)
    if is_new:
        begun = {
            "version": STORE_VERSION,
            "request": request,
            "record": request["record"],
            "sizes": [],
            "complete": False,
        }
        root.attrs[ATTRIBUTE] = {**begun, "n_empty": 0, "genes": None}
    about: dict[str, Any] = dict(root.attrs[ATTRIBUTE])  # type: ignore[arg-type]
    if about["complete"]:
        return
    if about["genes"] is None:
        about["genes"] = list(map(str, _chosen(source, batches, n_top_genes)))
        root.attrs[ATTRIBUTE] = about
    genes = pd.Index(about["genes"])
    var = source.files[0].var.loc[genes].assign(highly_variable=True)
    runs = source.runs(RUN_CELLS)
    order = np.random.default_rng(0).permutation(len(runs))
    parts = np.array_split(order, -(-len(obs) // DATASET_CELLS))
    with source.bar("writing", sum(about["sizes"])) as bar:
        for number in range(len(about["sizes"]), len(parts)):
            mine = [runs[i] for i in parts[number]]
            dataset, n_empty = _dataset(source, mine, genes, obs, batches, np.random.default_rng([1, number]), bar)
            dataset.var = var
            dataset.uns = {
                "log1p": {},
                "sccl": {"preprocess": {k: v for k, v in about["record"].items() if v is not None}},
            }
            write_dataset(root, dataset, f"dataset_{number}")
            about = {**about, "sizes": [*about["sizes"], dataset.n_obs], "n_empty": about["n_empty"] + n_empty}
            root.attrs[ATTRIBUTE] = about
    if about["n_empty"]:
        warnings.warn(
            f"{about['n_empty']} of {len(obs)} cells have no counts and stay zero.", UserWarning, stacklevel=4
        )
    # annbatch's own mark of a collection that is whole
    root.update_attributes({"encoding-type": "annbatch-preshuffled", "encoding-version": "0.1.0"})
    root.attrs[ATTRIBUTE] = {**about, "complete": True}


def _chosen(source: Source, batches: np.ndarray | None, n_top_genes: int | None) -> pd.Index:
    """Choose the genes, in one pass over the files unless all are kept."""
    if n_top_genes is None or n_top_genes >= len(source.genes):
        return source.genes
    moments = Moments(len(source.genes), voting_batches(batches))
    size = max(RUN_CELLS, BLOCK_ELEMENTS // len(source.genes))
    with source.bar("choosing genes", 0) as bar:
        for cells, logged, _ in source.read(source.runs(size), source.genes):
            moments.add(logged, cells)
            bar.update(logged.shape[0])
    return source.genes[choose_genes(moments, n_top_genes)]


def _dataset(
    source: Source,
    runs: Sequence[tuple[int, int]],
    genes: pd.Index,
    obs: pd.DataFrame,
    batches: np.ndarray | None,
    rng: np.random.Generator,
    bar: Any,
) -> tuple[AnnData, int]:
    """Read a part of the cells, in random order within each batch, and say how many have no counts."""
    read, rows, n_empty = [], [], 0
    for cells, logged, empty in source.read(runs, genes):
        read.append(logged)
        rows.append(np.arange(cells.start, cells.stop))
        n_empty += empty
        bar.update(logged.shape[0])
    row = np.concatenate(rows)
    order = rng.permutation(row.size)
    if batches is not None:  # then a run of cells is one minibatch of a batch
        order = order[np.argsort(batches[row[order]], kind="stable")]
    x = sparse.vstack(read, format="csr")
    read.clear()
    return AnnData(x[order], obs=obs.iloc[row[order]].assign(**{INPUT_ROW: row[order]})), n_empty


def write_dataset(root: Any, dataset: AnnData, key: str) -> None:
    """Write a part of a store in the place of what is there."""
    from annbatch import write_sharded

    with warnings.catch_warnings():  # annbatch consolidates the metadata of zarr 3, which all of this reads
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        write_sharded(root, dataset, n_obs_per_chunk=min(CHUNK_CELLS, dataset.n_obs), key=key)

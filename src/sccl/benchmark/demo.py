"""From counts to scores and pictures in one command: ``python -m sccl.benchmark.demo --help``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

# A gain in "Batch correction" below this is not worth the name.
_WORTHWHILE_GAIN = 0.1


class InputError(Exception):
    """What the user gave cannot be used; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo.

    Parameters
    ----------
    argv
        Command line arguments; those of the process if None.

    Returns
    -------
    The exit code: 0, or 2 if what the user gave cannot be used.
    """
    args = _parser().parse_args(argv)
    try:
        _run(args)
    except InputError as error:
        print(f"\nsccl demo: {error}", file=sys.stderr)
        return 2
    return 0


def verdict(table: pd.DataFrame) -> str:
    """Say in words what the table says.

    Parameters
    ----------
    table
        Scores of the rows "PCA" and "sccl", see :func:`sccl.benchmark.score`.
    """
    pca, ours = table.loc["PCA"], table.loc["sccl"]
    types = f"Cell types: bio conservation {pca['Bio conservation']:.2f} -> {ours['Bio conservation']:.2f}."
    before, after = pca["Batch correction"], ours["Batch correction"]
    if not after - before > _WORTHWHILE_GAIN:  # also where there is a single batch, and neither is defined
        return (
            f"Batches: batch correction {before:.2f} (PCA) -> {after:.2f} (sccl), no real gain. Uniform sampling and "
            f"random augmentations alone do not remove batch effects. {types}"
        )
    return f"Batches: batch correction {before:.2f} (PCA) -> {after:.2f} (sccl). {types}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sccl.benchmark.demo",
        description="Train the recommended model on simulated counts, or on yours, and compare its embedding with PCA.",
    )
    parser.add_argument("--data", type=Path, metavar="FILE", help="h5ad file with raw counts; simulated if not given")
    parser.add_argument("--batch-key", metavar="COLUMN", help="column of obs with the batches; needed with --data")
    parser.add_argument("--labels-key", metavar="COLUMN", help="column of obs with the cell types; scores need it")
    parser.add_argument("--layer", metavar="NAME", help="layer with the raw counts; X if not given")
    parser.add_argument("--out", type=Path, default=Path("results/demo"), metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser


def _run(args: argparse.Namespace) -> None:
    start = time.perf_counter()
    if args.data is None and (args.batch_key or args.labels_key or args.layer):
        raise InputError("--batch-key, --labels-key and --layer belong to --data FILE, which was not given.")

    with _stage("Loading libraries"):
        import numpy as np
        import pandas as pd
        import scanpy as sc
        import scvi
        from anndata import AnnData

        import sccl
        from sccl.benchmark.pictures import draw_loss, draw_umaps
        from sccl.model import CLModel

    if args.data is None:
        with _stage("Simulating counts"):
            adata = sccl.datasets.simulate(n_cells=3000, n_genes=2000, seed=args.seed)
        batch_key, labels_key = "batch", "cell_type"
    else:
        with _stage(f"Reading {args.data}"):
            adata = _read(args.data, args.batch_key, args.labels_key)
        batch_key, labels_key = args.batch_key, args.labels_key

    with _stage("Preprocessing"):
        try:
            sccl.pp.preprocess(adata, batch_key=batch_key, layer=args.layer)
        except (KeyError, ValueError) as error:
            raise InputError(error.args[0]) from error
    print(f"  {adata.n_obs} cells, {adata.n_vars} genes, {adata.obs[batch_key].nunique()} batches")

    with _stage("PCA"):
        sc.pp.pca(adata, n_comps=min(50, min(adata.shape) - 1), random_state=args.seed)

    with _stage("Training"):
        scvi.settings.seed = args.seed
        CLModel.setup_anndata(adata, batch_key=batch_key)
        model = CLModel(adata)
        model.train(enable_progress_bar=False)
        adata.obsm["X_cl"] = model.get_latent_representation()

    args.out.mkdir(parents=True, exist_ok=True)
    obs = adata.obs[[key for key in (batch_key, labels_key) if key]]
    embeddings = {"PCA": adata.obsm["X_pca"], "sccl": adata.obsm["X_cl"]}

    if labels_key:
        with _stage("Scoring"):
            known = obs[labels_key].notna().to_numpy()
            table = sccl.benchmark.score(
                {name: array[known] for name, array in embeddings.items()},
                obs.loc[known, batch_key],
                obs.loc[known, labels_key],
                seed=args.seed,
            )
        table.to_csv(args.out / "table.csv", index_label="embedding")
        (args.out / "table.md").write_text(_markdown(table))

    with _stage("UMAP"):
        coordinates = {}
        for name, array in embeddings.items():
            neighbors = AnnData(obs=obs, obsm={"X": array})
            sc.pp.neighbors(neighbors, use_rep="X", transformer="sklearn", random_state=args.seed)  # exact
            sc.tl.umap(neighbors, random_state=args.seed)
            coordinates[name] = neighbors.obsm["X_umap"]
        draw_umaps(coordinates, dict(obs.items()), seed=args.seed).savefig(args.out / "umap.png", dpi=150)

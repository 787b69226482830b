"""The command ``sccl-embed``: counts in; an embedding, a model, pictures and scores out."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anndata import AnnData


class InputError(Exception):
    """What the user gave cannot be used; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Embed cells from a file, or simulated ones.

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
        print(f"\nsccl-embed: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sccl-embed",
        description="Train the recommended model on raw counts, and compare its embedding with principal components.",
    )
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="raw counts: h5ad, zarr, loom, CellRanger's .h5 or matrix folder; simulated if not given",
    )
    parser.add_argument("--batch-key", metavar="COLUMN", help="column of obs with the batches; needed with FILE")
    parser.add_argument("--labels-key", metavar="COLUMN", help="column of obs with the cell types; scores need it")
    parser.add_argument("--layer", metavar="NAME", help="layer with the raw counts; X if not given")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="folder for everything; or a name that ends in .h5ad, for the cells with all that was computed, the rest in a "
        "folder of that name. Default: results/NAME of FILE, or results/demo",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser


def _run(args: argparse.Namespace) -> None:
    start = time.perf_counter()
    if args.file is None and (args.batch_key or args.labels_key or args.layer):
        raise InputError("--batch-key, --labels-key and --layer belong to FILE, which was not given.")
    output = args.output or Path("results") / ("demo" if args.file is None else args.file.name.partition(".")[0])
    folder = output.with_suffix("") if output.suffix == ".h5ad" else output
    _check(args.file, folder)

    with _stage("Loading libraries"):
        import numpy as np
        import pandas as pd
        import scanpy as sc
        import scvi
        import torch
        from anndata import AnnData
        from matplotlib.figure import Figure

        import sccl
        from sccl.benchmark.run.picture import umaps
        from sccl.benchmark.scores import score
        from sccl.commands.summary import contents, markdown, verdict
        from sccl.model import CLModel
        from sccl.pl.coordinates import umap
        from sccl.pl.training import fill

    if args.file is None:
        with _stage("Simulating counts"):
            adata = sccl.datasets.simulate(n_cells=3000, n_genes=2000, seed=args.seed)
        batch_key, labels_key = "batch", "cell_type"
    else:
        with _stage(f"Reading {args.file}"):
            adata = _read(args.file, args.batch_key, args.labels_key)
        batch_key, labels_key = args.batch_key, args.labels_key

    with _stage("Preprocessing"):
        try:
            sccl.pp.preprocess(adata, batch_key=batch_key, layer=args.layer)
        except (KeyError, ValueError) as error:
            raise InputError(_first_line(error)) from error
    print(f"  {adata.n_obs} cells, {adata.n_vars} genes, {adata.obs[batch_key].nunique()} batches")

    with _stage("PCA"):
        sc.pp.pca(adata, n_comps=min(50, min(adata.shape) - 1), random_state=args.seed)

    with _stage("Training"):
        # As fast as two at this size; more would wait for each other, forty times as long, where other work runs beside.
        torch.set_num_threads(1)
        scvi.settings.seed = args.seed
        try:
            CLModel.setup_anndata(adata, batch_key=batch_key)
            model = CLModel(adata)
            model.train(enable_progress_bar=False)
        except (KeyError, ValueError) as error:
            raise InputError(_first_line(error)) from error
        adata.obsm["X_cl"] = model.get_latent_representation()

    obs = pd.DataFrame(adata.obs[[key for key in (batch_key, labels_key) if key]])
    embeddings: dict[str, np.ndarray] = {"PCA": np.asarray(adata.obsm["X_pca"]), "sccl": np.asarray(adata.obsm["X_cl"])}

    table, why_not = None, "they need the cell types (--labels-key COLUMN)"
    if labels_key:
        known = obs[labels_key].notna().to_numpy()
        with _stage("Scoring"):
            try:
                table = score(
                    {name: array[known] for name, array in embeddings.items()},
                    obs.loc[known, batch_key],
                    obs.loc[known, labels_key],
                    seed=args.seed,
                )
            except ValueError as error:  # all else is worth having all the same
                why_not = _first_line(error)
    if table is not None:
        table.to_csv(folder / "table.csv", index_label="embedding")
        (folder / "table.md").write_text(markdown(table))

    with _stage("UMAP"):
        coordinates = {name: umap(array, seed=args.seed) for name, array in embeddings.items()}
        umaps(coordinates, dict(obs.items()), seed=args.seed).savefig(folder / "umap.png", dpi=150)

    with _stage("Writing"):
        curves = Figure()
        fill(curves, model.history or {})
        curves.savefig(folder / "loss.png", dpi=150)
        model.save(str(folder / "model"), overwrite=True)
        arrays: dict[str, Any] = {f"X_{name}": array for name, array in embeddings.items()}
        arrays |= {f"X_umap_{name}": array for name, array in coordinates.items()}
        if output == folder:
            AnnData(obs=obs.astype("category"), obsm=arrays).write_h5ad(folder / "embeddings.h5ad")
        else:
            adata.obsm["X_umap"] = coordinates["sccl"]
            adata.write_h5ad(output)
        findings = (
            f"{table.T.dropna().to_string(float_format='{:.3f}'.format)}\n\n{verdict(table)}"
            if table is not None
            else f"No scores: {why_not.rstrip('.')}."
        )
        data = f"{args.file or 'simulated counts'}, {adata.n_obs} cells, {adata.n_vars} genes, seed {args.seed}"
        summary = f"PCA and sccl {sccl.__version__} on {data}\n\n{findings}\n\n{contents(folder)}\n"
        (folder / "summary.txt").write_text(summary)
    print(f"\n{summary}\nDone in {time.perf_counter() - start:.0f} s.")


@contextmanager
def _stage(name: str) -> Iterator[None]:
    """Print what is done and how long it took, in one line."""
    print(f"{name} ...", end="", flush=True)
    start = time.perf_counter()
    yield
    print(f" {time.perf_counter() - start:.1f} s", flush=True)


def _check(data: Path | None, out: Path) -> None:
    """Refuse a file that cannot be read, and a folder that cannot be written to, before libraries are loaded."""
    from sccl.datasets.forms import check_readable
    from sccl.storage import check_working_directory

    try:
        check_working_directory()
        if data is not None:
            check_readable(data)
        out.mkdir(parents=True, exist_ok=True)
    except (FileNotFoundError, ValueError) as error:
        raise InputError(_first_line(error)) from error
    except OSError as error:
        raise InputError(f"The folder {out} cannot be made ({error.strerror}): name another, --output PATH.") from error
    if not os.access(out, os.W_OK):
        raise InputError(f"The folder {out} cannot be written to: name another, --output PATH.")


def _read(path: Path, batch_key: str | None, labels_key: str | None) -> AnnData:
    """Read the cells; batches and labels become text, by which they are compared."""
    import pandas as pd

    from sccl.datasets import read
    from sccl.inputs import as_text

    try:
        adata = read(path)
    except ValueError as error:
        raise InputError(_first_line(error)) from error
    columns = f"{path} has these columns in obs: {', '.join(map(str, adata.obs.columns)) or 'none'}."
    if batch_key is None:
        raise InputError(f"Name the batches (--batch-key COLUMN); {columns}")
    for option, key in (("--batch-key", batch_key), ("--labels-key", labels_key)):
        if key is not None:
            if key not in adata.obs:
                raise InputError(f"{option} {key!r} does not exist; {columns}")
            adata.obs[key] = pd.Categorical(as_text(adata.obs[key]))
    return adata


def _first_line(error: Exception) -> str:
    # str() of a KeyError would put its message in quotes
    return str(error.args[0] if error.args else error).partition("\n")[0]

"""Does a type that is in one batch only stay apart? A type is taken out of all batches but one.

python docs/one_batch_type.py FOLDER [OPTION ...]

FOLDER holds pbmc_3tech.h5ad and kang_ifnb.h5ad; each OPTION is a method as sccl-bench knows it, model=clmodel if none is
given. Printed is the purity of the type's 15 nearest neighbours, as a share of what it is on principal components of that
batch alone.
"""

import sys
from pathlib import Path

import numpy as np
import scanpy as sc
from anndata import AnnData, read_h5ad
from hydra.utils import get_method

import sccl
from sccl import graph
from sccl.benchmark.data import Data
from sccl.benchmark.plan.study import plan

CASES = [
    ("pbmc_3tech", "B", "5p"),
    ("pbmc_3tech", "T_CD4", "3pv2"),
    ("kang_ifnb", "B", "ctrl"),
    ("kang_ifnb", "CD16 Mono", "stim"),
    ("kang_ifnb", "NK", "stim"),
]


def main(folder: Path, options: list[str]) -> None:
    """Print a row per case and the mean."""
    print("| type, only in |", *(f"{option.partition('=')[2]} |" for option in options))
    print("|---|", *("---:|" for _ in options), sep="")
    rows = []
    for name, label, batch in CASES:
        adata = only_in(read_h5ad(folder / f"{name}.h5ad"), label, batch)
        rows.append([share(adata, label, batch, option) for option in options])
        print(f"| {label}, {batch} (`{name}`) |", *(f"{value:.2f} |" for value in rows[-1]), flush=True)
    print("| mean |", *(f"{value:.2f} |" for value in np.mean(rows, axis=0)))


def only_in(adata: AnnData, label: str, batch: str) -> AnnData:
    """Return the preprocessed cells without those of a type in other batches."""
    kept = (adata.obs["cell_type"].astype(str) != label) | (adata.obs["batch"].astype(str) == batch)
    adata = adata[kept.to_numpy()].copy()
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=2000)
    return adata


def share(adata: AnnData, label: str, batch: str, option: str) -> float:
    """Return the type's purity in a method's embedding, relative to that in its batch alone."""
    parameters = dict(plan([option]).runs[0].config["method"])
    embed = get_method(parameters.pop("_target_"))
    z_nd = embed(Data(adata, "batch", "cell_type", np.arange(adata.n_obs)), seed=0, **parameters).z_nd
    alone = adata[adata.obs["batch"].astype(str) == batch]
    before = sc.pp.pca(alone.X, n_comps=50, random_state=0)
    return purity(z_nd, adata, label) / purity(before, alone, label)


def purity(z_nd: np.ndarray, adata: AnnData, label: str) -> float:
    """Return the share of cells of a type among the nearest neighbours of its cells."""
    is_type = (adata.obs["cell_type"].astype(str) == label).to_numpy()
    indices, _ = graph.knn(z_nd, k=15, metric="euclidean")
    return float(is_type[indices[is_type]].mean())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or ["model=clmodel"])

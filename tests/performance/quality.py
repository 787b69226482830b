"""What do sampling and positives do to an embedding? Raw scib-metrics scores, beside PCA and Harmony.

The real data sets are read from ``../shared/data``, or from the folder that SCCL_TEST_DATA names::

    python tests/performance/quality.py [--data pbmc_3tech kang_ifnb] [--seeds 0 1 2] [--only "batch sampling"]
"""

from __future__ import annotations

import argparse
import logging
import os
import warnings
from pathlib import Path
from time import perf_counter

import anndata as ad
import pandas as pd
import scvi
import torch

import sccl
from sccl import graph
from sccl.augment import Compose, CrossBatchPositive, Mask
from sccl.benchmark.scores import score

MASK = Mask(0.4, p=0.5)
TRAININGS = {
    "uniform, CLEAR": {"augmentation": "clear", "sampling": "uniform"},
    "uniform, mask": {"augmentation": MASK, "sampling": "uniform"},
    "MNN positives, mask": {"augmentation": Compose([CrossBatchPositive(1.0), MASK]), "sampling": "uniform"},
    "batch sampling, mask": {"augmentation": MASK, "sampling": "batch"},
    "batch sampling, CLEAR": {"augmentation": "clear", "sampling": "batch"},
    "CLModel": {},
}
# Types that one batch alone holds cannot be scored for mixing.
LEFT_OUT = {"kang_ifnb": ["DC"]}


def cells_of(name: str) -> ad.AnnData:
    folder = Path(os.environ.get("SCCL_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    adata = ad.read_h5ad(folder / f"{name}.h5ad")
    adata = adata[~adata.obs["cell_type"].isin(LEFT_OUT.get(name, []))].copy()
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=2000)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return adata


def harmony(pca, adata: ad.AnnData, seed: int):
    import harmonypy

    corrected = harmonypy.run_harmony(pca, adata.obs, "batch", random_state=seed).Z_corr
    return corrected if len(corrected) == len(pca) else corrected.T


def embed(adata: ad.AnnData, training: str, seed: int):
    scvi.settings.seed = seed
    model = (sccl.CLModel if training == "CLModel" else sccl.SimCLR)(adata)
    model.train(enable_progress_bar=False, **TRAININGS[training])
    return model.get_latent_representation()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["pbmc_3tech", "kang_ifnb"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=["PCA", "Harmony", *TRAININGS])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    scvi.settings.verbosity = logging.ERROR
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    rows = []
    for name in arguments.data:
        adata = cells_of(name)
        pca = graph.representation(adata)
        for method in arguments.only:
            for seed in arguments.seeds[:1] if method == "PCA" else arguments.seeds:
                start = perf_counter()
                if method == "PCA":
                    z = pca
                else:
                    z = harmony(pca, adata, seed) if method == "Harmony" else embed(adata, method, seed)
                seconds = perf_counter() - start
                scores = score({method: z}, adata.obs["batch"], adata.obs["cell_type"], unintegrated=pca).iloc[0]
                kept = scores[["Bio conservation", "Batch correction", "Total"]]
                rows.append({"data": name, "method": method, "seed": seed, **kept, "seconds": seconds})
                print(*(f"{v:.3f}" if isinstance(v, float) else v for v in rows[-1].values()), flush=True)
    table = pd.DataFrame(rows).drop(columns="seed").groupby(["data", "method"], sort=False).agg(["mean", "std"])
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()

"""Write ``architectures.md``: what each architecture, at its defaults, makes of two real data sets.

Run as ``python docs/architectures.py FOLDER``, where the folder has ``pbmc_3tech.h5ad`` and ``kang_ifnb.h5ad``, each with
counts in ``X`` and with ``obs["batch"]`` and ``obs["cell_type"]``.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from pathlib import Path
from time import perf_counter

import anndata
import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

import sccl
from sccl.train import effective_rank

MODELS = (*sccl.module.architectures.__all__, "CLEAR")
DATA = ("pbmc_3tech", "kang_ifnb")
K = 15
# Every model sees as many cells: 60 epochs of the first data set, 20 of the second.
N_CELLS_SEEN = 90_000

INTRODUCTION = """# Architectures side by side

Each in a sentence; hyper-parameters, and the paper's values of them, are on its page.

```{include} _architectures.txt
```

Now each model at its defaults, trained with seed 0 on 90,000 cells (60 epochs of the first data set, 20 of the second) with
the `clear` augmentations, on one core. Written by `python docs/architectures.py FOLDER`.

* **type**, **batch**: share of a cell's 15 nearest neighbours of its own cell type (higher is better) and of its own batch
  (in brackets: if batches were mixed perfectly). Cells of types that occur in one batch alone are left out.
* **rank**: effective rank of the embedding, of 64 dimensions (of 50 for PCA).
* **s/epoch**: seconds per epoch, data loading and all. Models differ in the size of their minibatches.
* **parameters**: those that are learned, in thousands; encoder, heads, and a teacher if there is one.

MoCo, CLEAR, BYOL and TiCo, whose targets follow slowly, gain from more steps than these; a model trained without
`max_epochs` makes about 1000. None of these models corrects batches by itself: that is up to augmentations and sampling.
"""


def purity(z_nd: np.ndarray, codes: np.ndarray) -> float:
    """Return the mean share of a cell's nearest neighbours that have its code."""
    neighbors_nk = NearestNeighbors(n_neighbors=K).fit(z_nd).kneighbors(return_distance=False)
    return float((codes[neighbors_nk] == codes[:, None]).mean())


def rows_of(adata: anndata.AnnData) -> list[dict[str, object]]:
    """Return one row per model, PCA before all."""
    n_batches_of_type = adata.obs.groupby("cell_type", observed=True)["batch"].nunique()
    scored = adata.obs["cell_type"].map(n_batches_of_type).to_numpy() > 1
    types, batches = (pd.factorize(adata.obs[key])[0][scored] for key in ("cell_type", "batch"))

    def row(name: str, z_nd: np.ndarray, **costs: object) -> dict[str, object]:
        scores = {"type": f"{purity(z_nd[scored], types):.2f}", "batch": f"{purity(z_nd[scored], batches):.2f}"}
        return {"model": name, **scores, "rank": f"{effective_rank(torch.from_numpy(z_nd)):.0f}", **costs}

    pcs_nd = PCA(50, random_state=0).fit_transform(adata.X.toarray())
    rows = [row("PCA", pcs_nd, **{"s/epoch": "", "parameters": ""})]
    for name in MODELS:
        torch.manual_seed(0)
        model = getattr(sccl, name)(adata)
        start = perf_counter()
        model.train(
            round(N_CELLS_SEEN / adata.n_obs), augmentation="clear", accelerator="cpu", enable_progress_bar=False
        )
        seconds = (perf_counter() - start) / len(model.history["train_loss"])
        n_parameters = sum(p.numel() for p in model.module.parameters() if p.requires_grad)
        costs = {"s/epoch": f"{seconds:.2f}", "parameters": f"{n_parameters / 1000:.0f}"}
        rows.append(row(name, model.get_latent_representation(), **costs))
        print(rows[-1], flush=True)
    return rows


def table(rows: list[dict[str, object]]) -> str:
    """Return rows as Markdown."""
    names = list(rows[0])
    lines = [names, ["---"] + ["---:"] * (len(names) - 1), *([row[name] for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def main() -> None:
    """Train everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    page = [INTRODUCTION]
    for name in DATA:
        adata = anndata.read_h5ad(folder / f"{name}.h5ad")
        sccl.pp.preprocess(adata, batch_key="batch")
        sccl.CLModel.setup_anndata(adata, batch_key="batch")
        mixed = (adata.obs["batch"].value_counts(normalize=True) ** 2).sum()
        page.append(f"## {name}: {adata.n_obs} cells × {adata.n_vars} genes\n")
        page.append(table(rows_of(adata)).replace("| batch |", f"| batch ({mixed:.2f}) |", 1) + "\n")
    (Path(__file__).parent / "architectures.md").write_text("\n".join(page))


if __name__ == "__main__":
    main()

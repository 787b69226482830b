"""Write the model that `tests/test_trust_model.py` reads in every later version: run once for each version of the form."""

import json
from pathlib import Path

import scvi

import sccl
from sccl.storage import FORMAT_VERSION

FOLDER = Path(__file__).parent


def main() -> None:
    scvi.settings.seed = 0
    adata = sccl.datasets.simulate(n_cells=40, n_genes=12, n_batches=2, n_types=2, seed=0, mean_count=2.0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    sccl.SimCLR.setup_anndata(adata, batch_key="batch", labels_key="cell_type")
    model = sccl.SimCLR(adata, n_hidden=4, n_latent=3, n_projection=2)
    model.train(3, augmentation="mask", enable_progress_bar=False, accelerator="cpu")
    name = f"form_{FORMAT_VERSION}"
    model.save(FOLDER, prefix=f"{name}_", overwrite=True)
    query = sccl.datasets.simulate(n_cells=6, n_genes=12, n_batches=2, n_types=2, seed=1, mean_count=2.0)
    sccl.pp.preprocess(query, n_top_genes=None)
    expected = {
        "embedding": model.map_query(query).tolist(),
        "batches": list(model.registry["field_registries"]["batch"]["state_registry"]["categorical_mapping"]),
        "train_loss": model.history["train_loss"]["train_loss"].tolist(),
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Train with several processes, each of which runs this script.

python docs/distributed.py FILE FOLDER --processes 2                              on this machine
torchrun --nproc-per-node 2 docs/distributed.py FILE FOLDER --processes 2         the same, started by torchrun
sbatch docs/distributed.sbatch FILE FOLDER                                        with Slurm, see there

FILE is an h5ad file with counts and a column "batch"; FOLDER gets the model and the embedding.
"""

import argparse
from pathlib import Path

import anndata as ad
import numpy as np
import sccl
import scvi


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=1, help="on each machine; one per GPU, or per few cores")
    parser.add_argument("--nodes", type=int, default=1, help="machines")
    parser.add_argument("--steps", type=int, default=1000)
    args = parser.parse_args()

    scvi.settings.seed = 0
    adata = ad.read_h5ad(args.file)
    sccl.pp.preprocess(adata, batch_key="batch")
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    model = sccl.CLModel(adata)
    model.train(
        max_steps=args.steps,
        strategy="ddp",
        devices=args.processes,
        num_nodes=args.nodes,
        checkpoint_dir=args.folder / "checkpoint",
        resume=True,  # a job that was killed goes on when it is submitted again
        enable_progress_bar=False,
    )
    if model.trainer.is_global_zero:  # all processes have the same model: one of them writes it
        model.save(args.folder / "model", overwrite=True)
        np.save(args.folder / "embedding.npy", model.get_latent_representation())


if __name__ == "__main__":
    main()

"""Two processes that train together, as torchrun starts them; what they came to is left in a folder, for a test to look at.

python tests/two_processes.py FOLDER
"""

import os
import socket
import sys
from pathlib import Path

import numpy as np
import torch
from torch import distributed

import sccl
from sccl.module import ContrastiveModule, Encoder, architectures
from sccl.module.joint import join

N_RANKS, N_CELLS, N_GENES = 2, 13, 20
TRAINING = {"max_steps": 10, "batch_size": 64, "train_size": 0.9, "enable_progress_bar": False, "accelerator": "cpu"}


def losses_and_gradients(name: str, rank: int, n_ranks: int) -> dict[str, np.ndarray]:
    """What one process makes of its share of three minibatches."""
    torch.manual_seed(0)
    no_chance = {"projection_dropout": 0.0} if name == "Concerto" else {}
    module = ContrastiveModule(Encoder(N_GENES, n_hidden=9, n_latent=6), getattr(architectures, name)(6, **no_chance))
    join(module, n_ranks > 1)
    views = torch.randn(3, 2, N_CELLS, N_GENES, generator=torch.Generator().manual_seed(1))
    share = torch.from_numpy(np.array_split(np.arange(N_CELLS), n_ranks)[rank])
    losses = [module(views[step][:, share]).projections.loss for step in range(3)]
    sum(losses).backward()
    gradients = {key: one.grad for key, one in module.named_parameters() if one.requires_grad}
    if n_ranks > 1:
        for gradient in gradients.values():
            distributed.all_reduce(gradient)
            gradient /= n_ranks
    return {
        **{f"loss {step}": loss.detach().numpy() for step, loss in enumerate(losses)},
        **{f"gradient {key}": one.numpy() for key, one in gradients.items()},
        **{f"buffer {key}": one.numpy() for key, one in module.named_buffers()},
    }


def data():
    """Two batches of simulated cells, registered."""
    adata = sccl.datasets.simulate(n_cells=220, n_genes=60, n_batches=2, n_types=3, seed=0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    return adata


def trained(adata, *, seed: int, **how) -> dict[str, np.ndarray]:
    """The recommended recipe, and what came out."""
    torch.manual_seed(seed)
    model = sccl.CLModel(adata, n_latent=8, n_hidden=16)
    model.train(**{**TRAINING, **how})
    return {
        "n_steps": np.array(model.training_[0]["n_steps"]),
        "embedding": model.get_latent_representation(),
        "cells": model.train_indices,
        **{name: frame.to_numpy() for name, frame in model.history.items()},
    }


def one_rank(rank: int, folder: str, port: int, adata) -> None:
    """What each process does."""
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(N_RANKS), "LOCAL_WORLD_SIZE": str(N_RANKS),
        "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test",
    }  # fmt: skip
    distributed.init_process_group("gloo")
    for name in architectures.__all__:
        np.savez(Path(folder) / f"{name}-{rank}.npz", **losses_and_gradients(name, rank, N_RANKS))
    # each with weights and a seed of its own: those of the first count
    outcome = trained(adata, seed=rank, strategy="ddp", devices=N_RANKS, checkpoint_dir=Path(folder) / "checkpoint")
    np.savez(Path(folder) / f"training-{rank}.npz", **outcome)
    distributed.destroy_process_group()


def main(folder: str) -> None:
    """Start the two from one process, which has imported everything."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(one_rank, (folder, port, data()), nprocs=N_RANKS, start_method="fork")


if __name__ == "__main__":
    main(sys.argv[1])

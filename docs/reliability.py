"""What the embedding depends on beside the cells and the seed: threads, and the order of cells. Prints docs/reliability.md's figures."""

import numpy as np
import torch

import sccl


def neighbors(embedding, k=15):
    return sccl.graph.knn(embedding, k=k)[0]


def agreement(first, second):
    """Share of the 15 nearest neighbours that two embeddings have in common."""
    return np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(neighbors(first), neighbors(second), strict=True)])


def embed(adata, seed=0, threads=1):
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    adata = adata.copy()
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    model = sccl.CLModel(adata)
    model.train(max_steps=100, enable_progress_bar=False, accelerator="cpu")
    return model.get_latent_representation()


adata = sccl.datasets.simulate(n_cells=500, n_genes=200, n_batches=3, n_types=4, seed=0)
sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
base = embed(adata)
print("twice the same:", np.array_equal(base, embed(adata)))
two = embed(adata, threads=2)
print(
    f"1 and 2 threads: largest difference {np.abs(base - two).max() / base.std():.1e} sd, neighbours {agreement(base, two):.2f}"
)
order = np.random.default_rng(0).permutation(adata.n_obs)
permuted = embed(adata[order].copy())[np.argsort(order)]
print(f"cells in another order: neighbours {agreement(base, permuted):.2f}")
renamed = adata.copy()
renamed.obs["batch"] = renamed.obs["batch"].astype(str).map(lambda name: f"{9 - int(name[-1])}")
print(f"batches renamed: neighbours {agreement(base, embed(renamed)):.2f}")
print(f"another seed: neighbours {agreement(base, embed(adata, seed=1)):.2f}")

"""What pairs and shared populations cost beside the training, as batches become many; prints a row per number of batches.

python tests/performance/batches.py                                       20 000 cells in 2 to 200 batches
python tests/performance/batches.py --cells 1000000 --batches 5 --genes 2000   one large case

CPU seconds of one thread: principal components, shared populations, pairs and landmarks; and what 1000 training steps take.
"""

import argparse
import os
import resource
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from anndata import AnnData
from scipy import sparse

from sccl import graph
from sccl.augment import CrossBatchPositive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=500)
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 10, 50, 200])
    parser.add_argument("--no-training", action="store_true", help="leave the training out")
    args = parser.parse_args()
    x = simulate(args.cells, args.genes)
    adata = AnnData(x)
    graph.shared_populations(np.random.default_rng(0).normal(size=(200, 5)), np.arange(200) % 2)  # compile
    components, seconds = timed(lambda: graph.representation(adata))
    print(f"{args.cells} cells x {args.genes} genes: principal components {seconds:.1f} s")
    print(f"{'batches':>8s} {'shared':>8s} {'pairs':>8s} {'together':>9s} {'training':>9s} {'peak MiB':>9s}")
    for n_batches in args.batches:
        batch = np.random.default_rng(1).integers(n_batches, size=args.cells)
        shift = np.random.default_rng(2).normal(size=(n_batches, components.shape[1])) * components.std(axis=0) / 2
        space = graph.CellSpace(components + shift[batch].astype(np.float32), batch)
        _, shared = timed(lambda space=space: space.shared)
        _, pairs = timed(lambda space=space: CrossBatchPositive().bind(space))
        training = f"{train(adata, batch):9.1f}" if not args.no_training else f"{'':9s}"
        print(f"{n_batches:8d} {shared:8.1f} {pairs:8.1f} {shared + pairs:9.1f} {training} {peak_mib():9d}", flush=True)


def simulate(n_cells: int, n_genes: int) -> sparse.csr_matrix:
    """Log-expression of thirty types, a tenth of it other than zero."""
    rng = np.random.default_rng(0)
    rate = rng.gamma(0.3, 0.35, size=(30, n_genes))
    parts = []
    for start in range(0, n_cells, 10_000):
        types = rng.integers(30, size=min(10_000, n_cells - start))
        parts.append(sparse.csr_matrix(np.log1p(rng.poisson(rate[types]).astype(np.float32))))
    return sparse.vstack(parts, format="csr")


def train(adata: AnnData, batch: np.ndarray) -> float:
    """CPU seconds of 1000 steps."""
    import sccl

    adata = adata.copy()
    adata.obs["batch"] = batch.astype(str)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    model = sccl.CLModel(adata)
    _, seconds = timed(
        lambda: model.train(max_steps=1000, augmentation="mask", sampling="batch", enable_progress_bar=False)
    )
    return seconds


def timed(call):
    """Result and CPU seconds of this process."""
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def peak_mib() -> int:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()

"""What comes after training, as cells become many: labels for new cells, and scores; CPU seconds of one thread, and of which part.

python tests/performance/after.py --reference 200000 --query 100000     labels
python tests/performance/after.py --score 5000 20000 50000              scores, the second time with compiled functions kept
"""

from __future__ import annotations

import argparse
import cProfile
import logging
import os
import pstats
import sys
import time
import warnings
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scale import count_blocks, peak_mb, simulate

import sccl


def labelled(n_cells: int, n_genes: int, n_batches: int):
    """Preprocessed cells with their types."""
    adata = simulate(n_cells, n_genes, n_batches)
    adata.obs["cell_type"] = np.concatenate(
        [types for _, _, types in count_blocks(n_cells, n_genes, n_batches)]
    ).astype(str)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    return adata


def transfer(args: argparse.Namespace) -> None:
    """Train on the first batches, and label the last one."""
    adata = labelled(args.reference + args.query, args.genes, 6)
    query, reference = adata[-args.query :].copy(), adata[: args.reference].copy()
    del adata
    sccl.CLModel.setup_anndata(reference, batch_key="batch")
    model = sccl.CLModel(reference)
    model.train(max_steps=300, enable_progress_bar=False)
    small = query[:: max(args.query // 500, 1)].copy()
    sccl.mapping.transfer_labels(model, reference[:2000].copy(), small, "cell_type")  # compile
    seconds = profiled(lambda: sccl.mapping.transfer_labels(model, reference, query, "cell_type"), args.profile)
    predicted, truth = (query.obs[name].astype(str) for name in ("cell_type_predicted", "cell_type"))
    print(
        f"{args.query} cells labelled by {args.reference} x {args.genes}: {seconds:.1f} CPU s, peak {peak_mb():.0f} MB; right "
        f"{(predicted == truth).mean():.3f}, unknown {(predicted == 'unknown').mean():.3f}"
    )


def score(args: argparse.Namespace) -> None:
    """Score embeddings of so many cells, each twice."""
    for n_cells in args.score:
        rng = np.random.default_rng(0)
        types, batch = rng.integers(20, size=n_cells), rng.integers(5, size=n_cells)
        kinds = rng.normal(size=(20, 64))
        before = (kinds[types] + rng.normal(size=(5, 64))[batch] + rng.normal(size=(n_cells, 64))).astype(np.float32)
        embeddings = {"after": (kinds[types] + rng.normal(size=(n_cells, 64))).astype(np.float32)}
        for turn in ("first", "second"):
            start = time.perf_counter()
            seconds = profiled(
                partial(sccl.benchmark.score, embeddings, batch, types, unintegrated=before), args.profile
            )
            print(f"score of {n_cells} cells, {turn} call: {seconds:.1f} CPU s, {time.perf_counter() - start:.1f} s")


def profiled(call, shows: bool) -> float:
    """CPU seconds of a call, and where they went."""
    profile = cProfile.Profile(time.process_time)
    start = time.process_time()
    if shows:
        profile.enable()
    call()
    if shows:
        profile.disable()
        pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats("sccl", 30)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=int, default=200_000)
    parser.add_argument("--query", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--score", type=int, nargs="+", help="score so many cells instead")
    parser.add_argument("--profile", action="store_true", help="say which functions take how long")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("scvi").setLevel(logging.WARNING)
    (transfer if args.score is None else score)(args)


if __name__ == "__main__":
    main()

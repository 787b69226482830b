"""Seconds, memory and recall of the neighbour searches; prints JSON.

python tests/performance/graph.py --cells 100000 --dims 50 --batches 5
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import sccl.graph as graph


def simulate(n_cells: int, n_dims: int, n_batches: int) -> tuple[np.ndarray, np.ndarray]:
    """Clustered cells whose spread falls from dimension to dimension, each batch shifted in a direction of its own."""
    rng = np.random.default_rng(0)
    fall = np.linspace(3, 0.3, n_dims)
    batches = rng.integers(n_batches, size=n_cells)
    centers, shifts = rng.normal(size=(30, n_dims)) * fall, rng.normal(size=(n_batches, n_dims)) * fall / 2
    noise = rng.normal(size=(n_cells, n_dims)) * fall * 2 / 3
    return (centers[rng.integers(30, size=n_cells)] + shifts[batches] + noise).astype(np.float32), batches


def timed(call: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """Result and median seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
    return result, round(float(np.median(seconds)), 2)


def peak_mib() -> int:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--dims", type=int, default=50)
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--recall-cells", type=int, default=50_000, help="cells for annoy's recall; 0 leaves it out")
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()

    x, batches = simulate(args.cells, args.dims, args.batches)
    graph.knn(x[:100])  # compile
    report: dict[str, Any] = {**vars(args), "peak_mib_before": peak_mib()}

    _, report["knn_s"] = timed(lambda: graph.knn(x), args.repeats)
    table, report["batch_balanced_s"] = timed(lambda: graph.batch_balanced_knn(x, batches), args.repeats)
    adjacency, report["as_graph_s"] = timed(lambda: graph.as_graph(table, len(x)), args.repeats)
    report["graph_edges"] = len(adjacency.indices)
    variants = {"centered": {}, "cca": {"space": "cca"}}
    for name, options in variants.items():
        pairs, report[f"mnn_{name}_s"] = timed(
            lambda options=options: graph.mutual_nearest_neighbors(x, batches, **options), args.repeats
        )
        report[f"mnn_{name}_anchored"] = round(len(np.unique(pairs)) / len(x), 3)
    _, report["shared_populations_s"] = timed(lambda: graph.shared_populations(x, batches), args.repeats)
    report["peak_mib"] = peak_mib()

    if args.recall_cells:
        x = x[: args.recall_cells]
        (exact, _), report["recall_exact_s"] = timed(lambda: graph.knn(x, method="exact"), args.repeats)
        (found, _), report["recall_annoy_s"] = timed(lambda: graph.knn(x, method="annoy"), args.repeats)
        # Which of the found are among the exact ones, row by row without a loop: shift each row into its own range.
        rows = np.arange(len(x), dtype=np.int64)[:, None] * len(x)
        report["annoy_recall"] = round(float(np.isin(rows + found, rows + exact).mean()), 4)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

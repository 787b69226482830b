"""Print what repeated work leaves behind: memory, open files, and files in the working directory.

    python tests/performance/cycles.py [CYCLES] [CELLS]

Each cycle sets up, trains one epoch, embeds, saves and loads, with data of its own.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import sys
import tempfile
import threading
from pathlib import Path

import scvi
import torch

import sccl

N_WARM_UP = 2  # allocators and caches fill up


def cycle(seed: int, n_cells: int) -> None:
    """Work once, and let go of everything."""
    adata = sccl.datasets.simulate(n_cells=n_cells, n_genes=1000, seed=seed)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    sccl.CLModel.setup_anndata(adata, batch_key="batch", labels_key="cell_type")
    model = sccl.CLModel(adata)
    model.train(1)
    adata.obsm["X_cl"] = model.get_latent_representation()
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder, overwrite=True, save_anndata=True)
        for cells in (adata, None, False):
            sccl.CLModel.load(folder, cells)
        sccl.CLModel.load_query_data(adata.copy(), folder)


def measure() -> dict[str, float]:
    """Return what is held now; what was freed, and the allocator keeps for later, is given back first, where it can be."""
    gc.collect()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory, MB": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "open files": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "files in the working directory": sum(1 for _ in Path.cwd().rglob("*")),
        "registrations": len(sccl.CLModel._setup_adata_manager_store) + len(sccl.CLModel._per_instance_manager_store),
    }


def main() -> None:
    """Print the numbers after the first cycles and after the last."""
    n_cycles, n_cells = (int(value) for value in [*sys.argv[1:], *["30", "5000"][len(sys.argv) - 1 :]])
    torch.set_num_threads(1)
    scvi.settings.verbosity = logging.WARNING
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for seed in range(N_WARM_UP):
            cycle(seed, n_cells)
        before = measure()
        for seed in range(N_WARM_UP, n_cycles):
            cycle(seed, n_cells)
        after = measure()
        os.chdir("/")
    print(f"{n_cycles} cycles of {n_cells} cells")
    print(f"{'':<32}{f'after {N_WARM_UP}':>10}{f'after {n_cycles}':>10}")
    for name in before:
        print(f"{name:<32}{before[name]:>10.0f}{after[name]:>10.0f}")


if __name__ == "__main__":
    main()

"""How fast is training, next to what it could be and to what others do?

All ratios come from one run on one core, with rounds interleaved, as medians::

    python tests/performance/throughput.py [--rounds 7] [--recipe] [--architectures]

* collate/step: two views of the whole CLEAR pipeline, against one eager SimCLR step.
* bbknn collate/step: the same of the preset "base", which is the CLEAR pipeline and BBKNN; at most 0.5.
* epoch/floor: an epoch of ``model.train()``, against as many steps on a fixed batch in memory.
* recipe epoch/floor: an epoch of the recommended recipe at 2000 genes, whose views stay sparse, against as many dense steps there.
* recipe cpu/floor: the same in CPU seconds of all threads, which is what it comes to where no core is idle.
* recipe thread/floor: the same in CPU seconds of the thread that learns, which is what it comes to where one is: there another
  thread makes the next views.
* reference-style/ours: an epoch with views made cell by cell in Python, as the reference makes them, against ours.
* scVI/ours: an epoch of scVI on the same cells and genes, against ours.
* CONCORD/ours: an epoch of CONCORD there, if it is installed (``sccl[methods]``).
* recipe scVI/ours, recipe CONCORD/ours: the same beside an epoch of the recommended recipe, at 2000 genes.

With ``--architectures`` a step of each architecture is measured instead, see ``architectures.py``.
"""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from importlib.util import find_spec
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, thread_time

import numpy as np
import torch
from architectures import measure_architectures
from lightly.loss import NTXentLoss
from lightning.pytorch.callbacks import Callback
from torch import nn

import sccl
from sccl.augment import Compose, preset
from sccl.dataloaders.collate import TwoViewCollate
from sccl.dataloaders.request import Request
from sccl.dataloaders.rows import CellDataset

N_BATCHES, BATCH_SIZE, N_GENES = 20, 256, 4000


def seconds(function, *arguments) -> float:
    start = perf_counter()
    function(*arguments)
    return perf_counter() - start


def simulated_cells(n_genes: int = N_GENES):
    """Cells of which a tenth of the values is not zero, as after the choice of variable genes."""
    adata = sccl.datasets.simulate(n_cells=N_BATCHES * BATCH_SIZE, n_genes=n_genes, seed=0)
    sccl.pp.preprocess(adata, n_top_genes=None)
    return adata


class Floor:
    """The least an eager step can do: two forward passes, loss, backward pass, fused Adam; the batch is given."""

    def __init__(self, n_genes: int = N_GENES) -> None:
        self.encoder = nn.Sequential(
            nn.Linear(n_genes, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 64), nn.BatchNorm1d(64)
        )
        self.projector = nn.Sequential(
            nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.BatchNorm1d(64)
        )
        self.network = nn.Sequential(self.encoder, self.projector)
        self.loss = NTXentLoss(temperature=0.5)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4, weight_decay=1e-6, fused=True)

    def step(self, views_vng: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        self.loss(self.network(views_vng[0]), self.network(views_vng[1])).backward()
        self.optimizer.step()


def shuffled_mask(fraction: float) -> np.ndarray:
    """Exactly that fraction of the genes, as the reference chooses them: a full mask, shuffled."""
    mask = np.arange(N_GENES) < int(fraction * N_GENES)
    np.random.shuffle(mask)
    return mask


def view_of_one_cell(x: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The CLEAR pipeline on one cell, one augmentation after the other, with NumPy's global generator."""
    row = row.copy()
    if np.random.uniform() < 0.5:
        row[shuffled_mask(0.2)] = 0
    if np.random.uniform() < 0.5:
        row = row + np.random.normal(0, 0.2, N_GENES) * shuffled_mask(0.8)
    if np.random.uniform() < 0.5:
        left, right = np.random.randint(N_GENES, size=(2, int(0.1 * N_GENES / 2)))
        row[left], row[right] = row[right], row[left]
    if np.random.uniform() < 0.5:
        mask = shuffled_mask(0.25)
        row[mask] = x[np.random.randint(len(x))][mask]
    return row.astype(np.float32)


def cell_by_cell_views(x: np.ndarray, cells: np.ndarray) -> torch.Tensor:
    """Two views per cell, one cell after the other, then stacked: how a map-style dataset makes them."""
    views = [torch.stack([torch.from_numpy(view_of_one_cell(x, x[cell])) for cell in cells]) for _ in range(2)]
    return torch.stack(views)


class BetweenEpochs(Callback):
    """Time each epoch, and run something else between them, so that both see the same machine."""

    def __init__(self, between) -> None:
        self.between, self.epochs, self.cpu_epochs, self.thread_epochs = between, [], [], []

    def on_train_epoch_start(self, trainer, plan) -> None:
        self.start, self.cpu_start, self.thread_start = perf_counter(), process_time(), thread_time()

    def on_train_epoch_end(self, trainer, plan) -> None:
        self.epochs.append(perf_counter() - self.start)
        self.cpu_epochs.append(process_time() - self.cpu_start)
        self.thread_epochs.append(thread_time() - self.thread_start)
        self.between()


def scvi_epoch(adata) -> float:
    """Seconds of the second epoch of scVI with its defaults and our minibatch size."""
    import scvi

    scvi.model.SCVI.setup_anndata(adata, layer="counts")
    timer = BetweenEpochs(lambda: None)
    scvi.model.SCVI(adata).train(
        max_epochs=2, train_size=1.0, batch_size=BATCH_SIZE, callbacks=[timer], enable_progress_bar=False
    )
    return timer.epochs[-1]


def concord_epoch(adata) -> float:
    """Seconds of an epoch of CONCORD with its defaults, of which 256 cells per minibatch is one: what two more take than one."""
    from concord import Concord

    def train(n_epochs: int, folder: str) -> None:
        model = Concord(adata.copy(), domain_key="batch", n_epochs=n_epochs, save_dir=folder, verbose=False)
        model.init_model()
        model.train(save_model=False)

    with TemporaryDirectory() as folder:
        train(1, folder)
        one, three = (seconds(train, n_epochs, folder) for n_epochs in (1, 3))
    return (three - one) / 2


def beside_others(adata, step_ms: float) -> dict[str, float]:
    """Return what a step of others takes, in milliseconds, and how many times as long as ours."""
    others = {"scVI": scvi_epoch} | ({"CONCORD": concord_epoch} if find_spec("concord") else {})
    taken = {name: 1000 * epoch(adata) / N_BATCHES for name, epoch in others.items()}
    return {f"{name} step_ms": ms for name, ms in taken.items()} | {
        f"{name}/ours": ms / step_ms for name, ms in taken.items()
    }


def measure_recipe(rounds: int) -> dict[str, float]:
    """An epoch of the recommended recipe, beside dense steps on a fixed batch."""
    adata = simulated_cells(2000)
    sccl.CLModel.setup_anndata(adata, batch_key="batch")
    floor = Floor(2000)
    fixed = torch.from_numpy(adata.X[: 2 * BATCH_SIZE].toarray()).unflatten(0, (2, BATCH_SIZE))
    steps: list[float] = []
    cpu_steps: list[float] = []

    def floor_steps() -> None:
        for _ in range(N_BATCHES):
            start = process_time()
            steps.append(seconds(floor.step, fixed))
            cpu_steps.append(process_time() - start)

    timer = BetweenEpochs(floor_steps)
    sccl.CLModel(adata).train(rounds + 1, batch_size=BATCH_SIZE, callbacks=[timer], enable_progress_bar=False)
    step, epoch_step = 1000 * median(steps), 1000 * median(timer.epochs[1:]) / N_BATCHES
    return {
        "recipe step_ms": step,
        "recipe epoch_step_ms": epoch_step,
        "recipe epoch/floor": epoch_step / step,
        "recipe cpu/floor": median(timer.cpu_epochs[1:]) / N_BATCHES / median(cpu_steps),
        "recipe thread/floor": median(timer.thread_epochs[1:]) / N_BATCHES / median(cpu_steps),
        **{f"recipe {name}": value for name, value in beside_others(adata, epoch_step).items()},
    }


def measure(rounds: int) -> dict[str, float]:
    """Return medians in milliseconds, and the ratios."""
    adata = simulated_cells()
    dense = adata.X.toarray()
    rng = np.random.default_rng(0)
    clear, floor = preset("clear"), Floor()
    base = preset("base").bind(sccl.graph.CellSpace(sccl.graph.representation(adata), adata.obs["batch"].to_numpy()))
    dataset = CellDataset(adata.X, np.zeros(adata.n_obs))
    everything = np.arange(adata.n_obs)

    def views(pipeline: Compose, epoch: int) -> torch.Tensor:
        cells = rng.choice(adata.n_obs, BATCH_SIZE, replace=False)
        steps = tuple(pipeline.draw(cells, pool=everything, seed=0, epoch=epoch, view=view) for view in range(2))
        return TwoViewCollate(pipeline)([dataset[Request(cells, steps)]])["views"]

    fixed = views(clear, 0)
    times: dict[str, list[float]] = {"step": [], "collate": [], "bbknn_collate": [], "cell_by_cell": []}

    def side_by_side() -> None:
        for repeat in range(N_BATCHES):
            times["step"].append(seconds(floor.step, fixed))
            times["collate"].append(seconds(views, clear, repeat))
            times["bbknn_collate"].append(seconds(views, base, repeat))
        cells = rng.choice(adata.n_obs, BATCH_SIZE, replace=False)
        times["cell_by_cell"].append(seconds(cell_by_cell_views, dense, cells))

    side_by_side()
    for kept in times.values():
        kept.clear()
    timer = BetweenEpochs(side_by_side)
    sccl.SimCLR.setup_anndata(adata)
    sccl.SimCLR(adata).train(
        rounds + 1, augmentation="clear", batch_size=BATCH_SIZE, callbacks=[timer], enable_progress_bar=False
    )
    ms = {name: 1000 * median(values) for name, values in times.items()}
    ms["epoch_step"] = 1000 * median(timer.epochs[1:]) / N_BATCHES
    return {
        **{f"{name}_ms": value for name, value in ms.items()},
        "collate/step": ms["collate"] / ms["step"],
        "bbknn collate/step": ms["bbknn_collate"] / ms["step"],
        "epoch/floor": ms["epoch_step"] / ms["step"],
        "reference-style/ours": (ms["cell_by_cell"] + ms["step"]) / ms["epoch_step"],
        **beside_others(adata, ms["epoch_step"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="epochs that are timed")
    parser.add_argument("--architectures", action="store_true", help="measure a step of each architecture instead")
    parser.add_argument("--recipe", action="store_true", help="measure the recommended recipe alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.architectures:
        table = measure_architectures()
        print(json.dumps({name: {key: round(value, 3) for key, value in row.items()} for name, row in table.items()}))
        for name, row in table.items():
            print(f"{name:>12} {row['ms']:8.1f} ms {row['ratio']:6.2f} ×")
        return
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    measured = measure_recipe(arguments.rounds) | ({} if arguments.recipe else measure(arguments.rounds))
    result = {name: round(value, 3) for name, value in measured.items()}
    print(json.dumps(result))
    for name, value in result.items():
        print(f"{name:>24} {value:10.3f}")


if __name__ == "__main__":
    main()

"""The reference benchmark's files are read unchanged, and its data come as plain torch datasets."""

import os
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pytest
import torch
import yaml
from scipy.sparse import csr_matrix
from torch.utils.data import DataLoader

import sccl
from sccl import graph
from sccl.augment import (
    BBKNN,
    MNN,
    CellsDataset,
    Compose,
    CrossOver,
    GaussianNoise,
    InnerSwap,
    Mask,
    TwoViewDataset,
    from_config,
    load_data,
    preset,
)
from sccl.augment.keys import cell_keys

ROOT = Path(__file__).parents[1]

CLEAR = """
name: null
mnn: {alpha: 0.5, apply_prob: 0, knn: 5, augment_set: ['int'], nsize: 1}
bbknn: {alpha: 0.5, apply_prob: 0, knn: 5, augment_set: ['exc'], nsize: 1}
gauss: {sigma: 0.2, noise_percentage: 0.8, apply_prob: 0.5}
mask: {mask_percentage: 0.2, apply_prob: 0.5}
innerswap: {swap_percentage: 0.1, apply_prob: 0.5}
crossover: {cross_percentage: 0.25, apply_prob: 0.5}
"""
BASE = """
mnn: {alpha: 0.5, apply_prob: 0, augment_set: ['int'], nsize: 1, knn: 10}
bbknn: {alpha: 0.5, apply_prob: 0, augment_set: ['exc', 'int'], nsize: 1, knn: 10}
gauss: {sigma: 0.2, noise_percentage: 0.8, apply_prob: 0}
mask: {mask_percentage: 0.2, apply_prob: 0}
innerswap: {swap_percentage: 0.1, apply_prob: 0}
crossover: {cross_percentage: 0.25, apply_prob: 0}
"""
COMBI = """
name: null
mnn: {alpha: 0.5, apply_prob: 0, knn: 5, augment_set: ['int'], nsize: 1}
bbknn: {alpha: 0.3, apply_prob: 0, knn: 5, augment_set: ['exc'], nsize: 1}
gauss: {sigma: 0.2, noise_percentage: 0.3, apply_prob: 0}
mask: {mask_percentage: 0.5, apply_prob: 0}
innerswap: {swap_percentage: 0.3, apply_prob: 0}
crossover: {cross_percentage: 0.25, apply_prob: 0}
"""
OURS = """
mnn: {alpha: 0.5, apply_prob: 0.5, knn: 3, augment_set: ['int'], nsize: 1}
bbknn: {alpha: 0.5, apply_prob: 0, knn: 3, augment_set: ['exc'], nsize: 1}
gauss: {sigma: 0.2, noise_percentage: 0.3, apply_prob: 0.5}
mask: {mask_percentage: 0.5, apply_prob: 0.5}
innerswap: {swap_percentage: 0.3, apply_prob: 0.5}
crossover: {cross_percentage: 0.25, apply_prob: 0}
"""


def read(text, **changes):
    """The mapping that a file holds, some of its entries' chances changed."""
    mapping = yaml.safe_load(text)
    for name, p in changes.items():
        mapping[name]["apply_prob"] = p
    return mapping


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CLEAR, [Mask(0.2, 0.5), GaussianNoise(0.2, 0.8, 0.5), InnerSwap(0.1, 0.5), CrossOver(0.25, 0.5)]),
        (BASE, []),
        (COMBI, []),
        (
            OURS,
            [
                MNN(0.5, k=3, mode=("interpolate",), p=0.5),
                Mask(0.5, 0.5),
                GaussianNoise(0.2, 0.3, 0.5),
                InnerSwap(0.3, 0.5),
            ],
        ),
    ],
    ids=["clear", "base", "combi", "ours"],
)
def test_the_four_files_are_read_unchanged_and_applied_in_the_references_order(text, expected):
    assert from_config(read(text)) == Compose(expected)


def test_every_key_of_a_file_is_understood():
    everything = dict.fromkeys(["mnn", "bbknn", "gauss", "mask", "innerswap", "crossover"], 1.0)
    mnn, mask, gauss, swap, crossover, bbknn = from_config(read(COMBI, **everything)).augmentations
    assert mnn == MNN(0.5, k=5, mode=("interpolate",), p=1.0)
    assert (mask, gauss) == (Mask(0.5, 1.0), GaussianNoise(0.2, 0.3, 1.0))
    assert (swap, crossover) == (InnerSwap(0.3, 1.0), CrossOver(0.25, 1.0))
    assert bbknn == BBKNN(0.3, k=5, mode=("exchange",), p=1.0)
    several = {"bbknn": {"apply_prob": 0.2, "augment_set": ["int", "geo", "exc"], "nsize": 3, "knn": 7, "alpha": 0.1}}
    assert from_config(several) == Compose(
        [BBKNN(0.1, k=7, mode=("interpolate", "geometric", "exchange"), p=0.2, n_mixed=3)]
    )


@pytest.mark.parametrize("name", ["mnn", "bbknn", "gauss", "mask", "innerswap", "crossover"])
def test_a_name_sets_the_chance_of_that_augmentation_to_a_half(name):
    named = from_config({**read(BASE), "name": name})
    assert named == from_config(read(BASE, **{name: 0.5}))
    assert len(named.augmentations) == 1


def canonical(pipeline):
    """The same augmentations with their mixing modes written as a set."""
    return [
        {**vars(item), "mode": frozenset([item.mode] if isinstance(item.mode, str) else item.mode), "cls": type(item)}
        if hasattr(item, "mode")
        else item
        for item in pipeline.augmentations
    ]


@pytest.mark.parametrize(
    ("name", "text", "on"),
    [
        ("clear", CLEAR, []),
        ("base", BASE, ["gauss", "mask", "innerswap", "crossover", "bbknn"]),
        ("combi", COMBI, ["gauss", "mask", "innerswap", "crossover", "bbknn"]),
        ("ours", OURS, []),
    ],
)
def test_the_presets_are_the_references_pipelines(name, text, on):
    assert canonical(preset(name)) == canonical(from_config(read(text, **dict.fromkeys(on, 0.5))))


def test_the_claire_preset_is_mnn_on_every_view_and_refines_while_it_learns():
    (mnn,) = preset("claire").augmentations
    assert (mnn.alpha, mnn.k, mnn.mode, mnn.p, mnn.draw_alpha) == (0.5, 10, "interpolate", 1.0, True)
    assert mnn.refresh_every


@pytest.mark.parametrize(
    ("mapping", "error", "message"),
    [
        ({"msk": {"apply_prob": 0.5}}, KeyError, "did you mean 'mask'"),
        ({"mask": {"apply_prob": 0.5, "mask_percentag": 0.2}}, KeyError, "did you mean 'mask_percentage'"),
        ({"gauss": {"apply_prob": 0.5, "sigm": 0.2}}, KeyError, "did you mean 'sigma'"),
        ({"name": "bbkn", "mask": {}}, KeyError, "did you mean 'bbknn'"),
        ({"mnn": {"apply_prob": 0.5, "augment_set": ["avg"]}}, ValueError, "augment_set"),
        ({"mask": {"apply_prob": 1.5}}, ValueError, "`p`"),
        ({"mask": {"apply_prob": 0.5, "mask_percentage": 20}}, ValueError, "fraction"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_with_the_nearest_name(mapping, error, message):
    with pytest.raises(error, match=message):
        from_config(mapping)


def test_semantics_are_those_of_the_reference_alone():
    with pytest.raises(ValueError, match="semantics"):
        from_config(read(CLEAR), semantics="realeased")
    with pytest.raises(ValueError, match="apply_prob"):
        from_config({"mask": {"fraction": 0.2}}, semantics="released")


# What the released code does, next to what it says


def mapped(mapping, x, *, semantics):
    """A view of a tensor of ones, one row per cell."""
    return from_config(mapping, semantics=semantics)(x)


def test_mask_percentage_is_the_fraction_masked_and_in_the_released_code_the_fraction_kept():
    mapping, x = read(CLEAR, mask=1.0, gauss=0, innerswap=0, crossover=0), torch.ones(200, 500)
    torch.manual_seed(0)
    assert abs(mapped(mapping, x, semantics="corrected").mean() - 0.8) < 0.01
    assert abs(mapped(mapping, x, semantics="released").mean() - 0.2) < 0.01


@pytest.mark.parametrize("semantics", ["corrected", "released"])
def test_innerswap_permutes_each_cell_and_leaves_the_stored_data_alone(semantics):
    mapping = read(OURS, mnn=0, gauss=0, mask=0, innerswap=1.0)
    x = np.random.default_rng(0).permutation(60 * 100).reshape(60, 100).astype(np.float32)
    stored = csr_matrix(x)
    dataset = TwoViewDataset(stored, from_config(mapping, semantics=semantics))
    for _ in range(3):
        items = dataset.__getitems__(range(60))
        for view in (0, 1):
            views = np.stack([views[view].numpy() for views, _ in items])
            assert np.array_equal(np.sort(views), np.sort(x))
            assert ((views != x).sum(axis=1) == 30).all()
            assert not np.shares_memory(views, stored.data)
        # The two views are each their own copy.
        assert not np.array_equal(items[0][0][0], items[0][0][1])
        assert items[0][0][0].untyped_storage().data_ptr() != items[0][0][1].untyped_storage().data_ptr()
    assert np.array_equal(stored.toarray(), x)


class Toy:
    """Three interleaved batches of unequal size with four types."""

    def __init__(self, n_cells=300):
        rng = np.random.default_rng(0)
        self.batch = rng.choice(["a", "b", "c"], n_cells, p=[0.5, 0.3, 0.2])
        self.type = rng.integers(4, size=n_cells)
        shift = {name: rng.normal(0, 1.5, 10) for name in "abc"}
        self.space = rng.normal(0, 2, (4, 10))[self.type] + np.stack([shift[name] for name in self.batch])
        self.space += rng.normal(0, 0.4, self.space.shape)
        self.cells = np.arange(n_cells)

    def partners(self, mapping, *, view, semantics):
        (bound,) = from_config(mapping, semantics=semantics).bind(graph.CellSpace(self.space, self.batch)).augmentations
        return np.stack(
            [
                bound.partners(
                    self.cells,
                    cell_keys(self.cells, seed=0, epoch=epoch, view=view),
                    view=view,
                    pool=self.cells,
                )
                for epoch in range(50)
            ]
        )


def test_bbknn_partners_are_neighbours_and_in_the_released_code_positions_in_their_list():
    toy, mapping = Toy(), {"bbknn": {"apply_prob": 1.0, "knn": 3}}
    row = graph.as_graph(graph.batch_balanced_knn(toy.space, toy.batch, k=3), len(toy.cells))
    released, corrected = (toy.partners(mapping, view=0, semantics=which)[:, 0] for which in ("released", "corrected"))
    assert (released < row.degrees).all()
    assert (toy.type[corrected] == toy.type).mean() > 0.95
    assert abs((toy.type[released] == toy.type).mean() - 0.25) < 0.1


def test_mnn_anchors_are_of_another_batch_and_type_and_in_the_released_code_of_any():
    toy, mapping = Toy(), {"mnn": {"apply_prob": 1.0}}
    agreement = {}
    for semantics in ("corrected", "released"):
        start = toy.partners(mapping, view=1, semantics=semantics)[:, 0]
        moved = start != toy.cells
        assert moved.mean() > 0.4
        agreement[semantics] = (
            (toy.batch[start] != toy.batch)[moved].mean(),
            (toy.type[start] == toy.type)[moved].mean(),
        )
    cross_batch, same_type = agreement["corrected"]
    assert cross_batch == 1
    assert same_type > 0.95
    cross_batch, same_type = agreement["released"]
    assert cross_batch < 0.75
    assert same_type < 0.4


def test_mnn_mixes_with_near_cells_of_the_batch_and_in_the_released_code_with_the_first_rows():
    toy, mapping = Toy(), {"mnn": {"apply_prob": 1.0, "knn": 5}}
    released, corrected = (toy.partners(mapping, view=0, semantics=which)[:, 1] for which in ("released", "corrected"))
    assert set(released.ravel()) == set(range(5))
    assert (toy.batch[corrected] == toy.batch).all()
    assert (toy.type[corrected] == toy.type).mean() > 0.95


@pytest.mark.parametrize("name", ["mnn", "bbknn"])
def test_mixing_weights_are_drawn_and_in_the_released_code_fixed(name):
    toy, mapping = Toy(), {name: {"apply_prob": 1.0, "alpha": 0.4, "augment_set": ["int"]}}
    weights = {}
    x = csr_matrix(np.ones((300, 1), np.float32) * toy.cells[:, None])
    for semantics in ("corrected", "released"):
        bound = from_config(mapping, semantics=semantics).bind(graph.CellSpace(toy.space, toy.batch))
        (step,) = steps = bound.draw(toy.cells, pool=toy.cells, seed=0, epoch=0, view=0)
        view = bound.fill(torch.empty(300, 1), x, toy.cells, steps).numpy()[:, 0].astype(np.float64)
        other = step.partners[-1]
        far = np.abs(toy.cells - other) > 20
        weights[semantics] = (view - other)[far] / (toy.cells - other)[far]
    assert np.allclose(weights["released"], 0.4, atol=1e-4)
    assert 0.39 < weights["corrected"].min() < 0.45
    assert 0.95 < weights["corrected"].max() < 1.01


# Plain torch datasets


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file of raw counts, three batches."""
    adata = sccl.datasets.simulate(n_cells=240, n_genes=120, n_batches=3, n_types=4, seed=0)
    adata.obs["donor"] = np.resize([1, 2], adata.n_obs)
    path = tmp_path_factory.mktemp("data") / "cells.h5ad"
    adata.write_h5ad(path)
    return path


def config_of(file, augmentation=None, **data):
    augmentation = {"mask": {"fraction": 0.5, "p": 1.0}} if augmentation is None else augmentation
    return {"data": {"data_path": str(file), "n_hvgs": 60, **data}, "augmentation": augmentation}


def test_loaded_data_are_two_views_the_cells_themselves_and_what_they_come_from(file):
    views, cells, adata = load_data(config_of(file))
    assert isinstance(views, TwoViewDataset)
    assert isinstance(cells, CellsDataset)
    assert len(views) == len(cells) == adata.n_obs == 240
    assert adata.shape == (240, 60)
    (one, two), cell = views[7]
    x, same = cells[7]
    assert cell == same == 7
    for tensor in (one, two, x):
        assert tensor.shape == (60,)
        assert tensor.dtype == torch.float32
    assert np.allclose(x, adata.X[7].toarray()[0])
    assert 0 < adata.X.max() < 15  # log-expression
    for view in (one, two):
        kept = view != 0
        assert torch.equal(view[kept], x[kept])
    assert not torch.equal(one, two)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_anybodys_data_loader_shuffles_and_batches_the_views(file, num_workers):
    views, cells, adata = load_data(config_of(file))
    loader = DataLoader(views, batch_size=50, shuffle=True, num_workers=num_workers)
    batches = list(loader)
    assert [len(cell) for _, cell in batches] == [50, 50, 50, 50, 40]
    order = torch.cat([cell for _, cell in batches])
    assert sorted(order.tolist()) == list(range(240))
    assert order.tolist() != list(range(240))
    x = torch.from_numpy(adata.X.toarray())
    for (one, two), cell in batches:
        assert one.shape == two.shape == (len(cell), 60)
        for view in (one, two):
            assert torch.equal(view[view != 0], x[cell][view != 0])
    for x_batch, cell in DataLoader(cells, batch_size=64, num_workers=num_workers):
        assert torch.equal(x_batch, x[cell])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_views_are_new_each_time_and_a_torch_seed_repeats_them(file, num_workers):
    views, _, _ = load_data(config_of(file))
    loader = DataLoader(views, batch_size=60, num_workers=num_workers)

    def epoch():
        batches = list(loader)
        return torch.stack([torch.cat([both[i] for both, _ in batches]) for i in (0, 1)])

    torch.manual_seed(0)
    first, second = epoch(), epoch()
    torch.manual_seed(0)
    assert torch.equal(epoch(), first)
    masks = [view != 0 for view in (*first, *second)]
    for i in range(4):
        for j in range(i):
            assert 0.05 < (masks[i] != masks[j]).float().mean()
    # Nor do two minibatches, fetched by different workers, share their randomness.
    ones = TwoViewDataset(np.ones((120, 60), np.float32), Compose([Mask(0.5, p=1.0)]))
    parts = [both[0] for both, _ in DataLoader(ones, batch_size=60, num_workers=num_workers)]
    assert abs(torch.corrcoef(torch.stack([part.flatten() for part in parts]))[0, 1]) < 0.1


def test_neighbour_augmentations_are_bound_to_the_loaded_cells(file):
    views, _, adata = load_data(config_of(file, {"mnn": {"apply_prob": 1.0, "nsize": 1}}))
    steps = views.augmentation.draw(np.arange(240), pool=np.arange(240), seed=0, epoch=0, view=1)
    start, mixed = steps[0].partners
    batch = adata.obs["batch"].to_numpy()
    moved = start != np.arange(240)
    assert moved.mean() > 0.2
    assert (batch[start] != batch)[moved].all()
    assert (batch[mixed] == batch[start]).all()
    (one, two), _ = views[0]
    assert not torch.equal(one, two)


def test_a_reference_file_and_its_semantics_reach_the_views(file):
    mapping = read(CLEAR, mask=1.0, gauss=0, innerswap=0, crossover=0)
    kept = {}
    for semantics in ("corrected", "released"):
        views, _, adata = load_data(config_of(file, mapping), semantics=semantics)
        total = sum((one != 0).sum().item() for (one, _), _ in views.__getitems__(range(240)))
        kept[semantics] = total / adata.X.nnz
    assert abs(kept["corrected"] - 0.8) < 0.03
    assert abs(kept["released"] - 0.2) < 0.03


@pytest.mark.parametrize(
    ("held_out", "key"), [("batch_2", "batch"), (["batch_1", "batch_3"], "batch"), (2, "donor"), ((1,), "donor")]
)
def test_held_out_cells_are_left_out_before_genes_are_chosen(file, held_out, key):
    raw = anndata.read_h5ad(file)
    names = [held_out] if isinstance(held_out, str | int) else list(held_out)
    kept = raw[~raw.obs[key].isin(names)].copy()
    sccl.pp.preprocess(kept, batch_key=key, n_top_genes=60)
    views, cells, adata = load_data(config_of(file, holdout_batch=held_out, batch_key=key))
    assert len(views) == len(cells) == adata.n_obs == kept.n_obs < 240
    assert not adata.obs[key].isin(names).any()
    assert adata.var_names.equals(kept.var_names)
    assert np.array_equal(adata.X.toarray(), kept.X.toarray())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda config: config.pop("data"), KeyError, "lacks 'data'"),
        (lambda config: config.pop("augmentation"), KeyError, "lacks 'augmentation'"),
        (lambda config: config["data"].pop("data_path"), KeyError, "lacks 'data_path'"),
        (lambda config: config["data"].update(data_path="nowhere.h5ad"), ValueError, "nowhere.h5ad"),
        (lambda config: config["data"].update(batch_key="btch"), KeyError, "btch"),
        (lambda config: config["data"].update(n_hvg=30), KeyError, "did you mean 'n_hvgs'"),
        (lambda config: config["data"].update(holdout_batch="batch_9"), ValueError, "batch_9"),
        (lambda config: config["data"].update(holdout_batch=["batch_1", 3]), ValueError, "3"),
        (lambda config: config["data"].update(holdout_batch=["batch_1", "batch_2", "batch_3"]), ValueError, "0 cells"),
        (lambda config: config["augmentation"].update(msk={}), KeyError, "did you mean 'mask'"),
    ],
)
def test_what_cannot_be_loaded_is_refused_by_name(file, change, error, message):
    config = config_of(file)
    change(config)
    with pytest.raises(error, match=message):
        load_data(config)


def test_datasets_end_where_the_cells_end(file):
    for dataset in load_data(config_of(file))[:2]:
        assert [cell for _, cell in dataset] == list(range(240))
        for wrong in (240, -1, 10**6):
            with pytest.raises(IndexError, match=f"no cell {wrong}"):
                dataset[wrong]


@pytest.mark.slow
def test_the_plain_torch_example_learns(tmp_path):
    adata = sccl.datasets.simulate(n_cells=600, n_genes=500, n_batches=2, n_types=4, type_strength=2.0, seed=0)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    result = subprocess.run(
        [sys.executable, ROOT / "docs" / "plain_torch.py", tmp_path / "cells.h5ad", "15"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    losses = [float(line.split()[-1]) for line in result.stdout.splitlines()]
    assert len(losses) == 15
    assert losses[-1] < losses[0] - 0.3
    z = np.load(tmp_path / "cells.npy")
    assert z.shape == (600, 64)
    nearest, _ = graph.knn(z, k=10)
    types = adata.obs["cell_type"].to_numpy()
    assert (types[nearest] == types[:, None]).mean() > 0.8
    n_lines = len([line for line in (ROOT / "docs" / "plain_torch.py").read_text().splitlines() if line[:5] == "    "])
    assert n_lines <= 30

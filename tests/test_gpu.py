"""On a GPU models train reproducibly, to the same quality, and exchange weights with the CPU.

SCCL_TEST_GPU=1 pytest tests/test_gpu.py
"""

import anndata
import numpy as np
import pytest
import scvi
import torch
from purity import purity

import sccl

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU, or SCCL_TEST_GPU is not set")

QUIET = {"enable_progress_bar": False, "accelerator": "gpu"}


@pytest.fixture(scope="module")
def adata():
    adata = sccl.datasets.simulate(n_cells=600, n_genes=200, n_batches=2, n_types=4, seed=0)
    sccl.pp.preprocess(adata, batch_key="batch", n_top_genes=None)
    return adata


def trained(adata, cls, n_epochs, **kwargs):
    scvi.settings.seed = 0
    cls.setup_anndata(adata, batch_key="batch")
    model = cls(adata)
    model.train(n_epochs, **{**QUIET, **kwargs})
    return model


@pytest.mark.parametrize("name", sccl.model.__all__)
def test_one_seed_gives_one_embedding(adata, name):
    cls = getattr(sccl, name)
    model = trained(adata, cls, 2)
    assert model.device.type == "cuda"
    once = model.get_latent_representation()
    assert np.isfinite(once).all()
    assert np.array_equal(trained(adata, cls, 2).get_latent_representation(), once)


@pytest.mark.filterwarnings("ignore:GPU available but not used")
def test_types_are_learned_as_on_the_cpu(real_data):
    adata = anndata.read_h5ad(real_data / "pbmc_3tech.h5ad")
    sccl.pp.preprocess(adata, batch_key="batch")
    types = adata.obs["cell_type"].to_numpy(dtype=str)
    gpu, cpu = (
        purity(trained(adata, sccl.CLModel, 50, accelerator=name).get_latent_representation(), types)
        for name in ("gpu", "cpu")
    )
    assert gpu > 0.85
    assert abs(gpu - cpu) < 0.01


def test_a_model_goes_from_one_device_to_the_other(adata, tmp_path):
    model = trained(adata, sccl.CLModel, 2)
    model.save(tmp_path / "model")
    z = model.get_latent_representation()
    there, here = (sccl.CLModel.load(tmp_path / "model", adata, accelerator=name) for name in ("gpu", "cpu"))
    assert (there.device.type, here.device.type) == ("cuda", "cpu")
    assert np.array_equal(there.get_latent_representation(), z)
    np.testing.assert_allclose(here.get_latent_representation(), z, atol=1e-4)
    here.train(1, **QUIET)  # and back again
    assert np.isfinite(here.get_latent_representation()).all()


def test_a_query_is_fine_tuned_and_the_reference_stays(adata):
    query = adata[::5].copy()
    model = trained(adata, sccl.CLModel, 2)
    z, mapped = model.get_latent_representation(), model.map_query(query)
    adapted = sccl.CLModel.load_query_data(query, model)
    assert adapted.device.type == "cuda"
    assert np.array_equal(adapted.get_latent_representation(), mapped)
    adapted.train(2, **QUIET)
    assert not np.allclose(adapted.get_latent_representation(), mapped, atol=1e-3)
    assert np.array_equal(model.get_latent_representation(), z)


AUGMENTATIONS = [
    sccl.augment.Mask(0.4, p=1),
    sccl.augment.GaussianNoise(p=1),
    sccl.augment.MultiplicativeNoise(),
    sccl.augment.InnerSwap(p=1),
    sccl.augment.CrossOver(p=1),
    sccl.augment.Compose([sccl.augment.Mask(), lambda x_ng: x_ng * torch.rand_like(x_ng)]),
]


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=lambda augmentation: type(augmentation).__name__)
def test_views_are_made_where_the_cells_are(adata, augmentation):
    x_ng = torch.from_numpy(adata.X[:50].toarray()).cuda()
    before = x_ng.clone()
    first, again, other = (augmentation(x_ng, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first.device == x_ng.device
    assert torch.equal(x_ng, before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, x_ng)

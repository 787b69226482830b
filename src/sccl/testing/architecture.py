"""What an architecture must satisfy."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sccl import datasets, module, pp
from sccl.model import CLModel


class ArchitectureTests:
    """Contract of an :class:`sccl.module.Architecture`.

    Attributes
    ----------
    architecture
        The class.
    hyper_parameters
        What it is made with, beside ``n_latent``.
    """

    architecture: ClassVar[type[module.Architecture]]
    hyper_parameters: ClassVar[dict[str, Any]] = {}
    n_cells: ClassVar[int] = 24
    n_latent: ClassVar[int] = 16

    def make(self, seed: int = 0) -> module.ContrastiveModule:
        """Return a network with this architecture, and an encoder of 30 genes."""
        torch.manual_seed(seed)
        encoder = module.Encoder(30, n_hidden=20, n_latent=self.n_latent)
        return module.ContrastiveModule(encoder, self.architecture(self.n_latent, **self.hyper_parameters))

    def views(self, seed: int = 1) -> Tensor:
        """Return two views, 2 × cells × genes."""
        cells_ng = torch.rand(self.n_cells, 30, generator=torch.Generator().manual_seed(seed))
        return torch.stack([cells_ng, cells_ng + 0.1])

    def test_the_loss_is_a_finite_number_that_the_encoder_learns_from(self) -> None:
        """Of the right shape, with a gradient for every parameter of the encoder."""
        network = self.make().train()
        with torch.no_grad():
            network(self.views(2))  # a queue starts empty
        loss = network(self.views()).projections.loss
        assert loss.shape == ()
        assert loss.isfinite()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.encoder.parameters())
        assert any(p.grad.abs().sum() > 0 for p in network.encoder.parameters())

    def test_there_is_a_projection_for_every_cell(self) -> None:
        """Of both views, and of any number of cells."""
        network = self.make().eval()
        projections = network(self.views()).projections
        assert projections.z1_nd.shape == projections.z2_nd.shape
        assert len(projections.z1_nd) == self.n_cells
        for n_cells in (1, 2, self.n_cells):
            assert len(network.represent(self.views()[0, :n_cells], projection=True)) == n_cells

    def test_a_seed_gives_one_result(self) -> None:
        """The same loss twice."""
        losses = [self.make(seed=3).train()(self.views()).projections.loss.item() for _ in range(2)]
        assert losses[0] == losses[1]

    def test_nothing_changes_in_evaluation(self) -> None:
        """Queues, targets and averages move in training alone."""
        network = self.make().eval()
        before = deepcopy(network.state_dict())
        with torch.no_grad():
            network(self.views())
        assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())

    def test_a_minibatch_of_two_and_a_validation_cell_alone_are_fine(self) -> None:
        """What a small data set leaves."""
        network = self.make()
        assert network.train()(self.views()[:, :2]).projections.loss.isfinite()
        with torch.no_grad():
            assert network.eval()(self.views()[:, :1]).projections.loss.isfinite()

    def test_its_state_is_saved_and_loaded(self) -> None:
        """After a step, another network with the same state computes the same."""
        network, other = self.make(seed=0).train(), self.make(seed=5)
        network(self.views())
        network.update_target(step=0, n_steps=10)
        other.load_state_dict(network.state_dict())
        with torch.no_grad():
            assert network.eval()(self.views()).projections.loss == other.eval()(self.views()).projections.loss

    def test_it_trains_a_model_that_is_saved_and_loaded(self, tmp_path: Any) -> None:
        """As any model does: finite, repeatable, and the same after loading."""
        adata = datasets.simulate(n_cells=120, n_genes=60, n_batches=2, n_types=3, mean_count=2.0, seed=0)
        pp.preprocess(adata, batch_key="batch", n_top_genes=None)
        contents = {"_architecture_cls": self.architecture, "_architecture_defaults": dict(self.hyper_parameters)}
        model_cls: Any = type("TestedModel", (CLModel,), contents)
        embeddings = []
        for _ in range(2):
            model_cls.setup_anndata(adata, batch_key="batch")
            torch.manual_seed(0)
            model = model_cls(adata, n_latent=self.n_latent)
            model.train(
                2, augmentation="mask", sampling="uniform", batch_size=32, accelerator="cpu", enable_progress_bar=False
            )
            embeddings.append(model.get_latent_representation())
        assert np.isfinite(embeddings[0]).all()
        assert np.array_equal(*embeddings)
        model.save(str(tmp_path / "model"))
        loaded = model_cls.load(str(tmp_path / "model"), adata, accelerator="cpu")
        assert np.array_equal(loaded.get_latent_representation(), embeddings[0])

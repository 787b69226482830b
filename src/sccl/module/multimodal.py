"""RNA and proteins: an encoder for each, and the ways to make one representation of the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from scvi.module.base import BaseModuleClass
from torch import nn

from sccl.inputs import as_real, check_choice
from sccl.module.architecture import Projections
from sccl.module.clip import clip_loss
from sccl.module.contrastive import ContrastiveOutput
from sccl.module.readout import Readout

if TYPE_CHECKING:
    from torch import Tensor

    from sccl.module.architecture import Architecture
    from sccl.module.encoder import Encoder

Integrate = Literal["add", "mean", "concat", "clip"]

#: Under which the one architecture is found that compares what was made of all modalities.
JOINT = "joint"


class MultimodalModule(BaseModuleClass):
    """Two views of each modality in, a loss out. Architectures see representations, as of a single modality.

    A modality that was not measured in a cell is a row of NaN. Such a row goes through no encoder, and counts in no mean.

    Parameters
    ----------
    encoders
        From a modality's features to representations of one width, by the modality's name.
    make_architecture
        Makes an architecture for representations of a given width.
    integrate
        ``"add"``, ``"mean"``: the sum, or the mean, of the representations; what was not measured is as the mean of what was.
        ``"concat"``: one beside the other, zeros for what was not measured. The architecture compares these.
        ``"clip"``: an architecture for each modality, with heads and memory of its own, and in addition the two
        modalities of a cell are to find each other among those of the minibatch (:func:`sccl.module.clip.clip_loss`); the
        representation is the mean.
    modality_dropout
        Chance, in ``[0, 1)``, that one of the modalities of a cell is left out of a view while training, if both were
        measured. Cells with one of them only come to lie where they would with both. Not for ``"clip"``, which sees to it.
    temperature
        Of the loss of ``"clip"``, > 0.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    takes_sparse_rows = False  # rows of NaN say what was not measured

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        make_architecture: Callable[[int], Architecture],
        *,
        integrate: Integrate,
        modality_dropout: float = 0.2,
        temperature: float = 0.5,
    ) -> None:
        super().__init__()
        check_choice(integrate, "integrate", get_args(Integrate))
        as_real(modality_dropout, "modality_dropout", "[0, 1)")
        as_real(temperature, "temperature", "(0, ∞)")
        self.integrate, self.modality_dropout, self.temperature = integrate, modality_dropout, temperature
        self.encoder: Any = nn.ModuleDict(encoders)
        (self.n_each,) = {encoder.n_latent for encoder in encoders.values()}
        self.n_latent = self.n_each * len(encoders) if integrate == "concat" else self.n_each
        names = list(encoders) if integrate == "clip" else [JOINT]
        self.architecture: Any = nn.ModuleDict({name: make_architecture(self.n_latent) for name in names})
        made = {name: self._architecture_of(name).make_target(encoder) for name, encoder in encoders.items()}
        self.target: Any = nn.ModuleDict({name: target for name, target in made.items() if target is not None})
        self.readout = Readout(self.n_latent)

    def forward(self, views: Mapping[str, Tensor]) -> ContrastiveOutput:
        """Encode the two views of each modality and compare them.

        Parameters
        ----------
        views
            For each modality 2 × cells × features, with rows of NaN, the same in both views, for the cells that lack it.
        """
        measured_mn = torch.stack([~x_vnf[0, :, 0].isnan() for x_vnf in views.values()])
        h_mvnd = encode(self.encoder, views, self.n_each)
        targets = [encode(self.target, views, self.n_each)] if self.target else []
        if self.integrate == "clip":
            return self._contrast_modalities([h_mvnd, *targets], measured_mn)
        seen_mvn = self._leave_out(measured_mn)
        first, *rest = [fuse(h, seen_mvn, self.integrate) for h in (h_mvnd, *targets)]
        return ContrastiveOutput(first, self.architecture[JOINT](*first, *(h_nd for h in rest for h_nd in h)))

    def update_target(self, *, step: int, n_steps: int) -> None:
        """Adjust the targets after an optimiser step; see :meth:`sccl.module.Architecture.update_target`."""
        if self.integrate != "clip":
            target = self.target if self.target else None
            self.architecture[JOINT].update_target(self.encoder, target, step=step, n_steps=n_steps)
            return
        for name, architecture in self.architecture.items():
            target = self.target[name] if self.target else None
            architecture.update_target(self.encoder[name], target, step=step, n_steps=n_steps)

    def represent(self, x: Mapping[str, Tensor], *, projection: bool = False, readout: bool = True) -> Tensor:
        """Return the embedding of cells of which one or both modalities are given; or projections, or representations.

        Parameters
        ----------
        x
            For one or both modalities cells × features, with rows of NaN for the cells that lack it.
        projection, readout
            See :meth:`sccl.module.ContrastiveModule.represent`.
        """
        n_cells = len(next(iter(x.values())))
        lacking = {name: x[name] if name in x else self._nothing(name, n_cells) for name in self.encoder}
        seen_m1n = torch.stack([~x_nf[None, :, 0].isnan() for x_nf in lacking.values()])
        h_m1nd = encode(self.encoder, {name: x_nf[None] for name, x_nf in lacking.items()}, self.n_each)
        if projection and self.integrate == "clip":
            z_m1nd = torch.stack(
                [
                    architecture.project(h_nd)[None]
                    for architecture, (h_nd,) in zip(self.architecture.values(), h_m1nd, strict=True)
                ]
            )
            return fuse(z_m1nd, seen_m1n, "mean")[0]
        h_nd = fuse(h_m1nd, seen_m1n, self.integrate)[0]
        if projection:
            return self.architecture[JOINT].project(h_nd)
        return self.readout(h_nd) if readout else h_nd

    def _architecture_of(self, modality: str) -> Architecture:
        return self.architecture[modality if self.integrate == "clip" else JOINT]

    def _nothing(self, name: str, n_cells: int) -> Tensor:
        weight = next(self.encoder[name].parameters())
        return weight.new_full((n_cells, self.encoder[name].n_genes), torch.nan)

    def _leave_out(self, measured_mn: Tensor) -> Tensor:
        """Return what is seen of each cell in each of two views: modalities × views × cells."""
        n_modalities, n_cells = measured_mn.shape
        seen_mvn = measured_mn[:, None].expand(-1, 2, -1)
        if not (self.training and self.modality_dropout):
            return seen_mvn
        device = measured_mn.device
        drawn_vn = torch.randint(n_modalities, (2, n_cells), device=device)
        is_drawn_mvn = drawn_vn == torch.arange(n_modalities, device=device)[:, None, None]
        drops_vn = torch.rand(2, n_cells, device=device) < self.modality_dropout
        return seen_mvn & ~(is_drawn_mvn & drops_vn & measured_mn.all(0))

    def _contrast_modalities(self, h_emvnd: list[Tensor], measured_mn: Tensor) -> ContrastiveOutput:
        """Compare the views within each modality, and the modalities of each cell with each other."""
        parts = []
        for i, architecture in enumerate(self.architecture.values()):
            if measured_mn[i].any():
                parts.append(architecture(*(h[i, view][measured_mn[i]] for h in h_emvnd for view in (0, 1))))
        h_mvnd = h_emvnd[0]
        losses = [torch.stack([part.loss for part in parts]).mean()] if parts else [h_mvnd.sum() * 0]
        both_n = measured_mn.all(0)
        if both_n.any():
            a_vnd, b_vnd = (h_mvnd[i][:, both_n] for i in (0, 1))
            # across the views, so that what two modalities share is not what was done to one view
            losses.append(
                0.5
                * (clip_loss(a_vnd[0], b_vnd[1], self.temperature) + clip_loss(a_vnd[1], b_vnd[0], self.temperature))
            )
        z1_nd, z2_nd = (torch.cat([part[1 + v] for part in parts]) if parts else h_mvnd[0, v] for v in (0, 1))
        h_vnd = fuse(h_mvnd, measured_mn[:, None].expand(-1, 2, -1), "mean")
        return ContrastiveOutput(h_vnd, Projections(torch.stack(losses).sum(), z1_nd, z2_nd))


def encode(encoders: nn.ModuleDict, views: Mapping[str, Tensor], n_latent: int) -> Tensor:
    """Return the representations of each modality, modalities × views × cells × dimensions; zeros for rows of NaN."""
    encoded = []
    for name, encoder in encoders.items():
        x_mf = views[name].flatten(0, 1)
        measured_m = ~x_mf[:, 0].isnan()
        if measured_m.all():
            h_md = encoder(x_mf)
        elif measured_m.any():  # in training two rows at least, for there are two views, as BatchNorm needs
            found = encoder(x_mf[measured_m])
            h_md = found.new_zeros(len(x_mf), n_latent).index_put((measured_m.nonzero()[:, 0],), found)
        else:
            h_md = x_mf.new_zeros(len(x_mf), n_latent)
        encoded.append(h_md.unflatten(0, views[name].shape[:2]))
    return torch.stack(encoded)


def fuse(h_mvnd: Tensor, seen_mvn: Tensor, integrate: str) -> Tensor:
    """Make one representation of those of all modalities, views × cells × dimensions.

    Parameters
    ----------
    h_mvnd
        Modalities × views × cells × dimensions.
    seen_mvn
        Which of them count; where none does, the result is 0.
    integrate
        ``"add"``, ``"mean"`` or ``"concat"``, see :class:`MultimodalModule`; ``"clip"`` is as ``"mean"``.
    """
    h_mvnd = h_mvnd * seen_mvn[..., None]
    if integrate == "concat":
        return torch.cat(list(h_mvnd), dim=-1)
    mean_vnd = h_mvnd.sum(0) / seen_mvn.sum(0).clamp(min=1)[..., None]
    return mean_vnd * len(h_mvnd) if integrate == "add" else mean_vnd

"""One minibatch, of which each of several processes holds a share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable


def gather(share_nd: Tensor) -> Tensor:
    """Return the rows of all processes, in their order, on each of them, with gradient.

    Parameters
    ----------
    share_nd
        This process's rows; there may be as many as one likes, none too, but their other dimensions are the same everywhere.

    Notes
    -----
    The gradient of a process's rows is the sum of what all processes make of them. Where all of them compute the same loss from
    the joint rows and the gradients of their weights are averaged, as :class:`~torch.nn.parallel.DistributedDataParallel` does,
    that is the gradient of that loss.
    """
    return _Gather.apply(share_nd)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, share_nd: Tensor) -> Tensor:
        n_ranks = distributed.get_world_size()
        sizes = [torch.zeros(1, dtype=torch.int64, device=share_nd.device) for _ in range(n_ranks)]
        distributed.all_gather(sizes, sizes[0].new_tensor([len(share_nd)]))
        ctx.sizes = [int(size) for size in sizes]
        # All must send as much: the shares of a minibatch differ by one row at most.
        padded = share_nd.new_zeros(max(ctx.sizes), *share_nd.shape[1:])
        padded[: len(share_nd)] = share_nd
        received = [torch.empty_like(padded) for _ in range(n_ranks)]
        distributed.all_gather(received, padded)
        return torch.cat([rows[:size] for rows, size in zip(received, ctx.sizes, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_md: Tensor) -> Tensor:
        gradient_md = gradient_md.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(gradient_md)
        return gradient_md.split(ctx.sizes)[distributed.get_rank()]


class JointBatchNorm1d(nn.BatchNorm1d):
    """A :class:`~torch.nn.BatchNorm1d` whose statistics are those of the joint minibatch, once it was told of it by :func:`join`.

    PyTorch's own, :class:`~torch.nn.SyncBatchNorm`, runs on accelerators only.
    """

    is_joint = False

    def forward(self, x_nd: Tensor) -> Tensor:
        """Return normalised rows."""
        if not (self.training and self.is_joint):
            return super().forward(x_nd)
        n = x_nd.new_full((x_nd.shape[1],), len(x_nd))
        mean_d = x_nd.sum(0) / n.clamp(min=1)
        squares_d = (x_nd - mean_d).square().sum(0)
        n_rd, mean_rd, squares_rd = gather(torch.stack([n, mean_d, squares_d])[None]).unbind(1)
        n_d = n_rd.sum(0)
        mean_d = (n_rd * mean_rd).sum(0) / n_d
        variance_d = (squares_rd + n_rd * (mean_rd - mean_d).square()).sum(0) / n_d
        self._follow(mean_d, variance_d * n_d / (n_d - 1))
        # With statistics that are given; these have gradients, which `functional.batch_norm` would not pass on.
        x_nd = (x_nd - mean_d) * (variance_d + self.eps).rsqrt()
        return x_nd if self.weight is None else torch.addcmul(self.bias, x_nd, self.weight)

    @torch.no_grad()
    def _follow(self, mean_d: Tensor, variance_d: Tensor) -> None:
        if self.track_running_stats:
            assert self.momentum is not None
            self.running_mean.lerp_(mean_d, self.momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(variance_d, self.momentum)  # type: ignore[union-attr]
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]


def join(module: nn.Module, is_joint: bool) -> None:
    """Tell all parts of a network that can know it whether minibatches are shares of joint ones."""
    for part in module.modules():
        if hasattr(part, "is_joint"):
            part.is_joint = is_joint  # type: ignore[assignment]

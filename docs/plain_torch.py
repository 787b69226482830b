"""Train a plain lightly model on sccl's views, without any of sccl's models.

Run as ``python docs/plain_torch.py FILE.h5ad [EPOCHS]``, where the file has raw counts in ``X`` and ``obs["batch"]``.
Writes ``FILE.npy`` with the embedding of its cells.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from lightly.loss import NTXentLoss
from torch import nn
from torch.utils.data import DataLoader

from sccl.augment import load_data


def main(path: str, n_epochs: int = 20) -> None:
    torch.manual_seed(0)
    augmentation = {"mnn": {"p": 0.5}, "mask": {"fraction": 0.4, "p": 0.5}}
    views, cells, adata = load_data({"data": {"data_path": path}, "augmentation": augmentation})
    encoder = nn.Sequential(nn.Linear(adata.n_vars, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 64))
    network = nn.Sequential(encoder, nn.ReLU(), nn.Linear(64, 64))
    loss_of = NTXentLoss(temperature=0.5)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for epoch in range(n_epochs):
        losses = []
        for (view_1, view_2), _ in DataLoader(views, batch_size=256, shuffle=True, drop_last=len(views) > 256):
            loss = loss_of(network(view_1), network(view_2))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {np.mean(losses):.3f}")
    with torch.inference_mode():
        encoder.eval()
        embedding = torch.cat([encoder(x) for x, _ in DataLoader(cells, batch_size=1024)])
    np.save(Path(path).with_suffix(".npy"), embedding.numpy())


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))

"""How well an embedding keeps cells of one label together."""

import numpy as np
from sklearn.neighbors import NearestNeighbors


def purity(z_nd, labels, cells=slice(None), k=15) -> float:
    """Mean share of the cells' k nearest neighbours, among all, that carry their label."""
    labels = np.asarray(labels)
    neighbors = NearestNeighbors(n_neighbors=k + 1).fit(z_nd).kneighbors(z_nd[cells], return_distance=False)[:, 1:]
    return float((labels[neighbors] == labels[cells][:, None]).mean())

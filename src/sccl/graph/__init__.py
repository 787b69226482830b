"""Who is near whom? Arrays in, index arrays out.

`knn` finds the nearest cells, `batch_balanced_knn` the nearest cells of every batch, `mutual_nearest_neighbors` the
pairs of cells of two batches that choose each other. `kinship` says which cells have their kind in the other batch at
all, from how often they are `chosen_back` and their `displacement`, and `batch_kinship` that for every two batches.
`as_graph` and `pairs_as_graph` turn pairs into an `Adjacency`, from which a partner of a cell is drawn in constant time. A
`CellSpace` is what augmentations and samplings, which use all this, are bound to.
"""

from sccl.graph.adjacency import Adjacency, as_graph, draw, pairs_as_graph
from sccl.graph.batch_balanced import batch_balanced_knn
from sccl.graph.cell_space import CellSpace
from sccl.graph.displacement import displacement
from sccl.graph.kinship import batch_kinship, kinship
from sccl.graph.knn import knn
from sccl.graph.mutual_nearest import mutual_nearest_neighbors
from sccl.graph.reciprocity import chosen_back
from sccl.graph.refine import refine_pairs
from sccl.graph.representation import representation
from sccl.graph.spaces import cca, centered

__all__ = [
    "Adjacency",
    "CellSpace",
    "as_graph",
    "batch_balanced_knn",
    "batch_kinship",
    "cca",
    "centered",
    "chosen_back",
    "displacement",
    "draw",
    "kinship",
    "knn",
    "mutual_nearest_neighbors",
    "pairs_as_graph",
    "refine_pairs",
    "representation",
]

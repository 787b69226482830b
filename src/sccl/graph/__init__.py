"""Who is near whom? Arrays in, index arrays out.

`knn` finds the nearest cells, `batch_balanced_knn` the nearest cells of every batch, `mutual_nearest_neighbors` the
pairs of cells of two batches that choose each other, `shared_populations` whether another batch holds a cell's population
at all. Where batches are many each is compared with a few (`compared_batches`), and where they are large some of their
cells, the landmarks, stand for the others (`nearest_landmark`). `as_graph` and `pairs_as_graph` turn pairs into an
`Adjacency`, from which a partner of a cell is drawn in constant time. A `CellSpace` is what augmentations and samplings,
which use all this, are bound to.
"""

from sccl.graph.adjacency import Adjacency, as_graph, draw, pairs_as_graph
from sccl.graph.batch_balanced import batch_balanced_knn
from sccl.graph.cell_space import CellSpace
from sccl.graph.compared import compared_batches
from sccl.graph.knn import knn
from sccl.graph.landmarks import nearest_landmark
from sccl.graph.mutual_nearest import mutual_nearest_neighbors
from sccl.graph.refine import refine_pairs
from sccl.graph.representation import principal_components, representation
from sccl.graph.shared_populations import SharedPopulations, shared_populations
from sccl.graph.spaces import cca, centered

__all__ = [
    "Adjacency",
    "CellSpace",
    "SharedPopulations",
    "as_graph",
    "batch_balanced_knn",
    "cca",
    "centered",
    "compared_batches",
    "draw",
    "knn",
    "mutual_nearest_neighbors",
    "nearest_landmark",
    "pairs_as_graph",
    "principal_components",
    "refine_pairs",
    "representation",
    "shared_populations",
]

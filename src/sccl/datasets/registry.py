"""The public data sets: where they are and what they hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published h5ad file.

    Parameters
    ----------
    url
        Where it is.
    n_cells
        Number of cells in the file.
    batch_key, labels_key
        Columns of ``obs`` with the batches and the cell types.
    layer
        Layer with the counts, None for ``X``.
    size
        Bytes, None where it is not known beforehand.
    sha256
        Checksum, None where it is not known beforehand: that of the first download is kept beside the file then.
    reference
        The paper.
    """

    url: str
    n_cells: int
    batch_key: str
    labels_key: str
    layer: str | None = None
    size: int | None = None
    sha256: str | None = None
    reference: str = ""


_LUECKEN = "Luecken et al., Benchmarking atlas-level data integration in single-cell genomics, Nature Methods 2022"

#: Names that :func:`sccl.datasets.load` knows.
PUBLISHED: dict[str, Published] = {
    "human_immune": Published(
        "https://figshare.com/ndownloader/files/25717328",
        n_cells=33506,
        batch_key="batch",
        labels_key="final_annotation",
        layer="counts",
        reference=_LUECKEN,
    ),
    "human_pancreas": Published(
        "https://figshare.com/ndownloader/files/24539828",
        n_cells=16382,
        batch_key="tech",
        labels_key="celltype",
        layer="counts",
        reference=_LUECKEN,
    ),
    "lung_atlas": Published(
        "https://figshare.com/ndownloader/files/24539942",
        n_cells=32472,
        batch_key="batch",
        labels_key="cell_type",
        layer="counts",
        reference=_LUECKEN,
    ),
    "human_pbmc": Published(
        "https://exampledata.scverse.org/scvi-tools/pbmc_seurat_v4.h5ad",
        n_cells=161764,
        batch_key="donor",
        labels_key="celltype.l2",
        reference="Hao et al., Integrated analysis of multimodal single-cell data, Cell 2021",
    ),
}

"""Where a trained model puts cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from scvi import REGISTRY_KEYS

from sccl.augment import Compose
from sccl.dataloaders import RowReader
from sccl.inputs import as_count, check_anndata
from sccl.model.cells import check_attached, own_cells, read_cells
from sccl.model.checks import as_row_numbers
from sccl.model.genes import align_genes
from sccl.model.registration import RegisteredModel
from sccl.model.saved import find_model
from sccl.train import quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


class EmbeddingModel(RegisteredModel):
    """A model that embeds cells: its own, others, and after it was loaded."""

    def get_latent_representation(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
        *,
        projection: bool = False,
        readout: bool = True,
    ) -> np.ndarray:
        """Return the embedding of cells. It does not depend on which other cells are embedded.

        Parameters
        ----------
        adata
            Cells, normalised like those that the model was trained on; those if None. Genes are matched by name, further
            genes are left out, and batches need not be known. All genes must be there; :meth:`map_query` does without some.
            Left as it is.
        indices
            Row numbers, in any order and repeated if wanted, or a boolean mask. All cells if None.
        batch_size
            Cells per forward pass; changes nothing but memory use. None: 1024.
        projection
            Return what the loss sees, the output of the projector, instead.
        readout
            Scale the axes by how well cells agree on them with their positives of other batches, see
            :class:`sccl.module.Readout`; the last ones may be zero for all cells. False: return the encoder's output; the same
            where training knew no such positives.

        Returns
        -------
        float32, shape ``(n_cells, n_latent)``.

        Raises
        ------
        RuntimeError
            If the model was not trained.
        ValueError
            If genes are missing; if values cannot be log-expression, or were preprocessed differently from those that the
            model was trained on; if the model's own cells were changed since they were registered; or if there are none.
        IndexError
            If an index lies outside of the data.
        """
        self._check_if_trained(warn=False)
        reader = RowReader(own_cells(self) if adata is None else read_cells(self, adata)[0])
        cells = as_row_numbers(indices, reader.shape[0])
        return self._embed(reader, cells, batch_size=batch_size, projection=projection, readout=readout)

    @classmethod
    def load(cls, dir_path: str, adata: AnnData | bool | None = None, **kwargs: Any) -> Self:
        """Load a saved model; its embeddings are those of the model that was saved, bit for bit on the same kind of device.

        Parameters
        ----------
        dir_path
            Directory that ``save`` wrote.
        adata
            Cells to attach. Genes are matched by name: where they stand in another order, or there are more of them, a
            copy with the model's genes is attached. None: those saved with the model, if any. False: none.
        **kwargs
            See :meth:`scvi.model.base.BaseModelClass.load`.

        Raises
        ------
        ValueError
            If no model was saved there, if genes are missing, or if the model is of another class.
        """
        if kwargs.get("backup_url") is None:
            find_model(dir_path, kwargs.get("prefix"))
        if adata is None or adata is False:
            with quiet():
                return check_attached(super().load(dir_path, adata, **kwargs))
        check_anndata(adata)
        assert not isinstance(adata, bool)  # True was refused, too
        registry = cls.load_registry(dir_path, prefix=kwargs.get("prefix"))
        aligned = align_genes(adata, registry["field_registries"]["X"]["state_registry"]["column_names"])
        adata = aligned.copy() if aligned is not adata else adata
        with quiet(), cls._undone_if_it_fails(adata):
            return check_attached(super().load(dir_path, adata, **kwargs))

    @torch.inference_mode()
    def _embed(
        self, reader: RowReader, cells: np.ndarray, *, batch_size: int | None = None, **output: bool
    ) -> np.ndarray:
        batch_size = as_count(1024 if batch_size is None else batch_size, "batch_size")
        self.module.eval()
        parts = []
        for start in range(0, max(cells.size, 1), batch_size):
            csr, rows = reader.read(cells[start : start + batch_size])
            x_ng = Compose([]).fill(torch.empty(rows.size, reader.shape[1]), csr, rows, [])
            parts.append(self.module.represent(x_ng.to(self.device), **output).cpu().numpy())
        return np.concatenate(parts)

    def _expression(self) -> Any:
        return self.adata_manager.get_from_registry(REGISTRY_KEYS.X_KEY)

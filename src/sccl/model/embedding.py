"""Where a trained model puts cells."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scvi import REGISTRY_KEYS

from sccl.dataloaders.modalities import ModalityReader, as_inputs
from sccl.dataloaders.rows import RowReader
from sccl.inputs import as_count
from sccl.inputs.store import CellStore
from sccl.model.cells import Modality, read_inputs
from sccl.model.checks import as_row_numbers
from sccl.model.store_embedding import embed_store
from sccl.model.stored import StoredModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


class EmbeddingModel(StoredModel):
    """A model that embeds cells: its own, others, and after it was loaded."""

    def get_latent_representation(
        self,
        adata: AnnData | CellStore | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
        *,
        projection: bool = False,
        readout: bool = True,
        modality: Modality | None = None,
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
        modality
            ``"rna"`` or ``"protein"``: embed the cells as if nothing else had been measured, in the same space. None: by all
            that was measured of each cell.

        Returns
        -------
        float32, shape ``(n_cells, n_latent)``; twice as wide for RNA and proteins with ``integrate="concat"``.

        Raises
        ------
        RuntimeError
            If the model was not trained.
        ValueError
            If genes are missing; if there is no such modality; if values cannot be log-expression, or were preprocessed differently from those that the
            model was trained on; if the model's own cells were changed since they were registered; or if there are none.
        IndexError
            If an index lies outside of the data.
        """
        self._check_if_trained(warn=False)
        if isinstance(adata, CellStore):
            cells = as_row_numbers(indices, adata.n_obs)
            embed = partial(self._embed, batch_size=batch_size, projection=projection, readout=readout)
            known = getattr(self, "input_", None)
            return embed_store(adata, cells, embed, var_names=self.get_var_names(), known=known)
        reader = read_inputs(self, adata, modality=modality)
        cells = as_row_numbers(indices, reader.shape[0])
        return self._embed(reader, cells, batch_size=batch_size, projection=projection, readout=readout)

    @torch.inference_mode()
    def _embed(
        self, reader: RowReader, cells: np.ndarray, *, batch_size: int | None = None, **output: bool
    ) -> np.ndarray:
        batch_size = as_count(1024 if batch_size is None else batch_size, "batch_size")
        self.module.eval()
        embedding = np.empty((0, 0), dtype=np.float32)
        for start in range(0, max(cells.size, 1), batch_size):
            x = as_inputs(reader, cells[start : start + batch_size], sparse=self.module.takes_sparse_rows)
            if isinstance(x, torch.Tensor):
                x = x.to(self.device)
            elif isinstance(x, dict):
                x = {name: x_ng.to(self.device) for name, x_ng in x.items()}
            part = self.module.represent(x, **output).cpu().numpy()
            if not start:
                embedding = np.empty((cells.size, part.shape[1]), dtype=part.dtype)
            embedding[start : start + len(part)] = part
        return embedding

    def _expression(self) -> Any:
        return self.adata_manager.get_from_registry(REGISTRY_KEYS.X_KEY)

    def _own_reader(self) -> RowReader:
        proteins = self.adata_manager.proteins
        return RowReader(self._expression()) if proteins is None else ModalityReader(self._expression(), proteins)

"""One registration of the data for all models; it leaves no trace if it fails, and dies with the data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import finalize, ref

from scvi import REGISTRY_KEYS
from scvi.data import fields
from scvi.data._constants import _SCVI_UUID_KEY
from scvi.model.base import BaseModelClass
from scvi.model.base._base_model import BaseModelMetaClass

from sccl.dataloaders.manager import CellManager
from sccl.inputs import check_anndata, find_column
from sccl.inputs.mudata import JOINED
from sccl.inputs.names import unknown
from sccl.model.checks import check_setup
from sccl.model.fields import TextObsField, check_batches
from sccl.model.joined import join_for_setup, remember
from sccl.model.modalities import ProteinField, n_without_any, register_proteins

if TYPE_CHECKING:
    from anndata import AnnData

# Where the outer batches are registered, if there are batches within batches.
OUTER_BATCH_KEY = "outer_batch"
# Arguments that other models of scvi-tools take, and what to do instead.
_INSTEAD = {
    "unlabeled_category": "cells without a label have none in `obs[labels_key]`: put None or NaN there.",
    "categorical_covariate_keys": (
        "what is to be integrated is `batch_key`: a column, or several, the outer ones first."
    ),
    "continuous_covariate_keys": "the encoder reads expression alone: regress them out of it, if you must.",
    "size_factor_key": "`sccl.pp.preprocess` divides each cell by its total.",
    "sample_key": "what is to be integrated is `batch_key`.",
    "protein_expression_obsm_key": "pass `protein_obsm_key`, the key of normalised proteins (`sccl.pp.normalize_protein`).",
}


class SharedSetup(BaseModelMetaClass):
    """Let all subclasses share what ``setup_anndata`` registered, whichever of them it was called on."""

    _setup_adata_manager_store: dict[str, Any]

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        for base in bases:
            if isinstance(base, SharedSetup):
                cls._setup_adata_manager_store = base._setup_adata_manager_store


class RegisteredModel(BaseModelClass, metaclass=SharedSetup):
    """A model whose registrations are forgotten with their data, and with the model itself."""

    # Saved with the model: how its MuData was joined, if it was one.
    mudata_: dict[str, Any] | None = None

    @classmethod
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        layer: str | None = None,
        batch_key: str | list[str] | None = None,
        labels_key: str | None = None,
        protein_obsm_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Register the data. One call serves all models.

        Adds to ``adata``: ``obs["_scvi_batch"]``, ``obs["_scvi_labels"]`` and scvi-tools' identifiers in ``uns``.

        Parameters
        ----------
        adata
            Cells with log-expression, dense or sparse, in memory or backed; see :func:`sccl.pp.preprocess`.
        layer
            Layer with log-expression; ``X`` if None.
        batch_key
            Column of ``obs`` with the experimental batches. One batch if None. Batches are compared as text: 1, 1.0 and
            ``"1"`` are one. Or several columns, for batches within batches, the outer ones first (``["technology",
            "donor"]``): minibatches then come from the inner ones, and pairs of cells are looked for across the outer ones.
        labels_key
            Column of ``obs`` with cell types, for those cells that have one; the others are -1 in ``obs["_scvi_labels"]``.
            Kept with the data for later use; training never sees them.
        protein_obsm_key
            Key of ``obsm`` with normalised proteins (see :func:`sccl.pp.normalize_protein`), a second matrix of the same
            cells, which gets an encoder of its own. Of a DataFrame the columns name the proteins. A row of NaN, or of zeros, is a
            cell whose proteins were not measured, and a cell without any expression one whose RNA was not. None: RNA alone.

        Raises
        ------
        TypeError
            If ``adata`` is no AnnData, or if an argument is unknown.
        KeyError
            If ``layer``, ``batch_key``, ``labels_key`` or ``protein_obsm_key`` do not exist.
        ValueError
            If proteins are raw counts, or infinite, or missing in part of a cell; if the data are a view, empty, hold NaN, infinite or negative values, raw counts or other values that are no
            log-expression, names that are not unique, cells without a batch, or if ``batch_key`` names cells instead of
            batches.
        """
        if isinstance(batch_key, list | tuple) and len(batch_key) == 1:
            (batch_key,) = batch_key
        setup_method_args = cls._get_setup_method_args(**locals())
        check_anndata(adata)
        check_setup_arguments(kwargs)
        source = kwargs.get("source_registry")
        # No model ever saw the labels, so new cells need none.
        takes_labels = source is None or (
            REGISTRY_KEYS.LABELS_KEY in source["field_registries"] and labels_key in (None, *adata.obs)
        )
        if batch_key is not None:
            check_batches(adata, batch_key, is_new=source is None)
        if labels_key is not None and takes_labels:
            find_column(adata.obs, labels_key, "labels_key")
        as_registered = check_setup(adata, layer=layer)
        proteins = None if protein_obsm_key is None else register_proteins(adata, protein_obsm_key, source)
        registered = [
            # The rows are brought into form as they are read: the user's matrix stays as it is.
            fields.LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=False, correct_data_format=False),
            TextObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
        ]
        if isinstance(batch_key, list | tuple):
            registered.append(TextObsField(OUTER_BATCH_KEY, batch_key[0]))
        if takes_labels:
            registered.append(TextObsField(REGISTRY_KEYS.LABELS_KEY, labels_key))
        if protein_obsm_key is not None and proteins is not None:
            registered.append(ProteinField(protein_obsm_key, proteins))
            x = adata.X if layer is None else adata.layers[layer]
            as_registered.description["n_empty"] = n_without_any(x, proteins.x)
        manager = CellManager(fields=registered, setup_method_args=setup_method_args)
        with cls._undone_if_it_fails(adata):
            manager.register_fields(adata, source)
            manager.registered = as_registered
            manager.proteins = None if proteins is None else proteins.x
            cls.register_manager(manager)

    @classmethod
    def setup_mudata(
        cls,
        mdata: Any,
        *,
        rna_layer: str | None = None,
        protein_layer: str | None = None,
        batch_key: str | list[str] | None = None,
        labels_key: str | None = None,
        modalities: dict[str, str | None] | None = None,
    ) -> None:
        """Register RNA and proteins of a MuData. One call serves all models, which take ``mdata`` in the place of ``adata``.

        Its cells may be in one of the modalities only. They are joined, in the order of ``mdata.obs_names``, to an AnnData,
        which is ``model.adata``; ``mdata`` is left as it is.

        Parameters
        ----------
        mdata
            A MuData; its RNA is log-expression, and its proteins are normalised (for example by
            ``sccl.pp.preprocess(mdata["rna"])`` and ``sccl.pp.normalize_protein(mdata["protein"], None)``).
        rna_layer, protein_layer
            Layers of the two modalities; ``X`` if None.
        batch_key, labels_key
            See :meth:`setup_anndata`. Columns of the MuData's ``obs``, or of a modality's.
        modalities
            Which modality is which: ``{"rna_layer": "rna", "protein_layer": "protein", "batch_key": "rna"}``. None: RNA is called
            ``"rna"`` (or gex), proteins ``"protein"`` (or prot, adt).

        Raises
        ------
        TypeError
            If ``mdata`` is no MuData.
        KeyError
            If a modality, a layer or a column does not exist.
        ValueError
            As :meth:`setup_anndata`.
        """
        adata, how = join_for_setup(
            mdata,
            rna_layer=rna_layer,
            protein_layer=protein_layer,
            batch_key=batch_key,
            labels_key=labels_key,
            modalities=modalities,
        )
        cls.setup_anndata(adata, batch_key=batch_key, labels_key=labels_key, protein_obsm_key=JOINED)
        remember(mdata, adata, how)

    @classmethod
    def register_manager(cls, adata_manager: CellManager) -> None:
        """Remember a registration for the models to come, as long as its data live."""
        super().register_manager(adata_manager)
        store, uuid = cls._setup_adata_manager_store, adata_manager.adata_uuid
        finalize(adata_manager.adata, _forget, store, uuid, ref(adata_manager)).atexit = False

    def _register_manager_for_instance(self, adata_manager: CellManager) -> None:
        if self.id not in self._per_instance_manager_store:
            finalize(self, self._per_instance_manager_store.pop, self.id, None).atexit = False
        super()._register_manager_for_instance(adata_manager)

    @classmethod
    @contextmanager
    def _undone_if_it_fails(cls, adata: AnnData) -> Iterator[None]:
        """Leave the data, and what is registered, as they were if what is done with them raises."""
        columns = {key: adata.obs[key] for key in adata.obs if str(key).startswith("_scvi")}
        entries = {key: adata.uns[key] for key in adata.uns if str(key).startswith("_scvi")}
        known = cls._setup_adata_manager_store.get(str(adata.uns.get(_SCVI_UUID_KEY)))
        try:
            yield
        except BaseException:
            cls._setup_adata_manager_store.pop(str(adata.uns.get(_SCVI_UUID_KEY)), None)
            if known is not None:
                cls._setup_adata_manager_store[adata.uns[_SCVI_UUID_KEY]] = known
            holder: Any
            for holder, before in ((adata.obs, columns), (adata.uns, entries)):
                for key in [key for key in holder if str(key).startswith("_scvi")]:
                    if key not in before:
                        del holder[key]
                    elif holder[key] is not before[key]:
                        holder[key] = before[key]
            raise


def check_setup_arguments(others: dict[str, Any]) -> None:
    """Refuse arguments of ``setup_anndata`` that are none.

    Raises
    ------
    TypeError
        Saying what to use instead.
    """
    for name in others:
        if name in _INSTEAD:
            raise TypeError(f"`setup_anndata` takes no `{name}`: {_INSTEAD[name]}")
        if name not in ("source_registry", "extend_categories"):  # scvi-tools' own, when it attaches new cells
            raise TypeError(
                unknown("argument of setup_anndata", name, ["layer", "batch_key", "labels_key", "protein_obsm_key"])
            )


def _forget(store: dict[str, CellManager], uuid: str, manager: ref[CellManager]) -> None:
    # Data and their copies have one identifier, so that the entry may be another's by now.
    if store.get(uuid) is manager():
        store.pop(uuid, None)

"""Cells as a trained model reads them: the one way in, whatever asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.sparse import csr_matrix
from scvi import REGISTRY_KEYS

from sccl.dataloaders import RowReader
from sccl.dataloaders.modalities import ModalityReader
from sccl.inputs.anndata import check_anndata, record_of
from sccl.inputs.expression import check_expression, matrix_of, name_of
from sccl.inputs.fingerprint import is_unchanged
from sccl.model.genes import align_genes, fill_genes
from sccl.model.joined import as_anndata
from sccl.model.likeness import check_cells, check_likeness, describe
from sccl.model.modalities import check_modality, n_without_any, read_modalities

if TYPE_CHECKING:
    from anndata import AnnData

    from sccl.model.registration import RegisteredModel

Modality = Literal["rna", "protein"]


def own_cells(model: RegisteredModel) -> Any:
    """Return the expression that a model was registered with, cells × genes, after making sure that it still is that.

    Raises
    ------
    ValueError
        If the model was loaded without cells, or if they were changed since.
    """
    if model.adata is None:
        raise ValueError("The model was loaded without cells: pass `adata`.")
    layer = model.registry["setup_args"]["layer"]
    known = model.adata_manager.registered
    shape = (model.adata.n_obs, model.adata.n_vars)
    if shape != known.fingerprint.shape:
        raise ValueError(
            f"`adata` was changed after `setup_anndata`: it now has {shape[0]} cells × {shape[1]} genes, where "
            f"{known.fingerprint.shape[0]} × {known.fingerprint.shape[1]} were registered. Subset a copy, "
            f"`adata[:, genes].copy()`, and leave the model's own as it is; or register it anew and train a new model."
        )
    x, name = matrix_of(model.adata, layer)
    if not is_unchanged(x, known.fingerprint):
        raise ValueError(
            f"{name} was changed after `setup_anndata`: {_what_changed(x)}. Put back what was registered, and keep other values "
            "elsewhere (`sc.pp.scale(adata.copy())`, or a layer); or register it anew and train a new model."
        )
    return x


def read_inputs(
    model: RegisteredModel,
    adata: Any,
    *,
    modality: Modality | None = None,
    min_overlap: float | None = None,
    what: str = "adata",
) -> RowReader:
    """Return cells for a model to be embedded; see :func:`read_cells`.

    Parameters
    ----------
    model, min_overlap, what
        See :func:`read_cells`.
    adata
        Cells, AnnData or MuData; the model's own if None.
    modality
        What is read of them; None: all.

    Raises
    ------
    TypeError, KeyError, ValueError
        See :func:`read_cells`; and if the model reads no such modality.
    """
    check_modality(model.registry, modality)
    if adata is None:
        x, proteins = own_cells(model), model.adata_manager.proteins
    else:
        adata = as_anndata(adata, model.registry, model.mudata_, own=model.adata, what=what)
        is_own = adata is model.adata and _is_own(model)
        proteins = (
            model.adata_manager.proteins
            if is_own
            else read_modalities(model.registry, adata, what=what, min_overlap=min_overlap, modality=modality)
        )
        if modality == "protein" or (not adata.n_vars and proteins is not None):
            x = csr_matrix((adata.n_obs, len(model.get_var_names())), dtype=np.float32)
        else:
            x, _ = read_cells(model, adata, min_overlap=min_overlap, what=what, proteins=proteins)
    return RowReader(x) if proteins is None else ModalityReader(x, proteins, modality)


def read_cells(
    model: RegisteredModel,
    adata: AnnData,
    *,
    min_overlap: float | None = None,
    what: str = "adata",
    proteins: csr_matrix | None = None,
) -> tuple[Any, np.ndarray]:
    """Return the expression of cells with the genes of a model, after it was found to be what the model reads.

    Parameters
    ----------
    model
        The model. Its own cells are taken as they are if nothing was changed; all others are compared with them.
    adata
        Cells; left as they are.
    min_overlap
        Fraction of the model's genes that must be there, in ``[0, 1]``; the others are zeros. None: all must be.
    what
        What messages call ``adata``.
    proteins
        Proteins of the same cells, if the model reads them: cells that have some may be without expression.

    Returns
    -------
    x
        Expression, cells × genes of the model; in memory or, of a backed AnnData with exactly these genes, in its file.
    measured
        Which of the genes ``adata`` has, bool ``(n_genes,)``.

    Raises
    ------
    TypeError
        If ``adata`` is no AnnData.
    KeyError
        If it lacks the layer that the model reads.
    ValueError
        If genes are missing or stand twice, or if the values cannot be log-expression, or not of the kind that the model
        was trained on (see :func:`sccl.model.likeness.check_likeness`).
    """
    check_anndata(adata, what)
    var_names, layer = model.get_var_names(), model.registry["setup_args"]["layer"]
    if adata is model.adata and _is_own(model):
        return model.adata_manager.get_from_registry(REGISTRY_KEYS.X_KEY), np.ones(len(var_names), dtype=bool)
    aligned = (
        align_genes(adata, var_names) if min_overlap is None else fill_genes(adata, var_names, min_overlap=min_overlap)
    )
    measured = np.asarray(aligned.var_names.isin(adata.var_names))
    x, name = matrix_of(aligned, layer, what=what)
    if not adata.n_obs:
        return x, measured
    check_cells(x, aligned, name=name, what=what)
    # the record is of X, and of all genes: it is that of the cells as they came
    new = describe(x, record_of(adata) if layer is None else None)
    if proteins is not None:
        new["n_empty"] = n_without_any(x, proteins)
    check_likeness(new, model.input_, measured=measured, name=name)
    return x, measured


def check_attached[Model: RegisteredModel](model: Model) -> Model:
    """Return a model, after its cells, if there are any, were found to be of the kind that it was trained on."""
    if model.adata is None:
        return model
    measured = np.ones(model.summary_stats.n_vars, dtype=bool)
    name = name_of(model.registry["setup_args"]["layer"])
    check_likeness(model.adata_manager.registered.description, model.input_, measured=measured, name=name)
    return model


def _is_own(model: RegisteredModel) -> bool:
    known = model.adata_manager.registered.fingerprint
    x = model.adata_manager.get_from_registry(REGISTRY_KEYS.X_KEY)
    return x is not None and is_unchanged(x, known)


def _what_changed(x: Any) -> str:
    """Say in what a matrix cannot be what was registered."""
    try:
        check_expression(x, name="it")
    except ValueError as error:
        return str(error).partition(". ")[0]
    new = describe(x, None)
    if new["whole"]:
        return f"it now holds whole numbers up to {new['largest']:.4g}, which look like raw counts"
    return f"it now holds other values, up to {new['largest']:.4g}"

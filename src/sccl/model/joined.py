"""MuData at the doors of a model: joined to an AnnData once, and remembered as long as it lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import finalize

from sccl.inputs.anndata import check_anndata
from sccl.inputs.mudata import JOINED, find_modalities, is_mudata, join_modalities
from sccl.model.modalities import protein_names

if TYPE_CHECKING:
    from anndata import AnnData

# By the identity of the MuData: the AnnData that was registered for it, and how it was joined.
_JOINED: dict[int, tuple[AnnData, dict[str, Any]]] = {}


def join_for_setup(
    mdata: Any,
    *,
    rna_layer: str | None,
    protein_layer: str | None,
    batch_key: str | list[str] | None,
    labels_key: str | None,
    modalities: dict[str, str | None] | None,
) -> tuple[AnnData, dict[str, Any]]:
    """Return the cells of a MuData as an AnnData, and how they were joined.

    Raises
    ------
    TypeError
        If it is no MuData.
    KeyError, ValueError
        See :func:`sccl.inputs.mudata.join_modalities`.
    """
    if not is_mudata(mdata):
        raise TypeError(
            f"`mdata` must be a MuData, found {type(mdata).__name__}: for an AnnData with proteins in `obsm` call "
            "`setup_anndata(adata, protein_obsm_key=...)`."
        )
    how: dict[str, Any] = {
        "rna_layer": rna_layer,
        "protein_layer": protein_layer,
        "columns": {"batch_key": batch_key, "labels_key": labels_key},
        "modalities": find_modalities(mdata, modalities),
    }
    return join_modalities(mdata, **how), how


def remember(mdata: Any, adata: AnnData, how: dict[str, Any]) -> None:
    """Keep what was registered for a MuData, as long as it lives."""
    if id(mdata) not in _JOINED:
        finalize(mdata, _JOINED.pop, id(mdata), None).atexit = False
    _JOINED[id(mdata)] = (adata, how)


def registered_for(mdata: Any) -> tuple[AnnData, dict[str, Any]]:
    """Return what was registered for a MuData.

    Raises
    ------
    ValueError
        If nothing was.
    """
    if id(mdata) not in _JOINED:
        raise ValueError("This MuData was not registered: call `setup_mudata` on it first.")
    return _JOINED[id(mdata)]


def as_anndata(
    data: Any,
    registry: dict[str, Any],
    how: dict[str, Any] | None,
    *,
    own: AnnData | None = None,
    what: str = "adata",
) -> AnnData:
    """Return cells as an AnnData with what a model reads, where it reads it.

    Parameters
    ----------
    data
        An AnnData, which is returned as it is, or a MuData, which may lack one of the modalities.
    registry, how
        What the model was registered with, and how its MuData was joined; None: it was an AnnData.
    own
        The model's own cells: they are returned for the MuData that was registered.
    what
        What messages call it.
    """
    if not is_mudata(data):
        check_anndata(data, what)
        return data
    if protein_names(registry) is None:
        check_anndata(data, what)  # says which modality to pass
    if own is not None and id(data) in _JOINED and _JOINED[id(data)][0] is own:
        return own
    arguments = registry["setup_args"]
    if how is None:
        columns = {part: arguments[part] for part in ("batch_key", "labels_key")}
        how = {
            "rna_layer": arguments["layer"],
            "protein_layer": None,
            "columns": columns,
            "modalities": find_modalities(data, None),
        }
    joined = join_modalities(data, **how, optional=True)
    if arguments["layer"] is not None and joined.n_vars:
        joined.layers[arguments["layer"]] = joined.X
    if JOINED in joined.obsm and arguments["protein_obsm_key"] != JOINED:
        joined.obsm[arguments["protein_obsm_key"]] = joined.obsm.pop(JOINED)
    return joined

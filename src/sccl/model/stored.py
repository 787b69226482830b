"""Saving and loading, by scvi-tools' verbs."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

from scvi.data import AnnDataManager
from scvi.data._constants import _MODEL_NAME_KEY, _SETUP_ARGS_KEY
from scvi.model._utils import parse_device_args

from sccl.datasets.download import fetch
from sccl.inputs.mudata import is_mudata
from sccl.model.cells import check_attached
from sccl.model.genes import align_genes
from sccl.model.history import clean_history
from sccl.model.joined import as_anndata, remember
from sccl.model.registration import RegisteredModel
from sccl.model.saved import MODEL, SavedModel, read_cells_of, read_model, write_model
from sccl.storage import read_tensors
from sccl.train import quiet

if TYPE_CHECKING:
    from anndata import AnnData


class StoredModel(RegisteredModel):
    """A model that is saved in files that hold no code, whole or not at all."""

    def save(
        self,
        dir_path: str | Path,
        prefix: str | None = None,
        overwrite: bool = False,
        save_anndata: bool = False,
        **anndata_write_kwargs: Any,
    ) -> None:
        """Save the model: ``model.safetensors``, and ``adata.h5ad`` if wanted.

        The first holds the weights, how the model was made, registered and trained, the versions of the form and of sccl, and
        a checksum of all of it; any program that reads safetensors reads the weights. Both are written beside their places and
        renamed when they are whole: broken off at any moment, by a full disk for example, the save leaves what was there.

        Parameters
        ----------
        dir_path
            Directory, made if it is not there.
        prefix
            Beginning of the files' names, for several models in one directory.
        overwrite
            Whether to write into a directory that is not empty.
        save_anndata
            Whether to save the cells, too.
        **anndata_write_kwargs
            Passed to :meth:`anndata.AnnData.write_h5ad`, ``compression`` for example.

        Raises
        ------
        ValueError
            If the directory is not empty and ``overwrite`` is False, or if there are no cells to save.
        TypeError
            If an attribute was added to the model that no file can hold without code.
        OSError
            If the files cannot be written. What was there is as it was.
        """
        for name in ("save_kwargs", "legacy_mudata_format", "datamodule"):
            if anndata_write_kwargs.pop(name, None):
                raise TypeError(f"`save` takes no `{name}`: models are not saved with torch.save, and hold no MuData.")
        if save_anndata and self.adata is None:
            raise ValueError("`save_anndata`: the model was loaded without cells, so that there are none to save.")
        attributes = {name: value for name, value in self._get_user_attributes() if name.endswith("_")}
        if attributes.get("history_") is not None:
            attributes["history_"] = clean_history(attributes["history_"])
        write_model(
            dir_path,
            prefix,
            {name: value for name, value in attributes.items() if not name.startswith("_")},
            self.module.state_dict(),
            adata=self.adata if save_anndata else None,
            overwrite=overwrite,
            **anndata_write_kwargs,
        )

    @classmethod
    def load(
        cls,
        dir_path: str | Path,
        adata: AnnData | bool | None = None,
        accelerator: str = "auto",
        device: int | str = "auto",
        prefix: str | None = None,
        backup_url: str | None = None,
        allowed_classes_names_list: list[str] | None = None,
    ) -> Self:
        """Load a saved model; its embeddings are those of the model that was saved, bit for bit on the same kind of device.

        A file from a stranger can do no harm: it is read as numbers and text, and nothing in it is run.

        Parameters
        ----------
        dir_path
            Directory that ``save`` wrote.
        adata
            Cells to attach. Genes are matched by name: where they stand in another order, or there are more of them, a
            copy with the model's genes is attached. None: those saved with the model, if any. False: none.
        accelerator, device
            Where to: ``"cpu"`` or ``"gpu"``, and the number of the device. By default a GPU where there is one.
        prefix
            Beginning of the files' names, as it was saved with.
        backup_url
            From where to download the model's file if it is not there. It is checked before it gets its name.
        allowed_classes_names_list
            Names of other classes whose models may be loaded as this one.

        Raises
        ------
        DownloadError
            If it had to be downloaded, and could not.
        ValueError
            If no model was saved there, if it is damaged or was saved by something else, if genes are missing, or if the model
            is of another class.
        """
        path = Path(dir_path) / f"{prefix or ''}{MODEL}"
        if backup_url is not None and not path.is_file():
            fetch(backup_url, path, check=partial(read_tensors, kind="model"), record=False)
        saved = read_model(dir_path, prefix)
        name = saved.attributes["registry_"].get(_MODEL_NAME_KEY)
        if name not in (cls.__name__, *(allowed_classes_names_list or [])):
            raise ValueError(
                f"{path} holds a {name}, which is a model from a different class than {cls.__name__}: "
                f"call sccl.{name}.load."
            )
        with quiet():
            _, _, where = parse_device_args(
                accelerator=accelerator, devices=device, return_device="torch", validate_single_device=True
            )
        if adata is None and saved.cells_sha256 is not None:
            adata = read_cells_of(dir_path, prefix, saved.cells_sha256)
        elif adata is None:
            warnings.warn(
                "The model was saved without cells, and none were passed: it is loaded without.", stacklevel=2
            )
        if adata is None or adata is False:
            with quiet():
                return check_attached(cls._restore(saved, None, where))
        attributes = saved.attributes
        mdata, adata = adata, as_anndata(adata, attributes["registry_"], attributes.get("mudata_"))
        assert not isinstance(adata, bool)  # True was refused, too
        aligned = align_genes(adata, _genes(saved.attributes["registry_"]))
        adata = aligned.copy() if aligned is not adata else adata
        with quiet(), cls._undone_if_it_fails(adata):
            model = check_attached(cls._restore(saved, adata, where))
        if is_mudata(mdata) and model.mudata_ is not None:
            remember(mdata, adata, model.mudata_)
        return model

    @classmethod
    def _restore(cls, saved: SavedModel, adata: AnnData | None, device: Any) -> Self:
        attributes = dict(saved.attributes)
        registry, made = attributes.pop("registry_"), attributes.pop("init_params_")
        if adata is not None:
            cls.setup_anndata(adata, source_registry=registry, **registry[_SETUP_ARGS_KEY])
        model = cls(adata, registry=registry, **made["non_kwargs"], **made["kwargs"].get("architecture_kwargs", {}))
        for name, value in attributes.items():
            setattr(model, name, value)
        model.module.load_state_dict(saved.weights)
        model.to_device(device)
        model.module.eval()
        if adata is not None:
            model._validate_anndata(adata)
        return model

    @staticmethod
    def load_registry(dir_path: str | Path, prefix: str | None = None) -> dict[str, Any]:
        """Return what a saved model was registered with."""
        return read_model(dir_path, prefix).attributes["registry_"]

    @staticmethod
    def view_setup_args(dir_path: str | Path, prefix: str | None = None) -> None:
        """Print the arguments of ``setup_anndata`` that a saved model was registered with."""
        AnnDataManager.view_setup_method_args(StoredModel.load_registry(dir_path, prefix))

    @classmethod
    def convert_legacy_save(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Not for models of sccl: what it reads are pickles, which run whatever code is in them."""
        raise NotImplementedError("sccl reads no pickles, which may run code; its own models need no conversion.")


def _genes(registry: dict[str, Any]) -> Any:
    return registry["field_registries"]["X"]["state_registry"]["column_names"]

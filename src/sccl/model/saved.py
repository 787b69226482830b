"""The directory in which a model was saved."""

from __future__ import annotations

from pathlib import Path

from scvi.model.base._constants import SAVE_KEYS


def find_model(dir_path: str | Path, prefix: str | None = None) -> Path:
    """Return the file of a saved model.

    Raises
    ------
    ValueError
        If it is not there: what is there instead.
    """
    folder, name = Path(dir_path), f"{prefix or ''}{SAVE_KEYS.MODEL_FNAME}"
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"`dir_path`: {str(folder)!r} {what}; give the directory that `model.save` wrote.")
    if not (folder / name).is_file():
        others = sorted(path.parent.name for path in folder.glob(f"*/{name}"))
        found = sorted(path.name for path in folder.glob(f"*{SAVE_KEYS.MODEL_FNAME}"))
        hint = (
            f"there are models in its folders {others}"
            if others
            else f"it holds {found}: pass the `prefix` they were saved with"
            if found
            else "give the directory that `model.save` wrote"
        )
        raise ValueError(f"`dir_path`: there is no {name!r} in {str(folder)!r}; {hint}.")
    return folder / name

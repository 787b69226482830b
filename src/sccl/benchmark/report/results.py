"""All complete runs of a study, as one table."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sccl.benchmark.plan.run import state_of

#: Columns that say what was chosen; settings in which runs differ follow them.
CHOICES = ("data", "method", "model", "augmentation", "sampling")
#: Column with the batch that was held out, in studies that do.
HELD_OUT = "held out"
#: Column that tells files of one name apart.
CONTENT = "data.content"
#: Value of a choice that a method does not have.
NONE = "–"


def read_runs(results: Path, *, held_out: bool = False) -> pd.DataFrame:
    """Read the runs of a study.

    Parameters
    ----------
    results
        Directory of the study.
    held_out
        Read the runs in which a batch was held out, which have other metrics, instead of those in which none was.

    Returns
    -------
    One row per complete run, in an order that depends on nothing but what the runs are: :data:`CHOICES` (``data`` being
    the file's name where there is one), one column for each setting, version or state of the code in which runs of the
    same choices differ, :data:`HELD_OUT` if asked for, ``seed``, the metrics, ``Seconds`` (of the embedding),
    ``Peak memory (GiB)``, ``command`` and ``directory``. Attribute ``attrs["factors"]`` names the columns of choices and
    settings, ``attrs["metrics"]`` those of metrics. Runs that agree in all factors differ in nothing but their seed.

    Raises
    ------
    FileNotFoundError
        If there is no complete run of that kind.
    """
    complete = [path for path, config in _complete(results) if ("holdout" in config) == held_out]
    if not complete:
        raise FileNotFoundError(f"{results} has no complete run; sccl-bench results={results} makes some.")
    records, settings = [], []
    metrics: dict[str, Any] = {}
    for path in complete:
        about, costs = _read(path / "config.json"), _read(path / "costs.json")
        batch = {HELD_OUT: about["config"]["holdout"]} if held_out else {}
        metrics |= (found := _read(path / "metrics.json"))
        settings.append(_identity(about, _read(path / "surroundings.json")))
        records.append(
            {
                **{choice: about["choices"].get(choice, NONE) for choice in CHOICES},
                "data": _name_of_data(about),
                **batch,
                "seed": about["config"]["seed"],
                **found,
                "Seconds": costs["seconds"]["embedding"],
                "Peak memory (GiB)": costs["peak_memory_gib"],
                "command": shlex.join(["sccl-bench", *about["command"]]),
                "directory": str(path),
            }
        )
    runs = pd.DataFrame(records).astype(dict.fromkeys(metrics, float))
    differing = _differing(settings, runs)
    runs = pd.concat([runs[list(CHOICES)], differing, runs.drop(columns=list(CHOICES))], axis=1)
    factors = [*CHOICES, *differing, *([HELD_OUT] if held_out else [])]
    runs = runs.sort_values([*factors, "seed"], ignore_index=True)
    runs.attrs = {"factors": factors, "metrics": list(metrics)}
    return runs


def kinds(results: Path) -> set[bool]:
    """Return for which values of ``held_out`` :func:`read_runs` finds runs."""
    return {"holdout" in config for _, config in _complete(results)}


def _complete(results: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return the directory and the configuration of each complete run."""
    return [
        (path, _read(path / "config.json")["config"]) for path, (state, _) in _states(results) if state == "complete"
    ]


def _states(results: Path) -> list[tuple[Path, tuple[str, str]]]:
    directories = sorted(path for path in (results / "runs").glob("[!.]*") if path.is_dir())
    return [(path, state_of(path)) for path in directories]


def failures(results: Path) -> list[tuple[str, str]]:
    """Return the command of each failed run and the last line of its traceback."""
    failed = []
    for path, (state, _) in _states(results):
        if state == "failed":
            command = shlex.join(["sccl-bench", *_read(path / "config.json")["command"]])
            traceback = path / "traceback.txt"
            lines = traceback.read_text(errors="replace").strip().splitlines() if traceback.is_file() else []
            failed.append((command, lines[-1] if lines else "its traceback is lost"))
    return failed


def damages(results: Path) -> list[tuple[str, str]]:
    """Return the directory of each damaged run, and what is wrong with it."""
    return [(str(path), damage) for path, (state, damage) in _states(results) if state == "damaged"]


def _identity(about: Mapping[str, Any], surroundings: Mapping[str, Any]) -> dict[str, str]:
    """Return all that a run's numbers depend on but its seed and held-out batch, flat, in the order in which it was set.

    Names are what one would type: ``network.n_latent`` and not ``method.network.n_latent``. A file counts by its content.
    """
    flat: dict[str, str] = {}

    def visit(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping) and value:
            for name, item in value.items():
                visit(f"{prefix}.{name}" if prefix else str(name), item)
        else:
            flat[prefix] = value if isinstance(value, str) else json.dumps(value)

    config = about["config"]
    for part in (name for name in config if name not in ("seed", "holdout")):
        is_ours = part == "method" and "model" in config["method"]
        visit("" if is_ours else part, config[part])
    if path := flat.pop("data.path", None):
        content = about.get("content")
        flat[CONTENT] = content[:8] if content else path
    flat |= {f"version.{name}": version for name, version in surroundings["versions"].items()}
    # of the source where it is known; else of the commit
    flat["code"] = surroundings.get("code") or json.dumps(surroundings["git"])
    return flat


def _name_of_data(about: Mapping[str, Any]) -> str:
    """Return the chosen data, by the name of the file where the choice does not say it."""
    chosen, path = about["choices"]["data"], about["config"]["data"].get("path")
    if path is None:
        return chosen
    name = Path(path).name.removesuffix(".gz")
    for ending in (".h5ad", ".h5", ".zarr", ".loom"):
        name = name.removesuffix(ending)
    return name if chosen in ("file", name) else f"{chosen} ({name})"


def _differing(identities: list[dict[str, str]], runs: pd.DataFrame) -> pd.DataFrame:
    """Return the settings in which runs of the same choices differ, so that runs that agree in all differ in their seed.

    Every average passes here: of what is left out, and of the order of settings, nothing may differ within a group.
    """
    settings = pd.DataFrame(identities).fillna(NONE)
    groups = runs.groupby(list(CHOICES)).ngroup()
    counts = settings.groupby(groups).nunique()
    differing = settings[[name for name in sorted(settings) if (counts[name] > 1).any()]]
    # augmentations, for one, are applied in their order, which values alone do not tell
    digests = pd.Series([hashlib.sha256(json.dumps(one).encode()).hexdigest()[:8] for one in identities])
    left = digests.groupby([groups, *(differing[name] for name in differing)]).transform("nunique")
    return differing.assign(settings=digests.where(left > 1, NONE)) if (left > 1).any() else differing


def of_data(factors: Iterable[str]) -> list[str]:
    """Return those factors that make another data set: scores of different ones are not put on one scale."""
    return [name for name in factors if name == "data" or name.startswith("data.")]


def title_of_data(names: list[str], values: Sequence[str]) -> str:
    """Return ``cells, n_top_genes=1000`` of the factors of a data set."""
    return ", ".join(
        value if name == "data" else f"{name.removeprefix('data.')}={value}"
        for name, value in zip(names, values, strict=True)
        if value != NONE
    )


def title_of_row(row: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return ``simclr mask, n_latent=64`` of a row: its model or method, the other choices, and settings by name.

    Parameters
    ----------
    row
        Factors and their values.
    names
        The factors in which rows differ.
    """
    parts = [row["method"] if row["model"] == NONE else row["model"]]
    chosen = [name for name in names if name not in ("method", "model") and row[name] != NONE]
    parts += [row[name] for name in chosen if name in CHOICES]
    settings = [f"{name.rpartition('.')[2]}={row[name]}" for name in chosen if name not in CHOICES]
    return ", ".join([" ".join(map(str, parts)), *settings])


def _read(path: Path) -> Any:
    return json.loads(path.read_text())

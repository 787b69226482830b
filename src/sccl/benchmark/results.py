"""All complete runs of a study, as one table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sccl.benchmark.run import read_status

#: Columns that say what was chosen; settings in which runs differ follow them.
CHOICES = ("data", "method", "model", "augmentation", "sampling")
#: Column with the batch that was held out, in studies that do.
HELD_OUT = "held out"
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
    One row per complete run, in an order that depends on nothing but what the runs are: :data:`CHOICES`, one column for
    each setting in which runs of the same choices differ, :data:`HELD_OUT` if asked for, ``seed``, the metrics,
    ``Seconds`` (of the embedding), ``Peak memory (GiB)``, ``command`` and ``directory``. Attribute ``attrs["factors"]``
    names the columns of choices and settings, ``attrs["metrics"]`` those of metrics.

    Raises
    ------
    FileNotFoundError
        If there is no complete run of that kind.
    """
    complete = [path for path, config in _complete(results) if ("holdout" in config) == held_out]
    if not complete:
        raise FileNotFoundError(f"{results} has no complete run; sccl-bench results={results} makes some.")
    records, settings, metrics = [], [], {}
    for path in complete:
        about, costs = _read(path / "config.json"), _read(path / "costs.json")
        batch = {HELD_OUT: about["config"]["holdout"]} if held_out else {}
        metrics = _read(path / "metrics.json")
        settings.append(_settings(about["config"]))
        records.append(
            {
                **{choice: about["choices"].get(choice, NONE) for choice in CHOICES},
                **batch,
                "seed": about["config"]["seed"],
                **metrics,
                "Seconds": costs["seconds"]["embedding"],
                "Peak memory (GiB)": costs["peak_memory_gib"],
                "command": " ".join(["sccl-bench", *map(_quoted, about["command"])]),
                "directory": str(path),
            }
        )
    runs = pd.DataFrame(records).astype(dict.fromkeys(metrics, float))
    differing = _differing(pd.DataFrame(settings), runs)
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
    directories = sorted(path.parent for path in (results / "runs").glob("[!.]*/status.json"))
    complete = [path for path in directories if (read_status(path) or {})["state"] == "complete"]
    return [(path, _read(path / "config.json")["config"]) for path in complete]


def failures(results: Path) -> list[tuple[str, str]]:
    """Return the command of each failed run and the last line of its traceback."""
    failed = []
    for path in sorted((results / "runs").glob("[!.]*/traceback.txt")):
        command = " ".join(["sccl-bench", *map(_quoted, _read(path.parent / "config.json")["command"])])
        failed.append((command, path.read_text().strip().splitlines()[-1]))
    return failed


def _settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Flatten a configuration to what one would type: ``network.n_latent`` and not ``method.network.n_latent``."""
    flat: dict[str, str] = {}

    def visit(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping) and value:
            for name, item in value.items():
                visit(f"{prefix}.{name}" if prefix else str(name), item)
        elif not prefix.endswith(("_target_", "data.path")):
            flat[prefix] = value if isinstance(value, str) else json.dumps(value)

    for part in ("method", "data", "score"):
        is_ours = part == "method" and "model" in config["method"]
        visit("" if is_ours else part, config[part])
    return flat


def _differing(settings: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Keep the settings in which runs of the same choices differ."""
    settings = settings.fillna(NONE)
    groups = runs.groupby(list(CHOICES)).ngroup()
    counts = settings.groupby(groups).nunique()
    return settings[[name for name in sorted(settings) if (counts[name] > 1).any()]]


def _quoted(option: str) -> str:
    return f"'{option}'" if set(option) & set("[]{} ()$*") else option


def _read(path: Path) -> Any:
    return json.loads(path.read_text())

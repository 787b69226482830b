"""From options to runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from sccl.benchmark.plan.explain import OptionError, check_additions, explain, parse
from sccl.benchmark.plan.options import offer_models
from sccl.benchmark.plan.run import Run
from sccl.benchmark.plan.trust import untrusted

#: What determines a run's result.
IDENTITY = ("method", "data", "seed", "score")
#: Choices that only some methods have.
PARTS = ("model", "augmentation", "sampling")

#: Value of ``holdout`` that makes one run per batch.
EACH = "each"

# Options that change no result.
_ELSEWHERE = ("results", "threads", "cluster", "trust")


@dataclass(frozen=True)
class Study:
    """All runs that one command asks for, and where they run (``cluster``, None for this process)."""

    runs: list[Run]
    cluster: dict[str, Any] | None
    results: Path


def plan(
    options: Sequence[str],
    *,
    config_module: str = "sccl.benchmark.conf",
    config_name: str = "config",
    config_dir: str | None = None,
) -> Study:
    """Turn options into runs, each of them once.

    An experiment's ``sweep.params`` and ``sweep.grids`` are options, too; those given here come before them.

    Parameters
    ----------
    options
        Hydra overrides; several values of one make several runs.
    config_module, config_name
        Where the configuration is.
    config_dir
        Directory with further options.

    Raises
    ------
    OptionError
        If an option is unknown, if ``config_dir`` has functions called that are not the package's own and that the option
        ``trust`` does not name, or if data cannot be read whose batches are to be held out in turn.
    """
    searchpath = [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir else []
    if config_dir and not Path(config_dir).is_dir():
        raise OptionError(f"There is no directory {config_dir}.")
    offer_models()
    with initialize_config_module(config_module, version_base="1.3"):
        given = parse(options)
        check_additions(given)
        fixed = [*searchpath, *(str(option.input_line) for option in given if not option.is_sweep_override())]
        swept = {option.key_or_group: _values(option) for option in given if option.is_sweep_override()}
        first = [values[0] for values in swept.values()]
        config = _compose([*fixed, *first], config_name)
        known = {option.key_or_group for option in given}
        trusted = _trusted(given)
        runs: dict[str, Run] = {}
        for grid in _grids(config.sweep, known):
            sweep = {**grid, **swept}
            # the seed chooses no file, so that one composition serves all seeds
            seeds = sweep.pop("seed", [f"seed={config.seed}"])
            for combination in product(*sweep.values()):
                composed = _compose([*fixed, *combination], config_name)
                _check_complete(composed)
                if config_dir:
                    _check_trust(composed, trusted, config_dir)
                command = (*fixed[len(searchpath) :], *combination)
                for holdout, seed in product(_holdouts(composed), seeds):
                    composed.seed, composed.holdout = _seed(seed), holdout
                    run = _run(composed, (*command, *_holdout_option(holdout, command), seed))
                    runs.setdefault(run.id, run)
    cluster = OmegaConf.to_container(config.cluster, resolve=True) if "cluster" in config else None
    return Study(list(runs.values()), cluster, Path(config.results))  # type: ignore[arg-type]


def check_file(data: Mapping[str, Any]) -> None:
    """Refuse a file that cannot be read, before anything that takes long is imported.

    Parameters
    ----------
    data
        The part ``data`` of a configuration; of what does not come from a file nothing is asked.

    Raises
    ------
    OptionError
        Naming the file and what can be read.
    """
    if data["_target_"] != "sccl.datasets.read":
        return
    from sccl.datasets.forms import check_readable

    try:
        check_readable(data["path"])
    except FileNotFoundError as error:
        raise OptionError(
            f"{error} Name it with data.path=FILE, or the folder of a known set with the variable SCCL_DATA."
        ) from error
    except ValueError as error:
        raise OptionError(str(error)) from error


def _grids(sweep: DictConfig, known: set[str]) -> Iterator[dict[str, list[str]]]:
    """Return for each grid of an experiment its options and their values, less those the user gave."""
    for grid in sweep.grids or [{}]:
        options = {**sweep.params, **grid}
        parsed = parse([f"{name}={value}" for name, value in options.items() if name not in known])
        yield {option.key_or_group: _values(option) for option in parsed}


def _holdouts(config: DictConfig) -> list[str | None]:
    """Return the batches to be held out, one per run; None where none is."""
    if config.holdout is None:
        return [None]
    if config.holdout != EACH:
        return [str(config.holdout)]
    check_file(_plain(config._get_node("data")))
    from sccl.benchmark.data import batches

    try:
        return list(batches(_plain(config._get_node("data"))))
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise OptionError(f"holdout={EACH} must read the data's batches: {error.args[0]}") from error


def _holdout_option(name: str | None, command: Sequence[str]) -> list[str]:
    """Return the option that holds out one batch, if `command` does not say so already."""
    said = [given for given in command if _head(given) == "holdout" and given != f"holdout={EACH}"]
    if name is None or said:
        return []
    quoted = name.replace("'", "\\'")
    return [f"holdout='{quoted}'"]


def _values(option: Override) -> list[str]:
    if not option.is_sweep_override():
        return [str(option.input_line)]
    key = option.get_key_element()
    return [f"{key}={value}" for value in option.sweep_string_iterator()]


def _check_complete(config: DictConfig) -> None:
    """Refuse data or a method that lacks what only the user knows, naming all of it at once."""
    values = {"data.path": "FILE", "method.key": "KEY"}
    for group in ("data", "method"):
        if missing := sorted(OmegaConf.missing_keys(config[group])):
            needed = " ".join(f"{name}={values.get(name, 'COLUMN')}" for name in missing)
            raise OptionError(f"{group}={config.hydra.runtime.choices[group]} also needs {needed}.")


def _trusted(given: list[Override]) -> list[str]:
    """Return the packages that the command line, and nothing else, says are trusted."""
    value = next((option.value() for option in given if option.key_or_group == "trust"), [])
    names = [name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str) and name]
    if not names and value != []:
        raise OptionError("`trust` takes the name of a package, trust=mine, or several, trust=[mine,yours].")
    return names


def _check_trust(config: DictConfig, trusted: list[str], config_dir: str) -> None:
    """Refuse functions of others, which a folder of options may name, before any of them is imported."""
    if foreign := untrusted({group: _plain(config._get_node(group)) for group in ("data", "method")}, trusted):
        package = foreign[0].partition(":")[0].partition(".")[0]
        raise OptionError(
            f"The options in {config_dir} name {', '.join(sorted(set(foreign)))}, which would be called. If you know and trust "
            f"what that does, say so: trust={package}"
        )


def _run(config: DictConfig, command: tuple[str, ...]) -> Run:
    identity = {name: _plain(config._get_node(name)) for name in IDENTITY}
    if config.holdout is not None:  # runs without one keep the names they had before there was a choice
        identity["holdout"] = config.holdout
    chosen = config.hydra.runtime.choices
    groups = ["data", "method", *(part for part in PARTS if part in config.method)]
    # several options of one group, augmentation=[mask,crossover], are not among hydra's choices
    choices = {group: str(chosen[group]) if group in chosen else "+".join(config[group]) for group in groups}
    # an experiment sets more than it sweeps, so that it belongs to the command; its other grids do not
    alone = ["sweep.grids=[]"] if config.sweep.grids else []
    return Run(
        config=identity,
        choices=choices,
        command=tuple(dict.fromkeys([*(option for option in command if _head(option) not in _ELSEWHERE), *alone])),
        results=Path(config.results),
        threads=config.threads,
    )


def _head(option: str) -> str:
    """Return ``data`` of ``+data.path=cells.h5ad``."""
    return option.lstrip("+~").partition("=")[0].partition(".")[0]


def _seed(option: str) -> int:
    value = option.partition("=")[2]
    if not value.isdecimal():
        raise OptionError(f"`seed` must be an integer of at least 0, found {value!r}.")
    return int(value)


def _compose(options: list[str], config_name: str) -> DictConfig:
    try:
        return compose(config_name, overrides=options, return_hydra_config=True)
    except HydraException as error:
        explain(options, config_name)
        raise error


def _plain(node: Any) -> Any:
    """Resolve a part of the configuration to plain values."""
    return (
        OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
        if OmegaConf.is_config(node)
        else node._value()
    )

"""The command ``sccl-bench``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from hydra import main as hydra_main
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sccl.benchmark.plan.explain import OptionError
from sccl.benchmark.plan.options import offer_models
from sccl.benchmark.plan.run import Run
from sccl.benchmark.plan.study import Study, check_file, plan
from sccl.benchmark.run.schedule import run_all
from sccl.storage import check_working_directory

CONFIG_MODULE = "sccl.benchmark.conf"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a study: all runs that the options name and that are not complete yet.

    Parameters
    ----------
    argv
        Hydra's command line, see ``sccl-bench --help``; that of the process if None. With and without ``--multirun``,
        several values of an option make several runs.

    Returns
    -------
    The exit code: 0 if all runs are complete, 1 if some failed, 2 if an option was refused.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if "--version" in argv:  # hydra would say its own
        print(f"sccl {version('sccl')}")
        return 0
    args = get_args_parser().parse_args(argv)
    if args.cfg and args.multirun:
        print(
            "sccl-bench: --cfg prints one run's configuration: leave out --multirun and give each option one value.",
            file=sys.stderr,
        )
        return 2
    if args.help or args.hydra_help or args.cfg or args.info or args.shell_completion:
        _let_hydra_answer(argv)
        return 0
    try:
        check_working_directory()
    except FileNotFoundError as error:
        print(f"sccl-bench: {error}", file=sys.stderr)
        return 2
    try:
        study = plan(
            args.overrides,
            config_module=args.config_path or CONFIG_MODULE,
            config_name=args.config_name or "config",
            config_dir=args.config_dir,
        )
        _check_place(study)
        for run in study.runs:
            check_file(run.config["data"])
    except OptionError as error:
        print(f"sccl-bench: {error}", file=sys.stderr)
        return 2
    except (HydraException, OmegaConfBaseException) as error:
        print(f"sccl-bench: {_without_search_path(error)}", file=sys.stderr)
        return 2
    return _report(study, run_all(study.runs, study.cluster))


def _check_place(study: Study) -> None:
    """Refuse a folder for results that cannot be written to, before anything is computed."""
    folder = study.results / "runs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"results={study.results} cannot be made ({error.strerror}): name another folder.") from error
    if not os.access(folder, os.W_OK):
        raise OptionError(f"results={study.results} cannot be written to: name another folder.")


def _report(study: Study, states: dict[Run, str]) -> int:
    complete = sum(state == "complete" for state in states.values())
    print(f"{complete} of {len(states)} runs complete in {study.results}")
    for run, state in states.items():
        if state != "complete":
            print(f"  {state}: {run.title}, see {run.directory}", file=sys.stderr)
    if complete:
        print(f"Read them: sccl-report {study.results}")
    return 0 if complete == len(states) else 1


def _let_hydra_answer(argv: list[str]) -> None:
    """Leave --help, --cfg, --info and shell completion to hydra."""
    sys.argv = [sys.argv[0], *argv]
    offer_models()

    @hydra_main(version_base="1.3", config_path="pkg://" + CONFIG_MODULE, config_name="config")
    def answer(config: DictConfig) -> None:
        raise AssertionError("hydra was asked for information, not for a run")

    answer()


def _without_search_path(error: Exception) -> str:
    return str(error).partition("\nConfig search path")[0].strip()

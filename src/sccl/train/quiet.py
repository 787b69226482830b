"""What the frameworks say that is not the user's."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("lightning.pytorch", "lightning.fabric", "scvi.data._download")
_WARNINGS = (
    # Losses are logged per epoch, so it does not matter that epochs are shorter than the logging interval.
    r"The number of training batches \(\d+\) is smaller",
    # Nor are workers needed: unless a user's own function makes the views, a thread does it while the model trains.
    r"The '\w+_dataloader' does not have many workers",
    r"GPU available but not used",
    # What is logged comes from the joint minibatch, and is the same in all processes.
    r"It is recommended to use `self.log\(.*sync_dist=True\)`",
    # Whoever asks for it with several processes is told so before.
    r"early_stopping was automatically disabled due to the use of DDP",
    # Checkpoints are kept between two epochs, whatever length those have.
    r"You're resuming from a checkpoint that ended before the epoch ended",
    r"The `srun` command is available",
    # Lightning uses an older form of torch's tree API.
    r"`isinstance.treespec, LeafSpec.` is deprecated",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out the hints of the frameworks below, and the warnings that our use of them provokes.

    ``scvi.settings.verbosity = logging.DEBUG`` shows the hints.
    """
    loggers = [] if logging.getLogger("scvi").level == logging.DEBUG else [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in _WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            for logger in loggers:
                logger.setLevel(max(logging.WARNING, logger.level))
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def shows_progress() -> bool:
    """Whether there is a progress bar, by scvi-tools' verbosity."""
    return logging.getLogger("scvi").level <= logging.INFO

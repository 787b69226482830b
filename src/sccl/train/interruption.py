"""Signals that end a training, as the caller expects them."""

from __future__ import annotations

import signal
from typing import Any

from lightning.pytorch.utilities.exceptions import SIGTERMException
from scvi.train import Trainer


class InterruptibleTrainer(Trainer):
    """A :class:`scvi.train.Trainer` that neither ends the process at Ctrl-C nor calls an ended process a success.

    Attributes
    ----------
    is_interrupted
        Whether Ctrl-C ended the training. ``fit`` then returns, so that what was learned can be put in order, and who called
        it raises a KeyboardInterrupt.
    """

    is_interrupted = False

    def fit(self, *args: Any, **kwargs: Any) -> None:
        """Train.

        Raises
        ------
        SystemExit
            After SIGTERM, with the code that a process has which SIGTERM ended, 143.
        """
        try:
            super().fit(*args, **kwargs)
        except SIGTERMException as error:
            raise _ended() from error
        except SystemExit as error:
            # what Lightning makes of Ctrl-C
            if not isinstance(error.__context__, KeyboardInterrupt):
                raise
            self.is_interrupted = True
        if self.received_sigterm:
            raise _ended()  # when there was nothing left to train


def _ended() -> SystemExit:
    return SystemExit(128 + signal.SIGTERM)

"""Ctrl-C during training: the step in progress is finished, then training ends."""

import signal
import warnings
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Self


class Interruption:
    """Tells whether the user has interrupted what runs in its context.

    Python raises KeyboardInterrupt between any two instructions: after some weights of
    a step were updated, and before the others. In this context, the first SIGINT is
    only noted, and the loop asks for it where all weights belong together. The second
    one raises KeyboardInterrupt at once, for users who do not want to wait.

    Only Python's own handler is replaced: one that the program has set is left alone.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            # The error of all threads but the main one, which alone is interrupted.
            with suppress(ValueError):
                signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if signal.getsignal(signal.SIGINT) == self._note:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            # First of all, as it may be __exit__ that does not get to do so.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.default_int_handler(number, frame)
        self.requested = True


def warn_of_interruption(n_epochs: int, keeps_best: bool) -> None:
    """Tell what an interruption leaves, after a number of complete epochs."""
    after = "1 epoch" if n_epochs == 1 else f"{n_epochs} epochs"
    kept = "of the best epoch" if keeps_best else "so far"
    doubt = "" if n_epochs else ", but not one epoch was complete"
    warnings.warn(
        f"Training interrupted by user after {after}. The weights {kept} are "
        f"kept{doubt}.",
        UserWarning,
        stacklevel=2,
    )

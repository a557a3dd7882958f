"""Progress of a fit: a bar in terminals and notebooks, lines of a log elsewhere."""

import logging
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
LOGGER = logging.getLogger("skmhe")
WHOLE = {"rows/s"}  # facts without decimals
BAR = "{l_bar}{bar}| [{elapsed}<{remaining}{postfix}]"


class Progress:
    """Is told what a fit does, and shows nothing of it; `ShownProgress` does.

    A fit has *parts*, such as the network. A part has *rounds*, such as its epochs,
    after each of which there is something to tell. A round may have *pieces*, such as
    its batches, each of which takes about the same time.
    """

    def say(self, line: str) -> None:
        """Tell something before the first part."""

    def start(self, part: str, n_rounds: int = 1, name: str = "") -> None:
        """Begin with a part, in place of the one before; `name` is what rounds are."""

    def pieces(self, pieces: Iterable[T], n: int) -> Iterator[T]:
        """Yield the n pieces of a round. Each is done when the next one is asked for.

        To be consumed by the thread that fits, also where others make the pieces.
        """
        yield from pieces

    def start_round(self) -> None:
        """Begin with a round of a part that has several."""

    def end_round(self, model: Callable[[], Any] | None = None, **facts: float) -> bool:
        """Tell that a round is over, and what is known since.

        `model` returns a copy of the model as it is. Returns whether further rounds are
        to be left out.
        """
        return False

    def close(self, completed: bool = False) -> None:
        """End; the last part may be complete without all of its rounds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(completed=kind is None)


SILENT = Progress()


class ShownProgress(Progress):
    """Counts the rounds, and has subclasses show them."""

    def start(self, part: str, n_rounds: int = 1, name: str = "") -> None:
        """Begin with a part, of which no round is done."""
        self.part, self.round = part, name
        self.n_rounds, self.n_done = n_rounds, 0

    def pieces(self, pieces: Iterable[T], n: int) -> Iterator[T]:
        """Yield the pieces, and tell the share of each one that is done."""
        for piece in pieces:
            yield piece
            self._advance(1 / n)

    def end_round(self, model: Callable[[], Any] | None = None, **facts: float) -> bool:
        """Count a round, and show what is known since."""
        self.n_done += 1
        shown = {
            name: f"{value:,.0f}" if name in WHOLE else f"{value:.4f}"
            for name, value in facts.items()
        }
        if self.round:
            shown = {self.round: f"{self.n_done}/{self.n_rounds}"} | shown
        self._show(shown)
        return False

    def _advance(self, share: float) -> None:
        """Tell that a share of a round is done."""

    def _show(self, facts: dict[str, str]) -> None:
        """Show what is known after a round."""


class _Lines(ShownProgress):
    """Writes a line after each round."""

    def say(self, line: str) -> None:
        _write(line)

    def start(self, part: str, n_rounds: int = 1, name: str = "") -> None:
        super().start(part, n_rounds, name)
        self._started = time.perf_counter()

    def _show(self, facts: dict[str, str]) -> None:
        seconds = time.perf_counter() - self._started
        shown = [f"{name} {value}" for name, value in facts.items()]
        shown.append(f"{seconds:.1f} s")
        if self.round:
            left = seconds / self.n_done * (self.n_rounds - self.n_done)
            shown.append(f"{left:.1f} s left")
        _write(f"{self.part}: {', '.join(shown)}")


def _write(line: str) -> None:
    """Log a line or, where nobody has set up logging, which drops it, print it."""
    if LOGGER.hasHandlers():
        LOGGER.info("%s", line)
    elif LOGGER.level <= logging.INFO:  # of this logger, which has none by default: 0
        # As with logging's own handlers, a fit goes on where nobody listens any more:
        # whoever read the pipe has ended, or the file was closed.
        with suppress(OSError, ValueError):
            # In one piece, as lines of other threads must not come between.
            flushes = hasattr(sys.stderr, "flush")
            print(f"{line}\n", end="", file=sys.stderr, flush=flushes)


class _Bar(ShownProgress):
    """Shows one bar, which each part fills anew, by tqdm or a subclass of it."""

    def __init__(self, tqdm: Callable[..., Any]) -> None:
        self._tqdm, self._bar = tqdm, None

    def say(self, line: str) -> None:
        _write(line)  # above the bar, which is not there yet

    def start(self, part: str, n_rounds: int = 1, name: str = "") -> None:
        super().start(part, n_rounds, name)
        if self._bar is None:
            # By default, tqdm skips as many pieces as it did of a faster part before.
            options = {"bar_format": BAR, "miniters": 0}
            self._bar = self._tqdm(desc=part, total=n_rounds, **options)
        else:
            self._bar.set_description(part, refresh=False)
            self._bar.set_postfix_str("", refresh=False)
            self._bar.reset(total=n_rounds)

    def close(self, completed: bool = False) -> None:
        if self._bar is not None:
            if completed:
                self._bar.n = self._bar.total
            self._bar.close()
            self._bar = None

    def _advance(self, share: float) -> None:
        assert self._bar is not None
        # A sum of shares may be larger than the whole, of which tqdm warns.
        self._bar.update(min(share, self._bar.total - self._bar.n))

    def _show(self, facts: dict[str, str]) -> None:
        assert self._bar is not None
        self._bar.n = self.n_done  # of which the shares are a rounded sum
        self._bar.set_postfix(facts)


class _Display:
    """A file for tqdm, which it writes its bar to: a display of a notebook's cell.

    It is updated in place, so that a saved notebook only has the last state.
    """

    encoding = "utf-8"  # tqdm asks which characters it may use

    def __init__(self) -> None:
        self._handle: Any = None

    def write(self, text: str) -> None:
        data = {"text/plain": text.strip("\r\n ")}
        if not data["text/plain"]:
            return
        if self._handle is None:
            display = import_module("IPython.display").display
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def flush(self) -> None:
        """Do nothing, as there is no buffer."""


def make_progress(verbose: int) -> Progress:
    """Return what shows the progress of a fit, as the parameter `verbose` asks for.

    A bar is for whoever waits for one fit. Several ones at a time, in threads or
    processes, would write over each other, so that these have lines.
    """
    if not verbose:
        return SILENT
    is_alone = threading.current_thread() is threading.main_thread()
    is_alone = is_alone and multiprocessing.parent_process() is None
    if verbose > 1 or not is_alone:
        return _Lines()
    if _is_notebook():
        return _Bar(_notebook_bar)
    return _Bar(_terminal_bar) if _is_terminal(sys.stderr) else _Lines()


def _is_terminal(stream: Any) -> bool:
    """Tell whether a stream, which may be closed or any object, is a terminal."""
    # Programs without a console have no stderr; others put an object there.
    is_open = hasattr(stream, "isatty") and not getattr(stream, "closed", False)
    return is_open and bool(stream.isatty())


def _is_notebook() -> bool:
    """Tell whether this is a notebook's kernel, whose shell has one."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None) is not None


# tqdm is imported where a bar is shown only, and never by tqdm.auto, which warns in
# notebooks without widgets.


def _terminal_bar(**options: Any) -> Any:
    from tqdm import tqdm

    bar = tqdm(dynamic_ncols=True, **options)
    # Terminals that do not tell their size have 0 columns, where nothing is shown. A
    # bar that is disabled by tqdm's own means (TQDM_DISABLE) has no size.
    columns = getattr(bar, "ncols", None)
    if columns is not None and columns < 1:
        bar.dynamic_ncols, bar.ncols, bar.nrows = None, 80, 24
    return bar


def _notebook_bar(**options: Any) -> Any:
    from tqdm import notebook, tqdm

    if notebook.IProgress is not None:
        return notebook.tqdm(**options)
    return tqdm(file=_Display(), **options)

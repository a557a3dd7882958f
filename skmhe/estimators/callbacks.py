"""Callbacks of scikit-learn, which are told what a fit does: from version 1.9 on."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from skmhe.scorers.progress import Progress

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # of an older version: there are no callbacks to tell

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """In place of scikit-learn's class."""

    def with_callbacks(method: Any) -> Any:
        """Return the method, in place of scikit-learn's decorator."""
        return method


__all__ = ["CallbackProgress", "FitTask", "SupportsCallbacks", "with_callbacks"]

T = TypeVar("T")
# Given a model, returns the attributes of the estimator that has it.
Attributes = Callable[[Any], dict[str, Any]]


class FitTask:
    """A task that callbacks are told of: a fit, a part of it, or a round of a part."""

    def __init__(self, context: Any, given: dict[str, Any]) -> None:
        self._context, self._given = context, given
        context.call_on_fit_task_begin(**given)

    def start(self, name: str, n_tasks: int = 0) -> "FitTask":
        """Begin with a task that is a part of this one, of some tasks itself."""
        context = self._context.subcontext(task_name=name, max_subtasks=n_tasks)
        return FitTask(context, self._given)

    def end(self, attributes: Callable[[], dict[str, Any]] | None = None) -> bool:
        """End, and return whether a callback wants the tasks after it left out.

        What `attributes` returns makes an estimator that is fitted as far as it is, for
        callbacks that ask for one.
        """
        stops: bool = self._context.call_on_fit_task_end(
            **self._given, reconstruction_attributes=attributes
        )
        return stops


class SupportsCallbacks(CallbackSupportMixin):
    """What estimators have whose `fit` tells callbacks what it does."""

    def _start_fit_task(self, X: Any, y: Any, sample_weight: Any) -> FitTask | None:
        """Tell callbacks that a fit begins; None without them."""
        if not hasattr(self, "_init_callback_context"):
            return None
        # How many parts the fit will have is not known yet.
        context = self._init_callback_context(max_subtasks=None)
        weights = None if sample_weight is None else {"sample_weight": sample_weight}
        return FitTask(
            context, {"estimator": self, "X": X, "y": y, "metadata": weights}
        )


class CallbackProgress(Progress):
    """Tells callbacks of the parts and rounds of a fit, and shows them as another does.

    `attributes` are those of the estimator that has some model.
    """

    def __init__(self, shown: Progress, fit: FitTask, attributes: Attributes) -> None:
        self._shown, self._fit, self._attributes = shown, fit, attributes
        self._part: FitTask | None = None
        self._round: FitTask | None = None

    def say(self, line: str) -> None:
        """Show a line."""
        self._shown.say(line)

    def start(self, part: str, n_rounds: int = 1, name: str = "") -> None:
        """Begin with a part; the one before is over."""
        self._end()
        self._shown.start(part, n_rounds, name)
        # Rounds without a name are the part.
        self._name, n_tasks = name, n_rounds if name else 0
        self._part = self._fit.start(part, n_tasks)

    def start_round(self) -> None:
        """Begin with a round that has a name."""
        if self._part is not None and self._name:
            self._round = self._part.start(self._name)

    def pieces(self, pieces: Iterable[T], n: int) -> Iterator[T]:
        """Show the pieces, of which callbacks are not told."""
        return self._shown.pieces(pieces, n)

    def end_round(self, model: Callable[[], Any] | None = None, **facts: float) -> bool:
        """Tell that a round is over, and return whether a callback wants no more."""
        self._shown.end_round(None, **facts)
        task, self._round = self._round, None
        if task is None:
            return False
        if model is None:
            return task.end()
        return task.end(lambda: self._attributes(model()))

    def close(self, completed: bool = False) -> None:
        """End what is left, unless an error has ended it."""
        if completed:
            self._end()
        self._shown.close(completed)

    def _end(self) -> None:
        """End the part, and a round of it that was cut short."""
        for task in (self._round, self._part):
            if task is not None:
                task.end()
        self._round = self._part = None

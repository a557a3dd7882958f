"""Methods that only some settings have, and an error that says why."""

import functools
from collections.abc import Callable
from types import MethodType
from typing import Any


class _Available:
    """A method that an object has only where a check lets it through.

    scikit-learn's `available_if` keeps the reason to itself: its error only says that
    there is no such attribute.
    """

    def __init__(self, method: Callable[..., Any], check: Callable[[Any], object]):
        self.method, self.check = method, check
        # Where doctest looks for examples.
        self.__doc__, self.__module__ = method.__doc__, method.__module__

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., Any]:
        if instance is not None:
            self.check(instance)
            return MethodType(self.method, instance)

        @functools.wraps(self.method)
        def unbound(this: Any, *args: Any, **kwargs: Any) -> Any:
            self.check(this)
            return self.method(this, *args, **kwargs)

        return unbound


def available_if(
    check: Callable[[Any], object],
) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a method that objects have only where a check raises no AttributeError.

    The error's message is what users read; `hasattr` is then False, as pipelines and
    searches ask it.
    """
    return lambda method: _Available(method, check)


def has_partial_fit(estimator: Any) -> bool:
    """Tell `available_if` whether training can continue with other samples."""
    if estimator.model == "linear":
        raise AttributeError(
            "model='linear' has no partial_fit: linear classifiers are fitted to all "
            "samples at once. Use model='network' or 'both', or fit."
        )
    return True

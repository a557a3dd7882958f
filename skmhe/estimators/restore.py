"""All or nothing: what fails leaves objects as they were."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


@contextmanager
def restored_on_error(*objects: Any) -> Iterator[None]:
    """Give objects back the attributes that they had if the block fails."""
    before = [(each, vars(each).copy()) for each in objects]
    try:
        yield
    except BaseException:
        for each, attributes in before:
            vars(each).clear()
            vars(each).update(attributes)
        raise


def unchanged_on_error(method: Method) -> Method:
    """Make a method that fits leave the estimator as it was if it fails."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        with restored_on_error(self):
            return method(self, *args, **kwargs)

    return wrapper  # type: ignore[return-value]


def objects_with_parameters(*values: Any) -> list[Any]:
    """Return those of some values that have parameters, and theirs that do."""
    found = [value for value in values if _has_parameters(value)]
    parts = [part for value in found for part in value.get_params().values()]
    return found + [part for part in parts if _has_parameters(part)]


def _has_parameters(value: Any) -> bool:
    # Classes have the method, too, but no parameters to set.
    return hasattr(value, "get_params") and not isinstance(value, type)

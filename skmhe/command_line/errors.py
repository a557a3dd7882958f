"""Exit codes: 2 for a wrong command line, 1 for data or a model that is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from skmhe.estimators._sklearn import InvalidParameterError

VALUES = (
    'Values are JSON, such as 0.5, true, null, [1, 2] or {"network": 1}, or else text.'
)


class DataError(click.ClickException):
    """What is wrong with a file; ends the program with the exit code 1."""

    exit_code = 1


def wrong_setting(error: Exception) -> click.BadParameter:
    """Return the error for a parameter of the model that cannot be so."""
    return click.BadParameter(f"{error} {VALUES}", param_hint="'--set'")


@contextmanager
def data_errors() -> Iterator[None]:
    """Turn errors of the library about data into `DataError`."""
    try:
        yield
    except (click.ClickException, BrokenPipeError):
        raise
    except InvalidParameterError as error:
        raise wrong_setting(error) from error
    except OSError as error:
        raise DataError(_about_file(error)) from error
    except (ValueError, TypeError, MemoryError, ImportError) as error:
        raise DataError(str(error)) from error


def _about_file(error: OSError) -> Any:
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}."

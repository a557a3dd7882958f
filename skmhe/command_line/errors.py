"""Exit codes: 2 for a wrong command line, 1 for data or a model that is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from skmhe.estimators._sklearn import InvalidParameterError


class DataError(click.ClickException):
    """What is wrong with a file; ends the program with the exit code 1."""

    exit_code = 1


def wrong_setting(error: Exception | str) -> click.BadParameter:
    """Return the error for a parameter of the model that cannot be so."""
    return click.BadParameter(str(error), param_hint="'--set'")


@contextmanager
def data_errors(name: str | None = None) -> Iterator[None]:
    """Turn errors of the library into `DataError`, or into one of `--set`.

    `name` is that of the file of the data, where errors do not name it themselves.
    """
    try:
        yield
    except (click.ClickException, BrokenPipeError):
        raise
    except InvalidParameterError as error:
        raise wrong_setting(error) from error
    except OSError as error:
        raise DataError(_about_file(error)) from error
    except (ValueError, TypeError, MemoryError, ImportError) as error:
        raise DataError(str(error) if name is None else f"{name}: {error}") from error


def _about_file(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    named = "" if error.filename is None else f"{error.filename}: "
    return f"{named}{error.strerror}."

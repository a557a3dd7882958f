"""What is told beside the results, on standard error."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click


def counted(number: int, noun: str) -> str:
    """Return a number with what it counts, in the singular or the plural."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


class Notes:
    """Tells what is done, unless it should be quiet."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Write a line."""
        if not self.quiet:
            click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Write a warning, also if it should be quiet."""
        click.echo(f"Warning: {text}", err=True)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Tell how long something took, and, in any case, of what Python warned."""
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            # Not all of them: libraries warn developers of what is deprecated.
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            yield
        for text in dict.fromkeys(str(warning.message) for warning in caught):
            self.warn(text)
        self.say(f"{what} in {time.perf_counter() - start:.1f} s")

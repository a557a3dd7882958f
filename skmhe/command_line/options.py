"""Options that several commands have."""

import math
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

# What CSV has a meaning for.
NO_DELIMITERS = '"\r\n\0'
READABLE = click.Path(exists=True, dir_okay=False, allow_dash=True)
MODEL = click.argument("model", type=click.Path(exists=True, dir_okay=False))
DATA = click.argument("data", type=READABLE)
QUIET = click.option(
    "-q", "--quiet", is_flag=True, help="Tell nothing but warnings and errors."
)


def _imported(context: Any, parameter: Any, names: tuple[str, ...]) -> list[Any]:
    """Import what names of the form MODULE:NAME stand for; a callback of click."""
    if names and (folder := os.getcwd()) not in sys.path:
        sys.path.insert(0, folder)  # as for python -m
    found = []
    for text in names:
        module, colon, name = text.partition(":")
        if not (module and colon and name):
            raise click.BadParameter(f"expected MODULE:NAME, got {text!r}.")
        try:
            value = getattr(import_module(module), name)
        # Whatever the module does, also if it ends the process.
        except (Exception, SystemExit) as error:
            why = f"{type(error).__name__}: {error}"
            raise click.BadParameter(
                f"{text!r} cannot be imported ({why}): name a module of this folder "
                "or of an installed package, and what is in it."
            ) from error
        if not callable(value):
            raise click.BadParameter(
                f"{text!r} is {value!r}, but must be a class, function or torch module."
            )
        found.append(value)
    return found


TRUSTED = click.option(
    "--trusted",
    metavar="MODULE:NAME",
    multiple=True,
    callback=_imported,
    help="Import a network or function of your own that MODEL needs, and run it. May "
    "be given several times.",
)


def several(*options: Callable[..., Any]) -> Callable[[Command], Command]:
    """Return a decorator that adds options in their order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def not_nan(context: Any, parameter: Any, value: float | None) -> float | None:
    """Refuse NaN, which is in every range of click; a callback of it."""
    if value is not None and math.isnan(value):
        raise click.BadParameter(f"expected a number, got {value}.")
    return value


def in_format(*names: str) -> Callable[..., Any]:
    """Return the option for the format of the data."""
    return click.option(
        "--format",
        type=click.Choice(names),
        help="Format of the data. By default, the name of the file tells it, or its "
        "first line.",
    )


def _one_character(context: Any, parameter: Any, text: str | None) -> str | None:
    character = "\t" if text == r"\t" else text
    if character is not None and (len(character) != 1 or character in NO_DELIMITERS):
        raise click.BadParameter(
            rf"expected one character, such as ; or \t, got {text!r}."
        )
    return character


def _some_text(context: Any, parameter: Any, text: str | None) -> str | None:
    if text == "":
        raise click.BadParameter("expected some text, such as ;, got none.")
    return text


OF_SAMPLES = (
    click.option(
        "--text",
        metavar="NAME",
        multiple=True,
        help="Column or field of the text, by default text. If given several times, "
        "texts are joined by spaces.",
    ),
    click.option(
        "--delimiter",
        metavar="CHARACTER",
        callback=_one_character,
        help=r"What separates the cells of CSV. By default, a comma, and \t in files "
        "named .tsv.",
    ),
    click.option(
        "--zero-based/--one-based",
        default=None,
        help="Whether the ids of xmc and svmlight start at 0 or at 1. By default, an "
        "id 0 tells it, or one as large as the number of ids.",
    ),
)
OF_LABELS = (
    click.option(
        "--label",
        metavar="NAME",
        help="Column or field of the label, or of a list of labels; by default label.",
    ),
    click.option(
        "--separator",
        metavar="TEXT",
        callback=_some_text,
        help="What separates the labels of a cell or field, such as a semicolon. By "
        "default, all of it is one label.",
    ),
    click.option(
        "--label-file",
        metavar="FILE",
        type=READABLE,
        help="File of the labels of xmc, where they have one of their own, such as "
        "trn_X_Y.txt.",
    ),
)

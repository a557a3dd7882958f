"""How data is read: the options of the command line."""

from dataclasses import dataclass
from typing import Any

import click

LabelSet = frozenset[Any]
# Samples, and their labels, which are None if they were not read.
Found = tuple[Any, Any]

# The formats, and which options there are for each.
USED: dict[str, tuple[str, ...]] = {
    "xmc": ("zero_based", "label_file"),
    "svmlight": ("zero_based",),
    "csv": ("text", "label", "separator", "delimiter"),
    "jsonl": ("text", "label", "separator"),
    "text": (),
}
NAMES = {"zero_based": "--zero-based/--one-based"}


@dataclass(frozen=True)
class Reading:
    """The options, by their names; what was not given is None or empty."""

    format: str | None = None
    text: tuple[str, ...] = ()
    label: str | None = None
    separator: str | None = None
    delimiter: str | None = None
    zero_based: bool | None = None
    label_file: str | None = None
    has_labels: bool = True

    @property
    def text_names(self) -> tuple[str, ...]:
        """Columns or fields of texts."""
        return self.text or ("text",)

    @property
    def label_name(self) -> str:
        """Column or field of labels."""
        return self.label or "label"

    @property
    def base(self) -> bool | str:
        """Where ids start, as readers want to know."""
        return "auto" if self.zero_based is None else self.zero_based

    def check(self, name: str, form: str) -> None:
        """Require that all that was given is for a format."""
        for option in dict.fromkeys(name for names in USED.values() for name in names):
            is_given = getattr(self, option) not in (None, ())
            if is_given and option not in USED[form]:
                formats = [
                    other for other, options in USED.items() if option in options
                ]
                shown = NAMES.get(option, f"--{option.replace('_', '-')}")
                raise click.UsageError(
                    f"{shown} is for {' and '.join(formats)}, but {name} is read as "
                    f"{form}: leave it away, or give another --format."
                )

"""What all displays share: axes, the style of lines, and matplotlib if it is there."""

from typing import Any

# Reference lines: seen on light and on dark backgrounds.
GRAY = "0.5"


def pyplot() -> Any:
    """Return matplotlib.pyplot, which an extra installs."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"skmhe.displays needs matplotlib ({error}): pip install 'skmhe[plot]'."
        ) from error
    return plt


class Display:
    """Base class of displays: the axes that they plot on."""

    name: str | None
    ax_: Any
    figure_: Any

    def _use_axes(self, ax: Any) -> None:
        """Plot on some axes, or on new ones if they are None."""
        plt = pyplot()
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure


def line_style(default: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return arguments of `Axes.plot`: those given, and the default of the others.

    `given` may have short forms, such as "lw" of "linewidth".
    """
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return {**default, **normalize_kwargs(given, Line2D)}


def default_name(estimator: Any, name: str | None) -> str:
    """Return the name of a curve: that of the estimator's class unless it is given."""
    return type(estimator).__name__ if name is None else name


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Raise ValueError unless a value is one of some strings."""
    if not isinstance(value, str) or value not in choices:
        shown = ", ".join(map(repr, choices))
        raise ValueError(f"{name}={value!r} must be one of {shown}.")

"""What all displays share: axes, the style of lines, and matplotlib if it is there."""

from typing import Any

import numpy as np

# Reference lines: seen on light and on dark backgrounds.
GRAY = "0.5"
# The space around a legend, in parts of its font size: matplotlib's default.
LEGEND_PAD = 0.5
# Room for a legend leaves at least this share of the axes' height to the curves.
LEAST_SHARE = 0.3


def pyplot() -> Any:
    """Return matplotlib.pyplot, which an extra installs."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"skmhe.displays needs matplotlib ({error}): pip install 'skmhe[plot]'."
        ) from error
    return plt


def check_axes(ax: Any) -> None:
    """Raise an error for what is no axes, or where there is no matplotlib at all.

    First of all, as what is plotted may take long to compute.
    """
    pyplot()
    if ax is not None and not hasattr(ax, "get_legend_handles_labels"):
        raise TypeError(
            f"ax={ax!r} must be matplotlib Axes, or None for new ones: pass one of "
            "those that matplotlib.pyplot.subplots returns."
        )


class Display:
    """Base class of displays: the axes that they plot on, and the curve if any."""

    name: str | None
    ax_: Any
    figure_: Any
    line_: Any

    def _use_axes(self, ax: Any) -> None:
        """Plot on some axes, or on new ones if they are None."""
        check_axes(ax)
        if ax is None:
            _, ax = pyplot().subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure

    def _plot_curve(
        self, x: Any, y: Any, given: dict[str, Any], **default: Any
    ) -> None:
        """Plot the curve, in the style that the user has given and that of the display.

        What is given may have short forms, such as "lw" of "linewidth".
        """
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        style = {**default, **normalize_kwargs(given, Line2D)}
        (self.line_,) = self.ax_.plot(x, y, **style)

    def _show_legend(self) -> None:
        """Explain the curves of the axes that have names, and cover none of them.

        The legend is where there is room for it, in smaller letters if need be. Where
        there is none, it is above all curves, as the vertical axis becomes longer.
        """
        ax = self.ax_
        if not ax.get_legend_handles_labels()[1]:
            return
        for size in (None, "small"):
            legend = ax.legend(fontsize=size)
            # It is inside, and if it is wider, then the axes must not become smaller.
            legend.set_in_layout(False)
            ax.get_figure(root=True).draw_without_rendering()  # finds the best place
            box, curves = legend.get_window_extent(), _curves(ax)
            if not any(path.intersects_bbox(box, filled=False) for path in curves):
                return
        pad = 2 * LEGEND_PAD * legend.get_texts()[0].get_size() * ax.figure.dpi / 72
        _make_room(ax, (box.height + pad) / ax.bbox.height)


def _curves(ax: Any) -> list[Any]:
    """Return the paths of all curves, where they are drawn."""
    return [
        line.get_path().transformed(line.get_transform())
        for line in ax.lines
        if line.get_transform() == ax.transData
    ]


def _make_room(ax: Any, share: float) -> None:
    """Leave a share of the axes' height free above all curves.

    The limits are those of data that would be so much higher: they go on being found
    anew for further curves, and stay as they are if the user has set them.
    """
    margin = ax.margins()[1]
    kept = (1 - share) * (1 + 2 * margin) - margin
    if kept < LEAST_SHARE:
        return
    scale = ax.yaxis.get_transform()
    values = [
        scale.transform(np.asarray(line.get_ydata(), dtype=float))
        for line in ax.lines
        if line.get_transform() == ax.transData
    ]
    known = np.concatenate(values)
    known = known[np.isfinite(known)]
    low, high = known.min(), known.max()
    top = scale.inverted().transform(low + (high - low) / kept)
    ax.update_datalim([(0, top)], updatex=False)
    ax.autoscale_view(scalex=False)


def default_name(estimator: Any, name: str | None) -> str:
    """Return the name of a curve: that of the estimator's class unless it is given."""
    return type(estimator).__name__ if name is None else name


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Raise ValueError unless a value is one of some strings."""
    if not isinstance(value, str) or value not in choices:
        shown = ", ".join(map(repr, choices))
        raise ValueError(f"{name}={value!r} must be one of {shown}.")

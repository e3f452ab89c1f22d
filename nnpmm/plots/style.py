"""The one style of all pictures: sizes, fonts, colors, axes, panel letters.

Nothing here changes matplotlib's settings, so other pictures of the same program are not affected.
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = [
    "BLACK",
    "BLUE",
    "COLORS",
    "GREEN",
    "GREY",
    "LIGHT_GREY",
    "ORANGE",
    "PURPLE",
    "RED",
    "SKY",
    "SMALL",
    "TEXT",
    "axis_label",
    "create_figure",
    "create_panels",
    "dress",
    "legend",
    "legend_above",
    "panel_letter",
]

# The palette of Okabe and Ito, for readers with and without colour blindness.
BLUE, RED, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#222222"
#: Colors of series, in this order.
COLORS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK)
GREY, LIGHT_GREY = "#808080", "#D9D9D9"
#: Font sizes in points: of labels and titles, and of ticks, legends and notes.
TEXT, SMALL = 9.0, 8.0
_DPI = 150


def create_figure(width: float = 4.6, height: float = 3.4) -> Figure:
    """Return an empty figure of a size in inches; its parts are laid out when it is drawn."""
    # Not pyplot, which keeps figures and may ask for a display.
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def create_panels(
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = 4.6,
    height: float = 3.4,
    letters: bool = True,
    **options: Any,
) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels, row by row, with the letters a, b, c, ...

    Args:
        rows: of panels.
        columns: of panels.
        width: of the figure, inches.
        height: of the figure, inches.
        letters: whether several panels get letters.
        options: of ``Figure.subplots``, such as ``sharex=True``.
    """
    figure = create_figure(width, height)
    panels: list[Axes] = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for index, axes in enumerate(panels):
        dress(axes)
        if letters and len(panels) > 1:
            panel_letter(axes, chr(ord("a") + index))
    return figure, panels


def dress(axes: Axes, *, xlabel: str = "", ylabel: str = "", title: str = "") -> None:
    """Apply the style to axes, with labels and a title if they are not empty."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    axes.set_prop_cycle(color=COLORS)
    if xlabel:
        axes.set_xlabel(xlabel, fontsize=TEXT)
    if ylabel:
        axes.set_ylabel(ylabel, fontsize=TEXT)
    if title:
        axes.set_title(title, fontsize=TEXT, loc="left")


def axis_label(quantity: str, unit: str = "") -> str:
    """Return a label such as "time / ps" or "energy / (kJ/mol)"; a number has no unit."""
    if not unit:
        return quantity
    compound = "/" in unit or " " in unit
    return f"{quantity} / ({unit})" if compound else f"{quantity} / {unit}"


def panel_letter(axes: Axes, letter: str) -> None:
    """Write a panel's letter in bold outside its upper left corner."""
    axes.annotate(
        letter,
        (0, 1),
        xycoords="axes fraction",
        xytext=(-6, 3),
        textcoords="offset points",
        fontsize=TEXT + 1,
        fontweight="bold",
        ha="right",
        va="bottom",
        annotation_clip=False,
    )


def legend(axes: Axes, **options: Any) -> None:
    """Add a legend without a frame if anything on the axes has a label.

    Args:
        axes: that get it.
        options: of ``Axes.legend``.
    """
    if axes.get_legend_handles_labels()[1]:
        axes.legend(**{"fontsize": SMALL, "frameon": False, **options})


def legend_above(figure: Figure, axes: Axes, **options: Any) -> None:
    """Put the legend of some axes above all panels, where it hides no data.

    Args:
        figure: that gets it.
        axes: with the labels.
        options: of ``Figure.legend``.
    """
    handles, labels = axes.get_legend_handles_labels()
    style: dict[str, Any] = {"fontsize": SMALL, "frameon": False, "ncols": 3}
    figure.legend(handles, labels, loc="outside upper left", **{**style, **options})

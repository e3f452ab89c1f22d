"""Torsion profiles of one bond with several potentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nnpmm.plots.style import BLACK, COLORS, GREY, create_panels, dress, legend

__all__ = ["plot_torsion_profiles"]


def plot_torsion_profiles(
    angles: ArrayLike,
    profiles: Mapping[str, ArrayLike],
    *,
    dashed: Sequence[str] = (),
    points: Sequence[str] = (),
    ylabel: str = "energy / (kcal/mol)",
    title: str = "",
) -> Figure:
    """Draw the profiles of a torsion over the whole circle, each with its lowest energy at zero.

    Args:
        angles: degrees, (a,), from above -180 to 180.
        profiles: energies (a,) by name in the legend, with gaps at nan.
        dashed: names of profiles drawn with dashes and without markers.
        points: names of references, drawn as black points.
        ylabel: with the unit.
        title: heading, if any.
    """
    figure, (axes,) = create_panels(width=5.4, height=3.4)
    circle = np.asarray(angles, dtype=np.float64)
    closed = np.append(circle[-1] - 360.0, circle)
    colors = iter(COLORS)
    for name, values in profiles.items():
        heights = np.asarray(values, dtype=np.float64)
        heights = heights - np.nanmin(heights)
        heights = np.append(heights[-1], heights)
        if name in points:
            axes.plot(closed, heights, "o", color=BLACK, markersize=4, label=name, zorder=3)
            continue
        style = {"linestyle": "--"} if name in dashed else {"marker": "o", "markersize": 2.5}
        axes.plot(closed, heights, color=next(colors, GREY), linewidth=1.2, label=name, **style)
    axes.set_xlim(-180, 180)
    axes.set_xticks(range(-180, 181, 60))
    axes.set_ylim(bottom=0)
    dress(axes, xlabel="torsion / degrees", ylabel=ylabel, title=title)
    legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return figure

"""Figures of free energies; ``files.save_figure`` saves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpmm import plots
from nnpmm.permeation.labels.umbrella import Profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["profile_figure"]


def profile_figure(profile: Profile, title: str) -> Figure:
    """Return a profile across a bilayer with a band of two standard errors."""
    figure = plots.plot_profile(
        profile.heights,
        profile.free_energies,
        profile.errors,
        xlabel="height above the midplane / nm",
        ylabel="free energy / (kJ/mol)",
        title=title,
    )
    figure.axes[0].axhline(0.0, color=plots.style.GREY, linewidth=0.8, zorder=0)
    return figure

"""Pictures of free energies."""

from __future__ import annotations

from pathlib import Path

from nnpmm.permeation.files import save_figure
from nnpmm.permeation.labels.umbrella import Profile

__all__ = ["plot_profile"]


def plot_profile(profile: Profile, title: str, path: Path) -> None:
    """Draw a profile across a bilayer with its errors (two standard deviations) to a file."""
    # Not pyplot, which keeps figures and asks for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0.0, color="0.7", linewidth=0.8)
    axes.errorbar(profile.heights, profile.free_energies, 2.0 * profile.errors, fmt=".-", capsize=2)
    axes.set(xlabel="height above the midplane / nm", ylabel="free energy / kJ mol$^{-1}$")
    axes.set_title(title)
    save_figure(figure, path, dpi=120)

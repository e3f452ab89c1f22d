"""A permeability as a table, a JSON file and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table
from scipy.integrate import trapezoid

from nnpmm import plots
from nnpmm._version import __version__
from nnpmm.core.files import write_atomically
from nnpmm.permeation.permeability.integral import CM2_PER_S, Permeability, PermeationProfile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["permeability_figure", "permeability_table", "write_permeability"]


def permeability_table(title: str, found: Permeability, speed_up: float) -> Table:
    """Return a table of the permeability and of the assumptions about the model's dynamics."""
    table = Table("quantity", "value", title=title)
    factor = 10.0**found.log10_error
    table.add_row("P", f"{found.value:.3g} cm/s, within a factor of {factor:.2g}")
    table.add_row("log10 P / (cm/s)", f"{found.log10:.2f} ± {found.log10_error:.2f}")
    table.add_row("diffusivities divided by", f"{speed_up:g}")
    return table


def write_permeability(
    path: Path, profile: PermeationProfile, found: Permeability, speed_up: float
) -> None:
    """Write the permeability and its profile to a JSON file."""
    record = {
        "permeability_cm_s": found.value,
        "log10_permeability": found.log10,
        "log10_error": found.log10_error,
        "speed_up": speed_up,
        "temperature_k": profile.temperature,
        "mirrored": profile.is_half,
        "heights_nm": profile.heights.tolist(),
        "free_energies_kj": profile.free_energies.tolist(),
        "free_energy_errors_kj": profile.free_energy_errors.tolist(),
        "diffusivities_cm2_s": (profile.diffusivities * CM2_PER_S).tolist(),
        "diffusivity_errors_cm2_s": (profile.diffusivity_errors * CM2_PER_S).tolist(),
        "weights": found.weights.tolist(),
        "nnpmm": __version__,
    }
    write_atomically(path, json.dumps(record, indent=1) + "\n")


def permeability_figure(title: str, profile: PermeationProfile) -> Figure:
    """Return a figure of free energy, diffusivity and resistance; bands are two sigma."""
    style = plots.style
    figure, panels = style.create_panels(3, 1, width=5.0, height=6.5, sharex=True)
    energy, diffusion, resistance = panels
    energy.axhline(0.0, color=style.GREY, linewidth=0.8)
    heights = profile.heights
    plots.draw_profile(energy, heights, profile.free_energies, profile.free_energy_errors)
    unit = CM2_PER_S * 1e5
    plots.draw_profile(
        *(diffusion, heights, profile.diffusivities * unit, profile.diffusivity_errors * unit),
        color=style.GREEN,
    )
    diffusion.set_ylim(bottom=0.0)
    density = np.exp(profile.log_resistances - profile.log_resistances.max())
    plots.draw_profile(resistance, heights, density / trapezoid(density, heights), color=style.RED)
    resistance.set_ylim(bottom=0.0)
    style.dress(energy, ylabel="free energy / (kJ/mol)", title=title)
    style.dress(diffusion, ylabel="diffusivity / ($10^{-5}$ cm$^2$/s)")
    style.dress(resistance, xlabel="height / nm", ylabel="fraction of resistance / nm$^{-1}$")
    return figure

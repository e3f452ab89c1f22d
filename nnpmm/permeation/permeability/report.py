"""A permeability as a table, a JSON file and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nnpmm._version import __version__
from nnpmm.core.files import write_atomically
from nnpmm.permeation.files import save_figure
from nnpmm.permeation.permeability.integral import CM2_PER_S, Permeability, PermeationProfile

__all__ = ["plot_permeability", "print_permeability", "write_permeability"]


def print_permeability(title: str, found: Permeability, speed_up: float) -> None:
    """Print the permeability and what was assumed of the model's dynamics."""
    table = Table("quantity", "value", title=title)
    factor = 10.0**found.log10_error
    table.add_row("P", f"{found.value:.3g} cm/s, within a factor of {factor:.2g}")
    table.add_row("log10 P / (cm/s)", f"{found.log10:.2f} +- {found.log10_error:.2f}")
    table.add_row("diffusivities divided by", f"{speed_up:g}")
    Console().print(table)


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


def plot_permeability(path: Path, title: str, profile: PermeationProfile) -> None:
    """Draw free energy, diffusivity and where the resistance lies; bars are two sigma."""
    # Not pyplot, which keeps figures and asks for a display.
    from matplotlib.figure import Figure
    from scipy.integrate import trapezoid

    figure = Figure(figsize=(5.0, 6.5), layout="constrained")
    energy, diffusion, resistance = figure.subplots(3, sharex=True)
    energy.axhline(0.0, color="0.7", linewidth=0.8)
    style = {"fmt": ".-", "capsize": 2}
    bars = 2.0 * profile.free_energy_errors
    energy.errorbar(profile.heights, profile.free_energies, bars, **style)
    bars = 2.0 * profile.diffusivity_errors * CM2_PER_S * 1e5
    diffusion.errorbar(profile.heights, profile.diffusivities * CM2_PER_S * 1e5, bars, **style)
    diffusion.set_ylim(bottom=0.0)
    density = np.exp(profile.log_resistances - profile.log_resistances.max())
    resistance.plot(profile.heights, density / trapezoid(density, profile.heights), ".-")
    energy.set(ylabel="free energy / kJ mol$^{-1}$", title=title)
    diffusion.set(ylabel="diffusivity / $10^{-5}$ cm$^2$ s$^{-1}$")
    resistance.set(ylabel="part of the resistance / nm$^{-1}$", xlabel="height / nm")
    save_figure(figure, path, dpi=120)

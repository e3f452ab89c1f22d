"""The report of a binding free energy, one HTML page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nnpmm._version import __version__
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.files import write_atomically
from nnpmm.freeenergy.binding.boresch import (
    mean_restraint_energy,
    release_free_energy,
    stiff_release_free_energy,
)
from nnpmm.freeenergy.binding.figures import (
    plot_anchors,
    plot_coordinates,
    plot_restraint_energies,
)
from nnpmm.freeenergy.binding.pilot import Pilot
from nnpmm.freeenergy.binding.result import (
    PARTS,
    BindingResult,
    restraint_energies_of_states,
)
from nnpmm.freeenergy.binding.settings import BindingSettings
from nnpmm.freeenergy.binding.site import Solute, heavy_atoms
from nnpmm.freeenergy.estimators import Estimate, thermal_energy
from nnpmm.freeenergy.legs import ESTIMATES, LegResult, add_leg, convergence_warning
from nnpmm.plots import plot_time_series
from nnpmm.plots.page import Page
from nnpmm.structures import MMSystem

__all__ = ["converged_warning", "write_report"]

_LADDERS = {
    "network": "ladder of the network",
    "force field": "ladder of the force field",
    "joint": "ladder of both potentials",
}
_SHOWN = 0.6  # nm; the picture of the anchors shows receptor atoms nearer to the ligand than this

_SINGLE = "One repeat cannot show hysteresis: use two or more."


def converged_warning(settings: BindingSettings) -> str | None:
    """Return a warning if a leg is sampled for too short a time, or not repeated."""
    shortest = min(settings.legs.values(), key=lambda times: times.time)
    short = convergence_warning(shortest)
    single = _SINGLE if settings.repeats == 1 else None
    return " ".join(filter(None, (short, single))) or None


def write_report(
    path: Path,
    settings: BindingSettings,
    mm: MMSystem,
    solute: Solute,
    pilot: Pilot,
    result: BindingResult,
) -> None:
    """Write the report.

    Args:
        path: HTML file to write.
        settings: settings of the calculation.
        mm: the complex.
        solute: receptor and ligand.
        pilot: the short run with the restraint.
        result: result of the calculation.

    Raises:
        UnwritableError: the file cannot be written.
    """
    assert mm.ligand_atoms is not None  # the complex was loaded with them
    first = list(mm.topology.atoms())[int(mm.ligand_atoms[0])]
    page = Page(f"Binding free energy of {first.residue.name}")
    page.paragraph(
        f"From 1 M in water to the bound complex at {settings.temperature:g} K and "
        f"{settings.pressure:g} bar."
    )
    warning = converged_warning(settings)
    if warning is not None:
        page.paragraph(warning, note=True)
    _add_values(page, settings, result)
    page.heading("Restraint")
    _add_restraint(page, settings, mm, solute, pilot)
    for leg, ladders in result.ladders.items():
        for ladder, repeats in ladders.items():
            for number, found in enumerate(repeats, start=1):
                page.heading(f"{leg.capitalize()}, {_LADDERS[ladder]}, repeat {number}")
                add_leg(page, found, "G(first state) - G(last state)")
                if leg == "complex":
                    _add_restraint_energies(page, settings, pilot, found)
    page.heading("How it was calculated")
    _add_method(page, settings)
    write_atomically(path, page.text())


def _add_values(page: Page, settings: BindingSettings, result: BindingResult) -> None:
    names = {"network": settings.model, "force field": "force field"}
    columns = [names[potential] for potential in result.potentials]
    header = ["kcal/mol", *columns, *(["difference"] if result.difference else [])]
    rows = []
    for part in PARTS:
        cells = [_text(result.parts[potential][part]) for potential in result.potentials]
        rows.append([part, *cells, *([_difference(result, part)] if result.difference else [])])
    totals = [_text(total) for total in result.potentials.values()]
    rows.append(["sum", *totals, *([_text(result.difference)] if result.difference else [])])
    page.table(header, rows)
    page.paragraph(
        "complex: the interactions of the bound ligand are switched on and the restraint is "
        "released; restraint: the decoupled ligand at 1 M is restrained; solvent: the interactions "
        f"with water are switched off; symmetry: symmetry number {settings.symmetry_number}."
    )


def _difference(result: BindingResult, part: str) -> str:
    if part == "complex":
        return _text(result.differences["complex"])
    if part == "solvent":
        found = result.differences["solvent"]
        return _text(Estimate(-found.value, found.error))
    return ""


def _text(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    value = f"{estimate.value / KJ_PER_KCAL:.2f}"
    return f"{value} ± {estimate.error / KJ_PER_KCAL:.2f}" if estimate.error else value


def _add_restraint(
    page: Page, settings: BindingSettings, mm: MMSystem, solute: Solute, pilot: Pilot
) -> None:
    choice, restraint = pilot.choice, pilot.restraint
    kt = thermal_energy(settings.temperature)
    for reason in choice.reasons:
        page.paragraph(f"{reason[0].upper()}{reason[1:]}.")
    page.table(
        ("anchor", "atom", "fluctuation / nm"),
        [
            (letter, label, f"{width:.3f}")
            for letter, label, width in zip(
                "cbaABC", choice.labels, choice.fluctuations, strict=True
            )
        ],
    )
    page.figure(
        _anchor_figure(mm, solute, pilot), "The ligand, surrounding atoms, and the anchors."
    )
    page.figure(
        plot_coordinates(restraint, choice.coordinates, kt),
        "Coordinates of the restraint in the short run without it. The line is the reference "
        "value; the band is one standard deviation of a coordinate under the restraint alone.",
    )
    times = settings.pilot.interval * np.arange(1, len(pilot.displacements) + 1)
    page.figure(
        plot_time_series(
            times, {"": pilot.displacements}, ylabel="displacement of the ligand's centre / nm"
        ),
        "Displacement of the ligand's centre in its site; "
        f"{settings.restraint.site_radius:g} nm is allowed.",
    )
    exact = release_free_energy(restraint, settings.temperature)
    stiff = stiff_release_free_energy(restraint, settings.temperature)
    page.paragraph(
        f"Free energy of the decoupled ligand's release to 1 M: {exact:.2f} kJ/mol by numerical "
        f"integration, which is used; {stiff:.2f} kJ/mol by the formula for stiff springs."
    )


def _anchor_figure(mm: MMSystem, solute: Solute, pilot: Pilot) -> Figure:
    """Return the picture of the anchors at the end of the short run."""
    positions = solute.positions(pilot.positions, pilot.box)
    heavy = heavy_atoms(mm.topology, solute.atoms)
    ligand = np.isin(np.arange(len(heavy)), solute.ligand)
    distances = np.linalg.norm(positions[:, None] - positions[None, ligand], axis=-1).min(axis=1)
    anchors = np.isin(solute.atoms, pilot.restraint.atoms)
    rows = np.flatnonzero(heavy & (ligand | anchors | (distances < _SHOWN)))
    local = {int(row): n for n, row in enumerate(rows)}
    atoms = list(mm.topology.atoms())
    of_atom = {int(atom): row for row, atom in enumerate(solute.atoms)}
    return plot_anchors(
        positions[rows],
        [atoms[int(solute.atoms[row])].element.symbol for row in rows],
        [(local[i], local[j]) for i, j in solute.bonds if i in local and j in local],
        {
            letter: local[of_atom[atom]]
            for letter, atom in zip("cbaABC", pilot.restraint.atoms, strict=True)
        },
    )


def _add_restraint_energies(
    page: Page, settings: BindingSettings, pilot: Pilot, leg: LegResult
) -> None:
    kt = thermal_energy(settings.temperature)
    energies = restraint_energies_of_states(leg)
    on = leg.names.index("restraint 1")
    off = leg.names.index("restraint 0")
    last = max(n for n, name in enumerate(leg.names) if name.startswith("LJ"))
    expected = mean_restraint_energy(pilot.restraint, settings.temperature) / kt
    found = energies[:, last].mean() / kt
    error = energies[:, last].std() / kt / np.sqrt(max(1, leg.free_energies.samples[last]))
    page.figure(
        plot_restraint_energies(
            {
                "bound, free": energies[:, off],
                "bound, restrained": energies[:, on],
                "decoupled, restrained": energies[:, last],
            },
            kt,
        ),
        f"Energy of the restraint. Its mean for the decoupled ligand is {found:.2f} ± {error:.2f} "
        f"kT; numerical integration gives {expected:.2f} kT.",
    )


def _add_method(page: Page, settings: BindingSettings) -> None:
    both = len(settings.potentials) == 2
    joint = both and settings.route == "joint"
    lifting = (
        "At both ends of each ladder, the ligand's intramolecular energy changes from that of the "
        "force field to that of the network. "
    )
    page.paragraph(
        "A restraint of one distance, two angles and three torsions between receptor and ligand is "
        "switched on in the complex. Then the ligand's interactions with its surroundings are "
        "switched off, first the charges and then Lennard-Jones with a soft core; its "
        "intramolecular energy is not scaled. The same is done with the ligand alone in water, "
        f"without a restraint. {lifting if joint else ''}{ESTIMATES}"
    )
    rows = [
        ("program", f"nnpmm {__version__}"),
        ("network", settings.model),
        ("time step", f"{settings.timestep * 1000:g} fs"),
        ("short run", f"{settings.pilot.length:g} ps"),
        ("seed", str(settings.seed)),
    ]
    for leg, times in settings.legs.items():
        rows.append((f"{leg}, sampling of each state", f"{times.time:g} ps"))
        rows.append((f"{leg}, between exchanges", f"{times.interval:g} ps"))
        rows.append((f"{leg}, equilibration", f"{times.equilibration:g} ps"))
    page.table(("", ""), rows)

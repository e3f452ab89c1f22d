"""The report of a solvation free energy with AMOEBA, one HTML page."""

from __future__ import annotations

from pathlib import Path

from nnpmm._version import __version__
from nnpmm.core.files import write_atomically
from nnpmm.freeenergy.estimators import Estimate
from nnpmm.freeenergy.legs import ESTIMATES, add_leg, convergence_warning, text_in_kcal
from nnpmm.freeenergy.polarizable.result import PolarizableResult
from nnpmm.freeenergy.polarizable.settings import AmoebaSolvationSettings
from nnpmm.plots.page import Page

__all__ = ["write_report"]

_LADDERS = {
    "electrostatics": "Multipoles and polarization",
    "sterics": "Van der Waals interaction",
}


def write_report(path: Path, settings: AmoebaSolvationSettings, result: PolarizableResult) -> None:
    """Write the report.

    Args:
        path: HTML file to write.
        settings: settings of the calculation.
        result: result of the calculation.

    Raises:
        UnwritableError: the file cannot be written.
    """
    page = Page(f"Solvation free energy in {settings.label}, AMOEBA")
    page.paragraph(
        f"From 1 M gas to 1 M solution at {settings.temperature:g} K and {settings.pressure:g} bar."
    )
    warning = convergence_warning(settings.ladder)
    if warning is not None:
        page.paragraph(warning, note=True)
    names = {"network": f"{settings.model} in AMOEBA", "force field": "AMOEBA"}
    rows: list[tuple[str, ...]] = []
    for potential, total in result.potentials.items():
        rows.append((names[potential], *_values(total)))
        for stage, part in result.stages.get(potential, {}).items():
            rows.append((f"of this, {_LADDERS[stage].lower()}", *_values(part)))
    if result.difference is not None:
        rows.append(("difference", *_values(result.difference)))
    page.table(("", "kcal/mol", "kJ/mol"), rows)
    for stage, legs in result.ladders.items():
        for number, leg in enumerate(legs, start=1):
            page.heading(f"{_LADDERS[stage]}, repeat {number}")
            add_leg(page, leg, "free energy of interaction")
    page.heading("How it was calculated")
    _add_method(page, settings, result)
    write_atomically(path, page.text())


def _values(estimate: Estimate) -> tuple[str, str]:
    return text_in_kcal(estimate), f"{estimate.value:.1f} ± {estimate.error:.1f}"


def _add_method(page: Page, settings: AmoebaSolvationSettings, result: PolarizableResult) -> None:
    ladder = settings.ladder
    page.paragraph(
        "The interactions of the multipoles and induced dipoles of the solute with those of the "
        "solvent are switched off in a first ladder of states, and the buffered 14-7 interactions, "
        "with a soft core, in a second one. The intramolecular energy of the solute is not scaled, "
        "so the last state is the molecule in vacuum and pure solvent. The result is the sum of "
        f"both free energies. {ESTIMATES}"
    )
    page.table(
        ("", ""),
        [
            ("program", f"nnpmm {__version__}"),
            ("network", settings.model if settings.creates_network else "none"),
            ("coordinates", settings.system.xyz.name),
            *([] if settings.solvent is None else [("solvent", settings.solvent.xyz.name)]),
            ("parameters", ", ".join(path.name for path in settings.system.parameters)),
            ("density of the box", f"{result.density:.3f} g/ml"),
            (
                "time steps",
                f"{settings.inner_timestep * 1000:g} fs (valence terms), "
                f"{settings.timestep * 1000:g} fs",
            ),
            ("mass of hydrogens", f"{settings.hydrogen_mass:g} amu"),
            ("sampling of each state", f"{ladder.time:g} ps"),
            ("between exchanges", f"{ladder.interval:g} ps"),
            ("equilibration", f"{ladder.equilibration:g} ps"),
            ("seed", str(settings.seed)),
        ],
    )

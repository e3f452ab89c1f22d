"""The report of a solvation free energy, one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rdkit import Chem

from nnpmm._version import __version__
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.files import write_atomically
from nnpmm.freeenergy.estimators import Estimate
from nnpmm.freeenergy.finite_size import FiniteSizeCorrection
from nnpmm.freeenergy.legs import ESTIMATES, add_leg, convergence_warning, depict, text_in_kcal
from nnpmm.freeenergy.solvation.result import SolvationResult, shifted
from nnpmm.freeenergy.solvation.settings import SolvationSettings
from nnpmm.plots.page import Page

__all__ = ["write_report"]

_LADDERS = {
    "network": "Ladder of the network",
    "force field": "Ladder of the force field",
    "joint": "Ladder of both potentials",
    "reweighting": "Ladder of the force field",
    "solvent": "From the force field to the network in the solvent",
    "vacuum": "From the force field to the network in vacuum",
}
_QUANTITIES = dict.fromkeys(("solvent", "vacuum"), "network minus force field")


def write_report(
    path: Path,
    settings: SolvationSettings,
    molecule: Chem.Mol,
    sources: Mapping[str, str],
    result: SolvationResult,
) -> None:
    """Write the report.

    Args:
        path: HTML file to write.
        settings: settings of the calculation.
        molecule: the solute.
        sources: where the force-field parameters come from.
        result: result of the calculation.

    Raises:
        UnwritableError: the file cannot be written.
    """
    smiles = Chem.MolToSmiles(Chem.RemoveHs(molecule))
    page = Page(f"Solvation free energy of {smiles} in {settings.solvent.label}")
    page.paragraph(
        f"From 1 M gas to 1 M solution at {settings.temperature:g} K and {settings.pressure:g} bar."
    )
    warning = convergence_warning(settings.ladder)
    if warning is not None:
        page.paragraph(warning, note=True)
    page.table(("", "kcal/mol", "kJ/mol", "repeats"), _rows(settings, result))
    if result.finite_size is not None:
        _add_finite_size(page, result, result.finite_size)
    page.drawing(depict(molecule), smiles)
    for ladder, legs in result.ladders.items():
        for number, leg in enumerate(legs, start=1):
            page.heading(f"{_LADDERS[ladder]}, repeat {number}")
            add_leg(page, leg, _QUANTITIES.get(ladder, "solvation free energy"))
    page.heading("How it was calculated")
    _add_method(page, settings, sources, result)
    write_atomically(path, page.text())


def _rows(settings: SolvationSettings, result: SolvationResult) -> list[tuple[str, ...]]:
    names = {"network": settings.model, "force field": "force field"}
    rows: list[tuple[str, ...]] = [
        (names[potential], *_values(found), str(settings.repeats))
        for potential, found in result.potentials.items()
    ]
    if result.difference is not None:
        rows.append(("difference", *_values(result.difference), ""))
    return rows


def _add_finite_size(page: Page, result: SolvationResult, found: FiniteSizeCorrection) -> None:
    """Add the free energies in the box, and the corrections to those in an infinite solvent."""
    parts = {**found.terms, "sum of the corrections": found.total}
    terms = [(name, f"{kj / KJ_PER_KCAL:.2f}", f"{kj:.1f}") for name, kj in parts.items()]
    raw = [
        (f"{name} in the box", *_values(shifted(total, -found.total)))
        for name, total in result.potentials.items()
    ]
    page.table(("", "kcal/mol", "kJ/mol"), [*raw, *terms])
    page.paragraph(
        "The solute is charged, so its free energy depends on the size of the box and on the zero "
        "of the potential. The values are corrected for the box (Rocklin et al., J. Chem. Phys. "
        f"2013, 139, 184103). Their zero of the potential is {found.zero_of_potential}. Compare "
        "them only with values of the same convention. Sums over opposite ions and differences "
        "between solutes of equal charge do not depend on the convention."
    )


def _values(estimate: Estimate) -> tuple[str, str]:
    return text_in_kcal(estimate), f"{estimate.value:.1f} ± {estimate.error:.1f}"


def _add_method(
    page: Page, settings: SolvationSettings, sources: Mapping[str, str], result: SolvationResult
) -> None:
    ladder = settings.ladder
    page.paragraph(_method(settings))
    page.table(
        ("", ""),
        [
            ("program", f"nnpmm {__version__}"),
            ("network", settings.model),
            ("solute's parameters", sources["parameters"]),
            ("solvent", sources["solvent"]),
            ("solvent's parameters", sources.get("solvent_parameters", sources["solvent"])),
            ("density of the box", f"{result.density:.3f} g/ml"),
            ("cutoff", f"{settings.cutoff:g} nm, PME"),
            ("time step", f"{settings.timestep * 1000:g} fs"),
            ("sampling of each state", f"{ladder.time:g} ps"),
            ("between exchanges", f"{ladder.interval:g} ps"),
            ("equilibration", f"{ladder.equilibration:g} ps"),
            ("seed", str(settings.seed)),
        ],
    )


def _method(settings: SolvationSettings) -> str:
    decoupling = (
        "The solute's interactions with the solvent are switched off, first the charges and then "
        "Lennard-Jones with a soft core. Its intramolecular energy is not scaled, so the last "
        "state is the molecule in vacuum and pure solvent. "
    )
    lifting = (
        "the solute's intramolecular energy changes from that of the force field to that of the "
        "network, "
    )
    routes = {
        "joint": decoupling + f"At both ends, {lifting}in the same ladder. ",
        "separate": decoupling + "Each potential has its own ladder. ",
        "reweighting": f"{decoupling}At both ends, the network's value follows from the samples of "
        "the force field by exponential averaging. ",
        "correction": f"In the solvent and in vacuum {lifting}so that the difference of the two "
        "potentials is known without either value. ",
    }
    route = routes[settings.route] if len(settings.potentials) == 2 else decoupling
    return route + ESTIMATES

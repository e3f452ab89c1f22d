"""Reports of relative binding free energies: of one pair, and of a network of ligands."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnpmm._version import __version__
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.files import write_atomically
from nnpmm.freeenergy.legs import (
    ESTIMATES,
    PotentialName,
    add_leg,
    convergence_warning,
    depict,
    text_in_kcal,
)
from nnpmm.freeenergy.relative.box import TransferBox
from nnpmm.freeenergy.relative.result import EdgeResult, NetworkResult, measured_values
from nnpmm.freeenergy.relative.settings import RelativeSettings
from nnpmm.plots import Pairs, plot_parity
from nnpmm.plots.page import Page

__all__ = ["write_edge_report", "write_network_report"]

_LADDERS = {
    "network": "Ladder of the network",
    "force field": "Ladder of the force field",
    "joint": "Ladder of both potentials",
}
_METHOD = (
    "Both ligands are in one box of water, one in the site and one far from the protein. In the "
    "last state they have exchanged positions (alchemical transfer). The intramolecular energy of "
    f"a ligand, including that of the network, does not change. {ESTIMATES}"
)


def write_edge_report(
    path: Path, settings: RelativeSettings, box: TransferBox, result: EdgeResult
) -> None:
    """Write the report of one pair.

    Args:
        path: HTML file to write.
        settings: settings of the calculation.
        box: the box of the pair.
        result: result of the calculation.

    Raises:
        UnwritableError: the file cannot be written.
    """
    first, second = result.ligands
    page = Page(f"Binding free energy of {second} minus that of {first}")
    _add_conditions(page, settings)
    rows = [
        (_label(settings, potential), text_in_kcal(total), str(settings.repeats))
        for potential, total in result.potentials.items()
    ]
    if result.difference is not None:
        rows.append(("difference", text_in_kcal(result.difference), ""))
    page.table(("", "kcal/mol", "repeats"), rows)
    for name, molecule in zip(result.ligands, box.molecules, strict=True):
        page.drawing(depict(molecule), name)
    for ladder, legs in result.ladders.items():
        for number, leg in enumerate(legs, start=1):
            page.heading(f"{_LADDERS[ladder]}, repeat {number}")
            add_leg(page, leg, "relative binding free energy", sign=1)
    _add_method(page, settings, [("ligands' parameters", box.parameters)])
    write_atomically(path, page.text())


def write_network_report(path: Path, settings: RelativeSettings, result: NetworkResult) -> None:
    """Write the report of all pairs.

    Args:
        path: HTML file to write.
        settings: settings of the calculation.
        result: result of the calculation.

    Raises:
        UnwritableError: the file cannot be written.
    """
    page = Page(f"Relative binding free energies of {len(settings.names)} ligands")
    _add_conditions(page, settings)
    page.heading("Pairs")
    _add_edges(page, settings, result)
    for potential in result.fits:
        page.heading(f"Ligands, {_label(settings, potential)}")
        _add_ligands(page, settings, result, potential)
    _add_method(page, settings, [])
    write_atomically(path, page.text())


def _label(settings: RelativeSettings, potential: PotentialName) -> str:
    return settings.model if potential == "network" else potential


def _add_conditions(page: Page, settings: RelativeSettings) -> None:
    page.paragraph(
        f"Protein {settings.protein.name}, {settings.temperature:g} K, {settings.pressure:g} bar."
    )
    warning = convergence_warning(settings.ladder)
    if warning is not None:
        page.paragraph(warning, note=True)


def _add_edges(page: Page, settings: RelativeSettings, result: NetworkResult) -> None:
    measured = measured_values(settings)
    header = ["first", "second", *(_label(settings, p) for p in settings.potentials), "measured"]
    rows = []
    for edge in result.edges:
        first, second = edge.ligands
        known = first in measured and second in measured
        experiment = (measured[second] - measured[first]) / KJ_PER_KCAL if known else None
        values = [text_in_kcal(edge.potentials[potential]) for potential in settings.potentials]
        rows.append([first, second, *values, "" if experiment is None else f"{experiment:.2f}"])
    page.table(header, rows)
    page.paragraph("Second minus first, kcal/mol.")
    for (first, second), reason in result.failures.items():
        page.paragraph(f"{first} and {second} failed: {reason}", note=True)
    if result.failures:
        page.paragraph("Without these pairs, no values of single ligands are calculated.")


def _add_ligands(
    page: Page, settings: RelativeSettings, result: NetworkResult, potential: PotentialName
) -> None:
    fit, measured = result.fits[potential], measured_values(settings)
    rows = [
        (
            name,
            text_in_kcal(fit.estimate(name)),
            f"{measured[name] / KJ_PER_KCAL:.2f}" if name in measured else "",
        )
        for name in fit.names
    ]
    page.table(("ligand", "kcal/mol", "measured"), rows)
    known = [name for name in fit.names if name in measured]
    mean = "with the mean of the measured values" if known else "with the mean zero"
    page.paragraph(f"From a weighted least-squares fit to all pairs, {mean}.")
    closures = result.closures[potential]
    if closures:
        page.table(
            ("closed cycle", "kcal/mol"),
            [(" - ".join(c.ligands), text_in_kcal(c.sum)) for c in closures],
        )
        page.paragraph(
            f"Sums around cycles, which should be zero. Chi square is {fit.chi_square:.1f} for "
            f"{fit.degrees_of_freedom} degrees of freedom."
        )
    if potential in result.agreements:
        found = result.agreements[potential]
        figures = [
            ("Kendall's tau", *(f"{value:.2f}" for value in found.kendall)),
            *(
                (f"{name}, kcal/mol", *(f"{value / KJ_PER_KCAL:.2f}" for value in figure))
                for name, figure in (("RMSE", found.rmse), ("MUE", found.mue))
            ),
        ]
        page.table(("against experiment", "", "from", "to (95 %)"), figures)
        errors = [fit.estimate(name).error / KJ_PER_KCAL for name in known]
        pairs = Pairs(
            np.array([measured[name] for name in known]) / KJ_PER_KCAL,
            np.array([fit.estimate(name).value for name in known]) / KJ_PER_KCAL,
            predicted_error=np.array(errors),
        )
        figure = plot_parity(
            {"": pairs}, xlabel="measured / (kcal/mol)", ylabel="calculated / (kcal/mol)"
        )
        page.figure(figure, "Calculated and measured binding free energies.")


def _add_method(page: Page, settings: RelativeSettings, more: list[tuple[str, str]]) -> None:
    ladder, restraints = settings.ladder, settings.restraints
    page.heading("How it was calculated")
    page.paragraph(_METHOD)
    page.table(
        ("", ""),
        [
            ("program", f"nnpmm {__version__}"),
            ("network", settings.model),
            *more,
            ("water", f"{settings.water_model}, {settings.ionic_strength:g} M salt"),
            ("cutoff", f"{settings.cutoff:g} nm, PME"),
            ("time step", f"{settings.timestep * 1000:g} fs"),
            ("sampling of each state", f"{ladder.time:g} ps"),
            ("between exchanges", f"{ladder.interval:g} ps"),
            ("equilibration", f"{ladder.equilibration:g} ps"),
            ("alignment", f"{restraints.alignment:.0f} kJ/mol"),
            ("radius of the site beyond the pose", f"{restraints.site_radius:g} nm"),
            ("seed", str(settings.seed)),
        ],
    )

"""The report of a solvation free energy, one HTML page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

from nnpmm._version import __version__
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.files import write_atomically
from nnpmm.freeenergy.estimators import Estimate
from nnpmm.freeenergy.overlap import weakest_link
from nnpmm.freeenergy.solvation.result import LegResult, SolvationResult
from nnpmm.freeenergy.solvation.settings import SolvationSettings
from nnpmm.plots import plot_convergence, plot_ladder, plot_matrix, plot_overlap
from nnpmm.plots.page import Page

__all__ = ["CONVERGED_TIME", "not_converged", "write_report"]

#: ps for each state, below which a result is called not converged. Torsions of small molecules and
#: the shells of water around them relax in tens to hundreds of ps; the values of FreeSolv come from
#: 5 ns for each state (Mobley and Guthrie, J. Comput. Aided Mol. Des. 2014, 28, 711).
CONVERGED_TIME = 500.0


def not_converged(settings: SolvationSettings) -> str | None:
    """Return a sentence if the sampling is too short for a value that may be quoted, else None."""
    if settings.ladder.time >= CONVERGED_TIME:
        return None
    return (
        f"Not converged: {settings.ladder.time:g} ps for each state, a value to be quoted needs "
        f"{CONVERGED_TIME:g} ps or more and independent repeats."
    )


def write_report(
    path: Path,
    settings: SolvationSettings,
    molecule: Chem.Mol,
    parameters: str,
    result: SolvationResult,
) -> None:
    """Write the report.

    Args:
        path: HTML file to write.
        settings: of the calculation.
        molecule: the solute.
        parameters: where its force-field parameters come from.
        result: of the calculation.

    Raises:
        UnwritableError: the file cannot be written.
    """
    smiles = Chem.MolToSmiles(Chem.RemoveHs(molecule))
    page = Page(f"Solvation free energy of {smiles} in {settings.water_model.upper()} water")
    page.paragraph(
        f"From 1 M gas to 1 M solution at {settings.temperature:g} K and {settings.pressure:g} bar."
    )
    warning = not_converged(settings)
    if warning is not None:
        page.paragraph(warning, note=True)
    page.table(("", "kcal/mol", "kJ/mol", "repeats"), _rows(settings, result))
    page.drawing(_depict(molecule), smiles)
    for potential, found in result.potentials.items():
        for number, leg in enumerate(found.legs, start=1):
            page.heading(f"{potential}, repeat {number}")
            _add_leg(page, leg, result.names)
    page.heading("How it was calculated")
    _add_method(page, settings, parameters, result)
    write_atomically(path, page.text())


def _rows(settings: SolvationSettings, result: SolvationResult) -> list[tuple[str, ...]]:
    names = {"network": settings.model, "force field": "force field"}
    rows: list[tuple[str, ...]] = [
        (names[potential], *_values(found.total), str(len(found.legs)))
        for potential, found in result.potentials.items()
    ]
    if result.difference is not None:
        rows.append(("difference", *_values(result.difference), ""))
    return rows


def _values(estimate: Estimate) -> tuple[str, str]:
    value, error = estimate.value, estimate.error
    return f"{value / KJ_PER_KCAL:.2f} ± {error / KJ_PER_KCAL:.2f}", f"{value:.1f} ± {error:.1f}"


def _depict(molecule: Chem.Mol) -> str:
    flat = Chem.Mol(Chem.RemoveHs(molecule))
    flat.RemoveAllConformers()
    drawing = rdMolDraw2D.MolDraw2DSVG(260, 180)
    rdMolDraw2D.PrepareAndDrawMolecule(drawing, flat)
    drawing.FinishDrawing()
    return str(drawing.GetDrawingText())


def _add_leg(page: Page, leg: LegResult, names: tuple[str, ...]) -> None:
    free, samples = leg.free_energies, leg.samples
    page.paragraph(
        f"{len(samples.energies)} samples of each of {len(names)} states, of which "
        f"{int(free.samples.min())} to {int(free.samples.max())} are independent."
    )
    page.figure(
        plot_ladder(free.delta, free.error, names=names),
        "Free energy along the ladder, from full interaction to none. Bands and bars are two "
        "standard errors.",
    )
    weakest, (first, second) = weakest_link(free.overlap, free.samples)
    page.figure(
        plot_overlap(free.overlap, names=names),
        f"Overlap of the states. It is least between {names[first]} and {names[second]}, where two "
        f"groups of states overlap by {weakest:.2f}; 0.03 is needed.",
    )
    series = leg.convergence
    page.figure(
        plot_convergence(
            *(series.fractions, -series.forward, series.forward_error),
            *(-series.backward, series.backward_error),
            ylabel="solvation free energy / (kJ/mol)",
        ),
        "Solvation free energy from the first and from the last part of the samples.",
    )
    mixing = samples.mixing
    page.figure(
        plot_matrix(
            *(mixing,), rows=names, columns=names, xlabel="to state", ylabel="from state",
            value="probability", limits=(0.0, float(np.max(mixing))),
        ),
        "How replicas move between states in one iteration.",
    )  # fmt: skip


def _add_method(
    page: Page, settings: SolvationSettings, parameters: str, result: SolvationResult
) -> None:
    ladder = settings.ladder
    page.paragraph(
        "The solute's interactions with the water are scaled away, first the charges, then "
        "Lennard-Jones with a soft core, while its inside keeps its full energy; so the last state "
        "is the molecule in vacuum next to pure water. The states exchange replicas; MBAR gives "
        "the free energies. Errors are the larger one of MBAR's and of the spread of the repeats."
    )
    page.table(
        ("", ""),
        [
            ("program", f"nnpmm {__version__}"),
            ("network", settings.model),
            ("solute's parameters", parameters),
            ("density of the box", f"{result.density:.3f} g/ml"),
            ("cutoff", f"{settings.cutoff:g} nm, PME"),
            ("time step", f"{settings.timestep * 1000:g} fs"),
            ("sampling of each state", f"{ladder.time:g} ps"),
            ("between exchanges", f"{ladder.interval:g} ps"),
            ("equilibration", f"{ladder.equilibration:g} ps"),
            ("seed", str(settings.seed)),
        ],
    )

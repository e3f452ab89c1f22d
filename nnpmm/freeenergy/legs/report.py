"""The section of a report about one leg."""

from __future__ import annotations

import numpy as np
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.freeenergy.estimators import Estimate
from nnpmm.freeenergy.legs.result import LegResult
from nnpmm.freeenergy.legs.settings import LegTimes
from nnpmm.freeenergy.overlap import MIN_OVERLAP, weakest_link
from nnpmm.plots import plot_convergence, plot_ladder, plot_matrix, plot_overlap
from nnpmm.plots.page import Page

__all__ = ["ESTIMATES", "add_leg", "convergence_warning", "depict", "text_in_kcal"]

#: How the free energies of all reports are estimated.
ESTIMATES = (
    "Replicas are exchanged between states, and MBAR gives the free energies. Errors are the "
    "larger of MBAR's error and the spread of the repeats."
)
# ps for each state; reports call results of shorter sampling not converged. Torsions of small
# molecules and the shells of water around them relax in tens to hundreds of ps. The values of
# FreeSolv are from 5 ns for each state (Mobley and Guthrie, J. Comput. Aided Mol. Des. 2014, 28,
# 711).
_CONVERGED_TIME = 500.0


def convergence_warning(times: LegTimes) -> str | None:
    """Return a sentence if the sampling is too short for a published value, else None."""
    if times.time >= _CONVERGED_TIME:
        return None
    return (
        f"Not converged: {times.time:g} ps for each state. A value for publication needs at least "
        f"{_CONVERGED_TIME:g} ps and independent repeats."
    )


def text_in_kcal(estimate: Estimate) -> str:
    """Return an estimate with its error, in kcal/mol, as a report shows it."""
    value, error = estimate.value / KJ_PER_KCAL, estimate.error / KJ_PER_KCAL
    return f"{value:.2f} ± {error:.2f}"


def depict(molecule: Chem.Mol) -> str:
    """Return a drawing of a molecule without its hydrogens, as SVG."""
    flat = Chem.Mol(Chem.RemoveHs(molecule))
    flat.RemoveAllConformers()
    drawing = rdMolDraw2D.MolDraw2DSVG(260, 180)
    rdMolDraw2D.PrepareAndDrawMolecule(drawing, flat)
    drawing.FinishDrawing()
    return str(drawing.GetDrawingText())


def add_leg(page: Page, leg: LegResult, quantity: str, *, sign: int = -1) -> None:
    """Add the pictures of one leg: ladder, overlap, convergence and mixing.

    Args:
        page: page of the report.
        leg: result of the leg.
        quantity: name of the free energy.
        sign: -1 if this is the free energy from the last to the first state, 1 if it is that from
            the first to the last.
    """
    names, free, samples = leg.names, leg.free_energies, leg.samples
    page.paragraph(
        f"{len(samples.energies)} samples of each of {len(names)} states, of which "
        f"{int(free.samples.min())} to {int(free.samples.max())} are independent."
    )
    page.figure(
        plot_ladder(free.delta, free.error, names=names),
        "Free energy along the ladder, relative to the first state. Bands and bars are two "
        "standard errors.",
    )
    weakest, (first, second) = weakest_link(free.overlap, free.samples)
    page.figure(
        plot_overlap(free.overlap, names=names),
        f"Overlap of the states. The weakest link is between {names[first]} and {names[second]}: "
        f"the groups of states on its two sides overlap by {weakest:.2f}. At least {MIN_OVERLAP:g} "
        "is needed.",
    )
    series = leg.convergence
    page.figure(
        plot_convergence(
            *(series.fractions, sign * series.forward, series.forward_error),
            *(sign * series.backward, series.backward_error),
            ylabel=f"{quantity} / (kJ/mol)",
        ),
        f"{quantity.capitalize()} from increasing parts of the samples, from their start and end.",
    )
    if not np.ptp(samples.replicas, axis=0).any():  # independent windows exchange no replicas
        return
    mixing = samples.mixing
    page.figure(
        plot_matrix(
            *(mixing,), rows=names, columns=names, xlabel="to state", ylabel="from state",
            value="probability", limits=(0.0, float(np.max(mixing))),
        ),
        "Probabilities of transitions of replicas between states in one iteration.",
    )  # fmt: skip

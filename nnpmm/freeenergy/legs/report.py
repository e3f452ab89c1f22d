"""What a report says of one leg."""

from __future__ import annotations

import numpy as np

from nnpmm.freeenergy.legs.result import LegResult
from nnpmm.freeenergy.legs.settings import LegTimes
from nnpmm.freeenergy.overlap import MIN_OVERLAP, weakest_link
from nnpmm.plots import plot_convergence, plot_ladder, plot_matrix, plot_overlap
from nnpmm.plots.page import Page

__all__ = ["add_leg", "convergence_warning"]

# ps for each state, below which a result is called not converged. Torsions of small molecules and
# the shells of water around them relax in tens to hundreds of ps; the values of FreeSolv come from
# 5 ns for each state (Mobley and Guthrie, J. Comput. Aided Mol. Des. 2014, 28, 711).
_CONVERGED_TIME = 500.0


def convergence_warning(times: LegTimes) -> str | None:
    """Return a sentence if the sampling is too short for a value that may be quoted, else None."""
    if times.time >= _CONVERGED_TIME:
        return None
    return (
        f"Not converged: {times.time:g} ps for each state, a value to be quoted needs "
        f"{_CONVERGED_TIME:g} ps or more and independent repeats."
    )


def add_leg(page: Page, leg: LegResult, quantity: str) -> None:
    """Add the pictures of one leg: ladder, overlap, convergence and mixing.

    Args:
        page: to add to.
        leg: whose pictures.
        quantity: what its free energy from the last to the first state is.
    """
    names, free, samples = leg.names, leg.free_energies, leg.samples
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
        f"groups of states overlap by {weakest:.2f}; {MIN_OVERLAP:g} is needed.",
    )
    series = leg.convergence
    page.figure(
        plot_convergence(
            *(series.fractions, -series.forward, series.forward_error),
            *(-series.backward, series.backward_error),
            ylabel=f"{quantity} / (kJ/mol)",
        ),
        f"{quantity.capitalize()} from the first and from the last part of the samples.",
    )
    if not np.ptp(samples.replicas, axis=0).any():
        return  # independent windows
    mixing = samples.mixing
    page.figure(
        plot_matrix(
            *(mixing,), rows=names, columns=names, xlabel="to state", ylabel="from state",
            value="probability", limits=(0.0, float(np.max(mixing))),
        ),
        "How replicas move between states in one iteration.",
    )  # fmt: skip

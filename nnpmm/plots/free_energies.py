"""Diagnostics of free energies: overlap, convergence, and each step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from nnpmm.plots.curves import draw_profile
from nnpmm.plots.distributions import plot_matrix
from nnpmm.plots.style import BLACK, BLUE, GREEN, GREY, RED, SMALL, create_panels, dress, legend

__all__ = ["plot_convergence", "plot_ladder", "plot_overlap"]


def plot_overlap(overlap: ArrayLike, *, names: Sequence[str] = (), title: str = "") -> Figure:
    """Draw MBAR's overlap matrix; the numbers next to the diagonal should be 0.03 or more.

    Args:
        overlap: (K, K) probability that a sample of the row's state is assigned to the column's.
        names: of the K states; their indices if left out.
        title: heading, if any.
    """
    matrix = np.asarray(overlap, dtype=np.float64)
    return plot_matrix(
        matrix,
        rows=names,
        columns=names,
        xlabel="assigned to state",
        ylabel="sample of state",
        value="probability",
        limits=(0.0, max(0.5, float(matrix.max()))),
        title=title,
    )


def plot_convergence(
    fractions: ArrayLike,
    forward: ArrayLike,
    forward_error: ArrayLike,
    backward: ArrayLike,
    backward_error: ArrayLike,
    *,
    ylabel: str = "free energy / (kJ/mol)",
    title: str = "",
) -> Figure:
    """Draw a free energy from growing parts of the samples, from the start and from the end.

    Bands are two standard errors; the grey one is that of all samples. If both curves enter it
    early and stay in it, the value is converged.

    Args:
        fractions: (m,) of the samples, up to 1.
        forward: (m,) from the first samples.
        forward_error: (m,) standard errors.
        backward: (m,) from the last samples.
        backward_error: (m,) standard errors.
        ylabel: with the unit.
        title: heading, if any.
    """
    figure, (axes,) = create_panels()
    value, error = np.asarray(forward)[-1], np.asarray(forward_error)[-1]
    axes.axhspan(value - 2 * error, value + 2 * error, color=GREY, alpha=0.25, lw=0)
    draw_profile(axes, fractions, forward, forward_error, color=BLUE, label="forward")
    draw_profile(axes, fractions, backward, backward_error, color=RED, label="backward")
    axes.set_xlim(0, 1.02)
    dress(axes, xlabel="fraction of the samples", ylabel=ylabel, title=title)
    legend(axes)
    return figure


def plot_ladder(
    delta: ArrayLike,
    error: ArrayLike,
    *,
    names: Sequence[str] = (),
    ylabel: str = "free energy / (kJ/mol)",
    title: str = "",
) -> Figure:
    """Draw the free energy along a ladder of states, and that of each step.

    Args:
        delta: (K, K) of the column's state minus the row's, as in ``FreeEnergies``.
        error: (K, K) their standard errors; bars and bands are two of them.
        names: of the K states; their indices if left out.
        ylabel: with the unit.
        title: heading, if any.
    """
    values, errors = (np.asarray(matrix, dtype=np.float64) for matrix in (delta, error))
    count = len(values)
    width = min(9.0, max(4.6, 0.42 * count + 1.0))
    figure, (above, below) = create_panels(2, 1, width=width, height=4.8, sharex=True)
    states = np.arange(count)
    above.axhline(0, color=GREY, linewidth=0.8)
    draw_profile(above, states, values[0], errors[0])
    dress(above, ylabel=f"from the first state:\n{ylabel}", title=title)
    below.axhline(0, color=GREY, linewidth=0.8)
    bars = 2 * np.diag(errors, 1)
    below.bar(states[:-1] + 0.5, np.diag(values, 1), width=0.75, color=GREEN, alpha=0.55)
    below.errorbar(
        states[:-1] + 0.5, np.diag(values, 1), bars, fmt="none", color=BLACK, capsize=2, lw=1
    )
    dress(below, xlabel="state", ylabel=f"of each step:\n{ylabel}")
    below.set_xticks(states, list(names) or None)
    if max(map(len, names), default=0) > 4:
        below.tick_params(axis="x", rotation=45, labelsize=SMALL)
    return figure

"""Ladders of alchemical states: their free energies, convergence, and files for alchemlyb.

The energies of a ladder of K states are a list of K arrays (n_k, K), kJ/mol: for each state the
energies of its own samples in all states, in their order in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from openmm import unit

from nnpmm._version import __version__
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.core.files import write_atomically
from nnpmm.core.units import in_md_units
from nnpmm.freeenergy.estimators import Estimate, FreeEnergies, mbar, subsample, thermal_energy
from nnpmm.freeenergy.overlap import MIN_OVERLAP

__all__ = ["Convergence", "convergence", "independent_windows", "solve_ladder", "write_xvg"]


@dataclass(frozen=True)
class Convergence:
    """The free energy between the ends of a ladder from parts of its samples.

    Attributes:
        fractions: (m,) of the samples of every state, up to 1.
        forward: (m,) from the first samples in time, kJ/mol.
        forward_error: (m,) its standard errors, kJ/mol.
        backward: (m,) from the last samples, kJ/mol.
        backward_error: (m,) its standard errors, kJ/mol.
    """

    fractions: NDArray[np.float64]
    forward: NDArray[np.float64]
    forward_error: NDArray[np.float64]
    backward: NDArray[np.float64]
    backward_error: NDArray[np.float64]


def solve_ladder(
    windows: Sequence[ArrayLike],
    *,
    temperature: Any,
    equilibration: bool = False,
    min_overlap: float = MIN_OVERLAP,
    names: Sequence[str] | None = None,
) -> FreeEnergies:
    """Return the free energies of a ladder of states by MBAR.

    Args:
        windows: energies of the ladder, K arrays (n_k, K), kJ/mol or Quantity.
        temperature: of all states, K or Quantity.
        equilibration: leave out the start of every state, as in ``subsample``.
        min_overlap: as of ``mbar``.
        names: of the states, for the error message.

    Raises:
        ConfigError: fewer than two states, or arrays of another shape.
        SimulationError: states overlap too little, or an energy is not finite.
    """
    kept = independent_windows(windows, equilibration=equilibration)
    return _solve(kept, temperature=temperature, min_overlap=min_overlap, names=names)


def independent_windows(
    windows: Sequence[ArrayLike], *, equilibration: bool = False
) -> list[NDArray[np.float64]]:
    """Return the nearly independent samples of every state of a ladder, K arrays (m_k, K), kJ/mol.

    The samples are those of `subsample` for the energy difference to the next state, on which the
    free energy depends (for the last state, to the one before).

    Args:
        windows: energies of the ladder, K arrays (n_k, K), kJ/mol or Quantity.
        equilibration: leave out the start of every state, as in ``subsample``.

    Raises:
        ConfigError: fewer than two states, or arrays of another shape.
    """
    found = []
    for state, raw in enumerate(windows):
        energies = np.asarray(in_md_units(raw, unit.kilojoule_per_mole), dtype=np.float64)
        if len(windows) < 2 or energies.ndim != 2 or energies.shape[1] != len(windows):
            raise ConfigError(
                f"state {state}: found energies of shape {energies.shape} in a ladder of "
                f"{len(windows)} states, allowed: (samples, states), with two states or more"
            )
        neighbour = state + 1 if state + 1 < len(windows) else state - 1
        differences = energies[:, neighbour] - energies[:, state]
        found.append(energies[subsample(differences, equilibration=equilibration)])
    return found


def convergence(windows: Sequence[ArrayLike], *, temperature: Any, points: int = 10) -> Convergence:
    """Return the free energy of a ladder from growing parts of its samples, in both directions.

    Forward and backward values that agree within their errors long before all samples are used are
    a sign of convergence; a drift of the forward values indicates equilibration (Klimovich, Shirts
    and Mobley, J. Comput. Aided Mol. Des. 2015, 29, 397). The overlap is not tested, because small
    parts may overlap little by chance. If MBAR has no solution for a part because of this, the
    result is nan.

    Args:
        windows: energies of the ladder, K arrays (n_k, K), kJ/mol or Quantity.
        temperature: of all states, K or Quantity.
        points: parts, in equal steps up to all samples.

    Raises:
        ConfigError: fewer than two states, arrays of another shape, or no points.
        SimulationError: an energy is not finite, or MBAR has no solution for all samples.
    """
    if points < 1:
        raise ConfigError(f"found {points} points of a convergence, allowed: 1 or more")
    kept = independent_windows(windows)
    fractions = np.arange(1, points + 1) / points
    forward: list[tuple[float, float]] = []
    backward: list[tuple[float, float]] = []
    for fraction in fractions:
        counts = [int(np.ceil(fraction * len(samples))) for samples in kept]
        first = [samples[:count] for samples, count in zip(kept, counts, strict=True)]
        last = [samples[-count:] for samples, count in zip(kept, counts, strict=True)]
        for parts, estimates in ((first, forward), (last, backward)):
            ends = _ends(parts, temperature, complete=fraction == 1)
            estimates.append((ends.value, ends.error))
    return Convergence(fractions, *np.transpose(forward), *np.transpose(backward))


def _ends(parts: Sequence[NDArray[np.float64]], temperature: Any, *, complete: bool) -> Estimate:
    """Return the free energy between the ends of a ladder; nan if a part of the samples fails."""
    try:
        return _solve(parts, temperature=temperature, min_overlap=0.0).between()
    except SimulationError:
        if complete:
            raise
        return Estimate(np.nan, np.nan)


def write_xvg(
    folder: Path,
    windows: Sequence[ArrayLike],
    lambdas: Mapping[str, Sequence[float]],
    *,
    temperature: Any,
    interval: float,
) -> list[Path]:
    """Write the energies of a ladder for alchemlyb, a file for each state.

    The format is that of the energy differences of GROMACS (dhdl.xvg), which
    ``alchemlyb.parsing.gmx.extract_u_nk(path, T=temperature)`` reads; its estimators accept the
    ``alchemlyb.concat`` of all states. Energies are relative to that of the sampled state.

    Args:
        folder: gets state-00.xvg, state-01.xvg, ...
        windows: energies of the ladder, K arrays (n_k, K), kJ/mol or Quantity.
        lambdas: of each kind of coupling, such as ``coul`` or ``vdw``, its K values.
        temperature: of all states, K or Quantity.
        interval: time between samples, ps.

    Returns:
        The files, in the order of the states.

    Raises:
        ConfigError: no kind of coupling, or not one value for each state.
        UnwritableError: a file cannot be written.
    """
    kelvin = float(in_md_units(temperature, unit.kelvin))
    thermal_energy(kelvin)
    counts = {name: len(values) for name, values in lambdas.items()}
    if set(counts.values()) != {len(windows)}:
        raise ConfigError(
            f"found {counts or 'no'} values of lambda for {len(windows)} states, allowed: one of "
            "each kind for each state"
        )
    paths = []
    for state, raw in enumerate(windows):
        energies = np.asarray(in_md_units(raw, unit.kilojoule_per_mole), dtype=np.float64)
        times = interval * np.arange(len(energies))
        rows = np.column_stack([times, energies - energies[:, [state]]])
        lines = [" ".join(f"{value:.10g}" for value in row) for row in rows.tolist()]
        path = folder / f"state-{state:02d}.xvg"
        write_atomically(path, "\n".join([*_header(state, lambdas, kelvin), *lines]) + "\n")
        paths.append(path)
    return paths


def _header(state: int, lambdas: Mapping[str, Sequence[float]], kelvin: float) -> list[str]:
    """Return the lines that describe states and columns, as GROMACS writes them."""

    def point(values: Sequence[float]) -> str:
        text = ", ".join(repr(float(value)) for value in values)
        return text if len(values) == 1 else f"({text})"

    states = [point(values) for values in zip(*lambdas.values(), strict=True)]
    names = ", ".join(f"{name}-lambda" for name in lambdas)
    names = names if len(lambdas) == 1 else f"({names})"
    legends = [
        rf'@ s{n} legend "\xD\f{{}}H \xl\f{{}} to {where}"' for n, where in enumerate(states)
    ]
    return [
        f"# nnpmm {__version__}",
        r'@    title "\xD\f{}H"',
        '@    xaxis  label "Time (ps)"',
        r'@    yaxis  label "\xD\f{}H (kJ/mol)"',
        "@TYPE xy",
        rf'@ subtitle "T = {kelvin:g} (K) \xl\f{{}} state {state}: {names} = {states[state]}"',
        *legends,
    ]


def _solve(
    windows: Sequence[NDArray[np.float64]],
    *,
    temperature: Any,
    min_overlap: float,
    names: Sequence[str] | None = None,
) -> FreeEnergies:
    """Return MBAR's free energies from independent samples of every state."""
    return mbar(
        np.concatenate(windows).T,
        [len(samples) for samples in windows],
        temperature=temperature,
        min_overlap=min_overlap,
        names=names,
    )

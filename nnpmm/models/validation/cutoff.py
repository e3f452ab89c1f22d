"""Energy and forces are continuous while two molecules are pulled apart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.protocol import Evaluator
from nnpmm.models.validation.check import (
    Check,
    Curve,
    Measurement,
    NotApplicable,
    largest_change,
)
from nnpmm.models.validation.probe import Probe

__all__ = ["SMOOTHNESS"]

_CONTACT, _REACH, _STEP = 0.25, 1.5, 0.005  # nm
_SUSPECTS = 4  # intervals of the path that are looked at closely
_HALVINGS = 11  # to 2e-6 nm, within which nothing smooth changes

_Point = tuple[float, float, NDArray[np.float64]]  # separation, energy, forces
_Jump = Callable[[_Point, _Point], float]


def _measure(probe: Probe) -> Measurement:
    """Halve the intervals of a path where energy or forces change most out of line.

    The energy of a smooth potential changes by the integral of the force, and both errors and
    changes vanish with the interval. A jump stays as large as it is.
    """
    pair = probe.pair
    if pair is None:
        raise NotApplicable("the model describes exactly these atoms")
    start = _separation_at_contact(probe)
    separations = np.arange(start, start + _REACH, _STEP)
    found = pair.batch(np.array([probe.two(each) for each in separations]))
    points = list(zip(separations.tolist(), found.energies.tolist(), found.forces, strict=True))
    jumps = []
    for kind in (_energy_jump, _force_jump):
        sizes = np.array([kind(*ends) for ends in pairwise(points)])
        for row in np.argsort(_out_of_line(sizes))[-_SUSPECTS:]:
            ends = _narrowed(probe, pair, kind, points[row], points[row + 1])
            jumps.append((_energy_jump(*ends), _force_jump(*ends), ends[0][0]))
    energies, forces, places = (np.array(column) for column in zip(*jumps, strict=True))
    worst = int(np.argmax(np.maximum(energies, 0.01 * forces)))
    note = f"jumps: energy {energies.max():.2g} kJ/mol, force {forces.max():.2g} kJ/mol/nm"
    note += f", centres {places[worst]:.3f} nm apart"
    curve = Curve(probe.name, separations, found.energies - found.energies[-1])
    return Measurement(largest_change(energies, forces), note, (curve,))


def _separation_at_contact(probe: Probe) -> float:
    n = len(probe.numbers)
    for separation in np.arange(0.0, 100.0, _STEP):
        both = probe.two(separation)
        distances = np.linalg.norm(both[:n, None] - both[None, n:], axis=-1)
        # Molecules that interlock are passed over: from here on they only part.
        if distances.min() >= _CONTACT and (both[n:, 0].max() > both[:n, 0].max()):
            return float(separation)
    raise NotApplicable("the molecule is too large to be pulled away from another")


def _energy_jump(left: _Point, right: _Point) -> float:
    """Return by how much the energy changes beyond the work of the force (trapezoidal rule)."""
    n = len(left[2]) // 2
    pull = 0.5 * (left[2][n:, 0].sum() + right[2][n:, 0].sum())
    return float(abs(right[1] - left[1] + pull * (right[0] - left[0])))


def _force_jump(left: _Point, right: _Point) -> float:
    return float(np.abs(right[2] - left[2]).max())


def _out_of_line(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much each value is larger than those on both sides of it."""
    padded = np.pad(values, 1, mode="edge")
    return values - np.maximum(padded[:-2], padded[2:])


def _narrowed(
    probe: Probe, pair: Evaluator, kind: _Jump, left: _Point, right: _Point
) -> tuple[_Point, _Point]:
    """Return the ends of the smallest interval, always going into the half with the larger jump."""
    for _ in range(_HALVINGS):
        middle = 0.5 * (left[0] + right[0])
        point: _Point = (middle, *pair(probe.two(middle)))
        if kind(left, point) > kind(point, right):
            right = point
        else:
            left = point
    return left, right


SMOOTHNESS = Check(
    "smoothness",
    _measure,
    unit="kJ/mol",
    good=0.02,
    bad=0.2,
    figure="largest jump of the energy, or of a force over 0.01 nm, while two molecules are "
    "pulled apart",
    beyond="a cutoff that does not end smoothly, which heats the system",
)

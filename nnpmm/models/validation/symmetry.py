"""Invariance to translation, rotation, and exchange of equal atoms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.validation.check import Check, Measurement, largest_change
from nnpmm.models.validation.probe import Probe, random_rotation

__all__ = ["PERMUTATION", "ROTATION", "TRANSLATION"]

_SHIFTS = np.array([[1.3, -0.7, 2.9], [-6.1, 8.3, 4.7]])  # nm; the second as in a box of water
_ROTATIONS = 4


def _compare(
    probe: Probe,
    geometries: list[NDArray[np.float64]],
    expected_forces: list[NDArray[np.float64]],
    energy: float,
) -> Measurement:
    found = [probe.evaluator(geometry) for geometry in geometries]
    energies = np.array([each - energy for each, _ in found])
    forces = np.array([f - e for (_, f), e in zip(found, expected_forces, strict=True)])
    note = f"energy {np.abs(energies).max():.2g} kJ/mol, forces {np.abs(forces).max():.2g}"
    return Measurement(largest_change(energies, forces), f"{note} kJ/mol/nm")


def _translate(probe: Probe) -> Measurement:
    energy, forces = probe.evaluator(probe.positions)
    geometries = [probe.positions + shift for shift in _SHIFTS]
    return _compare(probe, geometries, [forces] * len(_SHIFTS), energy)


def _rotate(probe: Probe) -> Measurement:
    energy, forces = probe.evaluator(probe.positions)
    generator = np.random.default_rng(3)
    rotations = [random_rotation(generator) for _ in range(_ROTATIONS)]
    geometries = [probe.positions @ rotation.T for rotation in rotations]
    return _compare(probe, geometries, [forces @ rotation.T for rotation in rotations], energy)


def _permute(probe: Probe) -> Measurement:
    """Give the positions of each element's atoms to these atoms in another order."""
    order = np.arange(len(probe.numbers))
    for number in np.unique(probe.numbers):
        like = np.flatnonzero(probe.numbers == number)
        order[like] = np.roll(like, 1)
    energy, forces = probe.evaluator(probe.positions)
    return _compare(probe, [probe.positions[order]], [forces[order]], energy)


_FIGURE = "largest change of the energy, or of a force over 0.01 nm"

TRANSLATION = Check(
    "translation",
    _translate,
    unit="kJ/mol",
    good=0.02,
    bad=0.2,
    figure=_FIGURE,
    beyond="the energy depends on where the molecule is, or coordinates are rounded",
)
ROTATION = Check(
    "rotation",
    _rotate,
    unit="kJ/mol",
    good=0.02,
    bad=0.2,
    figure=_FIGURE,
    beyond="the energy depends on the molecule's orientation",
)
PERMUTATION = Check(
    "permutation",
    _permute,
    unit="kJ/mol",
    good=0.02,
    bad=0.2,
    figure=_FIGURE,
    beyond="the model distinguishes atoms of one element, as a force field does, or expects one "
    "order of atoms",
)

"""A molecule in a wide periodic box is a molecule in vacuum, wherever its atoms are wrapped to."""

from __future__ import annotations

import numpy as np

from nnpmm.core.errors import shortened
from nnpmm.models.validation.check import Check, Measurement, NotApplicable, largest_change
from nnpmm.models.validation.probe import Probe

__all__ = ["BOX"]

_WIDTHS = (4.0, 6.0)  # nm


def _measure(probe: Probe) -> Measurement:
    extent = float(np.ptp(probe.positions, axis=0).max())
    boxes = [(width + extent) * np.eye(3) for width in _WIDTHS]
    try:
        probe.evaluator(probe.positions, boxes[0])
    except Exception as error:  # whatever a potential of another package may raise
        raise NotApplicable(shortened(error)) from error
    energy, forces = probe.evaluator(probe.positions)
    images = np.random.default_rng(6).integers(-1, 2, size=probe.positions.shape)
    found = [
        probe.evaluator(probe.positions + shift @ box, box)
        for box in boxes
        for shift in (np.zeros_like(images), images)
    ]
    energies = np.array([each - energy for each, _ in found])
    changes = np.array([each - forces for _, each in found])
    note = f"energy {np.abs(energies).max():.2g} kJ/mol, forces {np.abs(changes).max():.2g}"
    return Measurement(largest_change(energies, changes), f"{note} kJ/mol/nm")


BOX = Check(
    "periodic box",
    _measure,
    unit="kJ/mol",
    good=0.02,
    bad=0.2,
    figure="largest deviation of the energy, or of a force over 0.01 nm, from vacuum in wide "
    "boxes, with whole and with wrapped molecules",
    beyond="the result depends on the box",
)

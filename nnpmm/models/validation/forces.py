"""Forces are the negative gradient of the energy."""

from __future__ import annotations

import numpy as np

from nnpmm.models.validation.check import Check, Curve, Measurement
from nnpmm.models.validation.probe import Probe

__all__ = ["FORCES"]

_STEP = 5e-4  # nm; rounding of single-precision energies is divided by it


def _measure(probe: Probe) -> Measurement:
    """Compare every component with a central difference of fourth order."""
    shifts = _STEP * np.eye(probe.positions.size).reshape(-1, *probe.positions.shape)
    geometries = np.concatenate([probe.positions + k * shifts for k in (-2, -1, 1, 2)])
    far_below, below, above, far_above = probe.evaluator.batch(geometries).energies.reshape(4, -1)
    expected = (far_above - 8 * above + 8 * below - far_below) / (12 * _STEP)
    found = probe.evaluator(probe.positions)[1].ravel()
    size = max(float(np.linalg.norm(expected)), float(np.linalg.norm(found)), 1e-12)
    deviation = float(np.linalg.norm(found - expected))
    ratio = found @ expected / max(float(expected @ expected), 1e-24)
    note = f"forces are {ratio:.4f} times -dE/dx; RMS deviation "
    note += f"{deviation / np.sqrt(found.size):.2g} kJ/mol/nm"
    return Measurement(100 * deviation / size, note, (Curve(probe.name, expected, found),))


FORCES = Check(
    "forces",
    _measure,
    unit="%",
    good=0.5,
    bad=2.0,
    figure="deviation of the forces from central differences of the energy",
    beyond="the forces are not those of this energy (a factor of 10 is nanometre against angstrom)",
)

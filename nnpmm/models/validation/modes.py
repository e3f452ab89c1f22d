"""The minimum: its bonds are those of the molecule, its modes real, rigid motions free."""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError
from nnpmm.models.hessian import network_hessian
from nnpmm.models.validation.check import Check, Measurement, NotApplicable
from nnpmm.models.validation.probe import Probe
from nnpmm.models.validation.relaxation import rigid_motions

__all__ = ["BONDS", "LOWEST_MODE", "RIGID_MODES"]

_SPEED_OF_LIGHT = 2.99792458e-2  # cm/ps
_LARGEST_FORCE = 30.0  # kJ/mol/nm, at a minimum


def _bonds(probe: Probe) -> Measurement:
    if not len(probe.bonds):
        raise NotApplicable("the molecule has no bonds")
    i, j = probe.bonds.T
    before, after = (
        np.linalg.norm(geometry[j] - geometry[i], axis=1)
        for geometry in (probe.conformer, probe.minimum)
    )
    row = int(np.abs(after - before).argmax())
    name = f"{probe.symbols[i[row]]}{i[row]}-{probe.symbols[j[row]]}{j[row]}"
    note = f"{name} from {before[row]:.4f} to {after[row]:.4f} nm"
    return Measurement(float(abs(after - before)[row]), note)


def _rigid(probe: Probe) -> Measurement:
    rigid, _ = _wavenumbers(probe)
    worst = float(rigid[np.abs(rigid).argmax()])
    return Measurement(abs(worst), f"{len(rigid)} motions, the worst {worst:.1f} 1/cm")


def _lowest(probe: Probe) -> Measurement:
    _, internal = _wavenumbers(probe)
    below = int((internal < 0).sum())
    note = f"{internal.min():.0f} to {internal.max():.0f} 1/cm, {below} imaginary"
    return Measurement(float(internal.min()), note)


def _wavenumbers(probe: Probe) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return wavenumbers, 1/cm, of rigid motions and of vibrations; imaginary ones negative.

    They are eigenvalues of the mass-weighted Hessian within the space of translations and
    rotations, and within all that is orthogonal to it (E. B. Wilson, J. C. Decius, P. C. Cross,
    Molecular Vibrations, 1955).

    Raises:
        SimulationError: the minimisation leaves a force.
    """
    largest = float(np.linalg.norm(probe.evaluator(probe.minimum)[1], axis=1).max())
    if not largest < _LARGEST_FORCE:
        raise SimulationError(
            f"found no minimum: a force of {largest:.3g} kJ/mol/nm is left, allowed: less than "
            f"{_LARGEST_FORCE:g}"
        )
    weight = np.repeat(1 / np.sqrt(probe.masses), 3)
    hessian = network_hessian(probe.evaluator, probe.minimum) * np.outer(weight, weight)
    rigid = rigid_motions(probe.minimum, probe.masses)
    within = scipy.linalg.null_space(rigid.T)
    values = [np.linalg.eigvalsh(basis.T @ hessian @ basis) for basis in (rigid, within)]
    first, second = (
        np.sign(each) * np.sqrt(np.abs(each)) / (2 * math.pi * _SPEED_OF_LIGHT) for each in values
    )
    return first, second


BONDS = Check(
    "relaxed bonds",
    _bonds,
    unit="nm",
    good=0.01,
    bad=0.03,
    figure="largest change of a bond length when the molecule is relaxed from its structure, for "
    "a SMILES that of MMFF94",
    beyond="bonds break, or have impossible lengths",
)
RIGID_MODES = Check(
    "rigid modes",
    _rigid,
    unit="1/cm",
    good=20.0,
    bad=100.0,
    figure="largest wavenumber of translations and rotations at the minimum, which is zero",
    beyond="the energy depends on place or orientation, or the forces are noisy",
)
LOWEST_MODE = Check(
    "lowest mode",
    _lowest,
    unit="1/cm",
    good=0.0,
    bad=-20.0,
    figure="lowest wavenumber of a vibration at the minimum, negative if imaginary",
    beyond="the minimisation did not end at a minimum, or the forces are noisy",
)

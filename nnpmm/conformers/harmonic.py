"""Free energies of conformers from the Hessian of a network: vibrations and rotation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.constants
import scipy.linalg
from numpy.typing import NDArray

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.models.hessian import network_hessian
from nnpmm.models.validation.relaxation import rigid_motions

__all__ = ["LOWEST_WAVENUMBER", "Thermal", "thermal_correction", "wavenumbers"]

#: 1/cm. Softer vibrations are not harmonic; they are raised to this wavenumber (R. F. Ribeiro
#: et al., J. Phys. Chem. B 2011, 115, 14556).
LOWEST_WAVENUMBER = 100.0
_SPEED_OF_LIGHT = 2.99792458e-2  # cm/ps
_KJ_PER_WAVENUMBER = scipy.constants.h * scipy.constants.c * 100 * scipy.constants.N_A / 1000

_Array = NDArray[np.float64]


class Thermal(NamedTuple):
    """The difference between an energy and a free energy.

    Attributes:
        correction: kJ/mol, without translation and terms that all conformers have in common.
        softest: the lowest wavenumber, 1/cm; imaginary ones are negative.
    """

    correction: float
    softest: float


def thermal_correction(
    evaluator: Any,
    positions: _Array,
    masses: _Array,
    temperature: float,
    *,
    lowest: float = LOWEST_WAVENUMBER,
) -> Thermal:
    r"""Return the free energy of vibration and rotation of a minimum, without symmetry number.

    ``sum_v [h nu/2 + RT ln(1 - exp(-h nu/kT))] - RT/2 ln(I_1 I_2 I_3)`` with quantum harmonic
    oscillators and a classical rigid rotor (D. A. McQuarrie, Statistical Mechanics, 2000, ch. 8).
    Moments of inertia are in amu nm^2; their unit is the same for all conformers.

    Args:
        evaluator: the potential bound to n atoms.
        positions: (n, 3), nm, of a minimum.
        masses: (n,), amu.
        temperature: K.
        lowest: wavenumber, 1/cm, to which lower ones and imaginary ones are raised.
    """
    found = wavenumbers(evaluator, positions, masses)
    quanta = _KJ_PER_WAVENUMBER * np.maximum(found, lowest)
    thermal = GAS_CONSTANT * temperature
    vibration = float((quanta / 2 + thermal * np.log1p(-np.exp(-quanta / thermal))).sum())
    moments = _moments(positions, masses)
    rotation = -0.5 * thermal * float(np.log(moments[moments > 1e-6 * moments.max()]).sum())
    return Thermal(vibration + rotation, float(found.min()))


def wavenumbers(evaluator: Any, positions: _Array, masses: _Array) -> _Array:
    """Return the wavenumbers of vibrations, 1/cm, imaginary ones as negative numbers.

    Eigenvalues of the mass-weighted Hessian without rigid motions (E. B. Wilson, J. C. Decius and
    P. C. Cross, Molecular Vibrations, 1955).

    Args:
        evaluator: the potential bound to n atoms.
        positions: (n, 3), nm, of a minimum.
        masses: (n,), amu.
    """
    weight = np.repeat(1 / np.sqrt(masses), 3)
    hessian = network_hessian(evaluator, positions) * np.outer(weight, weight)
    internal = scipy.linalg.null_space(rigid_motions(positions, masses).T)
    values = np.linalg.eigvalsh(internal.T @ hessian @ internal)
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)) / (2 * np.pi * _SPEED_OF_LIGHT))


def _moments(positions: _Array, masses: _Array) -> _Array:
    """Return the principal moments of inertia, (3,), amu nm^2."""
    centred = positions - masses @ positions / masses.sum()
    square = (centred**2).sum(axis=1)
    tensor = np.einsum("a,axy->xy", masses, square[:, None, None] * np.eye(3))
    tensor -= np.einsum("a,ax,ay->xy", masses, centred, centred)
    return np.asarray(np.linalg.eigvalsh(tensor))

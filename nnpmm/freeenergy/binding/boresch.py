"""The restraint that keeps a decoupled ligand in its site, and the free energy of its release.

Three atoms c, b, a of the receptor and three atoms A, B, C of the ligand define one distance, two
angles and three torsions, each with a spring (Boresch, Tettinger, Leitgeb and Karplus, J. Phys.
Chem. B 2003, 107, 9535):

    r = |aA|,  theta_A = baA,  theta_B = aAB,  phi_A = cbaA,  phi_B = baAB,  phi_C = aABC
    U = lambda [ k_r/2 (r - r0)^2 + k/2 sum of (angle - angle0)^2 ]

These are the six external degrees of freedom of the ligand. The restraint therefore does not affect
the internal degrees of freedom of ligand and receptor, and its configuration integral is a product
of six integrals over one coordinate each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openmm
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.integrate import quad

from nnpmm.core.errors import ConfigError
from nnpmm.core.geometry import nearest_image
from nnpmm.core.section import Section
from nnpmm.freeenergy.estimators import thermal_energy

__all__ = [
    "COORDINATES",
    "LAMBDA_RESTRAINTS",
    "STANDARD_VOLUME",
    "BoreschRestraint",
    "anchor_coordinates",
    "bond_angle",
    "create_restraint_force",
    "deviations",
    "least_angle",
    "mean_restraint_energy",
    "release_free_energy",
    "require_no_collinear_anchors",
    "restraint_energies",
    "stiff_release_free_energy",
    "torsion_angle",
]

#: Global parameter that scales the restraint: 1 is on, 0 off.
LAMBDA_RESTRAINTS = "lambda_restraints"
#: nm^3 for each molecule at 1 mol/l.
STANDARD_VOLUME = 1.0 / (6.02214076e23 * 1e-24)
#: Names of the six coordinates, in the order of all arrays.
COORDINATES = ("r", "theta_A", "theta_B", "phi_A", "phi_B", "phi_C")
# kT that it takes to bring an angle to 0 or 180 degrees, where torsions are not defined and their
# forces diverge: as rare as exp(-10).
_COLLINEAR = 10.0
_DEVIATIONS = 12.0  # standard deviations of a coordinate that its integral covers


class BoreschRestraint(Section):
    """Anchors, reference values and force constants.

    Attributes:
        atoms: 0-based indices of c, b, a of the receptor and A, B, C of the ligand.
        reference: r (nm), theta_A, theta_B, phi_A, phi_B, phi_C (rad).
        distance_constant: k_r, kJ/mol/nm^2.
        angle_constant: k of all angles and torsions, kJ/mol/rad^2.
    """

    atoms: tuple[int, int, int, int, int, int]
    reference: tuple[float, float, float, float, float, float]
    distance_constant: float = Field(gt=0)
    angle_constant: float = Field(gt=0)

    @property
    def constants(self) -> NDArray[np.float64]:
        """(6,) force constants of the coordinates."""
        return np.array([self.distance_constant, *(5 * [self.angle_constant])])


def anchor_coordinates(
    positions: ArrayLike, box: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the six coordinates (..., 6), nm and rad, of anchors (..., 6, 3), nm.

    Args:
        positions: of c, b, a, A, B, C.
        box: periodic box vectors as rows (3, 3), nm, or None where the molecules are whole.
    """
    places = np.asarray(positions, dtype=np.float64)
    if box is not None:
        steps = nearest_image(np.diff(places, axis=-2), box)
        places = np.concatenate([places[..., :1, :], places[..., :1, :] + steps.cumsum(-2)], -2)
    p = np.moveaxis(places, -2, 0)
    values = [
        np.linalg.norm(p[3] - p[2], axis=-1),
        bond_angle(p[1], p[2], p[3]),
        bond_angle(p[2], p[3], p[4]),
        torsion_angle(p[0], p[1], p[2], p[3]),
        torsion_angle(p[1], p[2], p[3], p[4]),
        torsion_angle(p[2], p[3], p[4], p[5]),
    ]
    return np.stack(values, axis=-1)


def bond_angle(
    first: NDArray[np.float64], middle: NDArray[np.float64], last: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the angles (...), rad, at the middle one of three points (..., 3)."""
    one, two = first - middle, last - middle
    sine = np.linalg.norm(np.cross(one, two), axis=-1)
    return np.asarray(np.arctan2(sine, (one * two).sum(axis=-1)))


def torsion_angle(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    third: NDArray[np.float64],
    fourth: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the torsion angles (...), rad, of four points (..., 3): 0 where the ends eclipse."""
    axis = third - second
    left, right = np.cross(second - first, axis), np.cross(axis, fourth - third)
    sine = (np.cross(left, right) * axis).sum(axis=-1) / np.linalg.norm(axis, axis=-1)
    return np.asarray(np.arctan2(sine, (left * right).sum(axis=-1)))


def deviations(coordinates: ArrayLike, reference: ArrayLike) -> NDArray[np.float64]:
    """Return coordinates (..., 6) minus their reference (6,), torsions within -pi and pi."""
    difference = np.asarray(coordinates, dtype=np.float64) - np.asarray(reference)
    difference[..., 3:] -= 2 * np.pi * np.floor(difference[..., 3:] / (2 * np.pi) + 0.5)
    return difference


def restraint_energies(restraint: BoreschRestraint, coordinates: ArrayLike) -> NDArray[np.float64]:
    """Return the energies (...), kJ/mol, of the full restraint at coordinates (..., 6)."""
    squares = deviations(coordinates, restraint.reference) ** 2
    return np.asarray(0.5 * (squares * restraint.constants).sum(axis=-1))


def create_restraint_force(
    restraint: BoreschRestraint, *, periodic: bool
) -> openmm.CustomCompoundBondForce:
    """Return the restraint times `LAMBDA_RESTRAINTS`, which is 0, as one force.

    Args:
        restraint: to make.
        periodic: whether distances are those to the nearest image.
    """
    names = (
        "distance(p3,p4)",
        "angle(p2,p3,p4)",
        "angle(p3,p4,p5)",
        "dihedral(p1,p2,p3,p4)",
        "dihedral(p2,p3,p4,p5)",
        "dihedral(p3,p4,p5,p6)",
    )
    terms, definitions = [], []
    for index, name in enumerate(names):
        constant = "distance_constant" if index == 0 else "angle_constant"
        terms.append(f"{constant}*d{index}^2")
        difference = f"{name}-reference{index}"
        if index < 3:
            definitions.append(f"d{index}={difference}")
        else:
            definitions.append(f"d{index}=x{index}-{2 * np.pi!r}*floor(x{index}/{2 * np.pi!r}+0.5)")
            definitions.append(f"x{index}={difference}")
    energy = f"0.5*{LAMBDA_RESTRAINTS}*({'+'.join(terms)})"
    force = openmm.CustomCompoundBondForce(6, ";".join([energy, *definitions]))
    force.addGlobalParameter(LAMBDA_RESTRAINTS, 0.0)
    values: dict[str, float] = {
        "distance_constant": restraint.distance_constant,
        "angle_constant": restraint.angle_constant,
        **{f"reference{index}": value for index, value in enumerate(restraint.reference)},
    }
    for name in values:
        force.addPerBondParameter(name)
    force.addBond(list(restraint.atoms), list(values.values()))
    force.setUsesPeriodicBoundaryConditions(periodic)
    force.setName("Boresch restraint")
    return force


def stiff_release_free_energy(restraint: BoreschRestraint, temperature: Any) -> float:
    """Return the free energy of release by the formula of stiff springs, kJ/mol.

    -kT ln[ 8 pi^2 V0 (k_r k^5)^(1/2) / (r0^2 sin theta_A0 sin theta_B0 (2 pi kT)^3) ], equation 32
    of Boresch et al. (2003). It treats r^2 and the sines as constant, and all coordinates as
    unbounded.

    Args:
        restraint: of a ligand without interactions.
        temperature: K or Quantity.
    """
    kt = thermal_energy(temperature)
    r, first, second = restraint.reference[:3]
    springs = float(np.sqrt(np.prod(restraint.constants)))
    jacobian = r**2 * np.sin(first) * np.sin(second)
    ratio = 8 * np.pi**2 * STANDARD_VOLUME * springs / (jacobian * (2 * np.pi * kt) ** 3)
    return float(-kt * np.log(ratio))


def release_free_energy(restraint: BoreschRestraint, temperature: Any) -> float:
    """Return the free energy of a ligand when its restraint is released into 1 mol/l, kJ/mol.

    -kT ln[ 8 pi^2 V0 / Z ], Z = product over the coordinates of the integral of J exp(-U/kT), with
    J = r^2, sin theta or 1. It is exact for a ligand and a receptor that do not interact: each
    integral is done by numerical quadrature over the whole range of its coordinate.

    Args:
        restraint: of a ligand without interactions.
        temperature: K or Quantity.
    """
    kt = thermal_energy(temperature)
    integrals = [_integral(restraint, index, kt, _one) for index in range(6)]
    return float(-kt * (np.log(8 * np.pi**2 * STANDARD_VOLUME) - np.log(integrals).sum()))


def mean_restraint_energy(restraint: BoreschRestraint, temperature: Any) -> float:
    """Return the mean energy of the restraint of a ligand without interactions, kJ/mol.

    About 3 kT, 1/2 kT for each coordinate; by the quadrature of `release_free_energy`.

    Args:
        restraint: of a ligand without interactions.
        temperature: K or Quantity.
    """
    kt, total = thermal_energy(temperature), 0.0
    for index, constant in enumerate(restraint.constants.tolist()):
        square = _integral(restraint, index, kt, _square)
        total += 0.5 * constant * square / _integral(restraint, index, kt, _one)
    return total


def least_angle(angle_constant: float, temperature: Any) -> float:
    """Return the angle theta_A or theta_B, rad, at which collinear anchors have 10 kT of energy.

    Args:
        angle_constant: k, kJ/mol/rad^2.
        temperature: K or Quantity.
    """
    return float(np.sqrt(2 * _COLLINEAR * thermal_energy(temperature) / angle_constant))


def require_no_collinear_anchors(
    restraint: BoreschRestraint, temperature: Any, *, what: str = "the anchors"
) -> None:
    """Refuse a restraint that allows collinear anchors.

    Its energy at a theta_A or theta_B of 0 or 180 degrees, where torsions are undefined, must be 10
    kT or more.

    Args:
        restraint: to check.
        temperature: K or Quantity.
        what: name of the anchors in the message.

    Raises:
        ConfigError: the energy is lower.
    """
    angles = np.array(restraint.reference[1:3])
    least = least_angle(restraint.angle_constant, temperature)
    if np.minimum(angles, np.pi - angles).min() < least:
        first, second = np.degrees(angles)
        raise ConfigError(
            f"{what} {list(restraint.atoms)}: found angles of {first:.0f} and {second:.0f} degrees "
            f"at the bond between receptor and ligand; allowed: {np.degrees(least):.0f} to "
            f"{180 - np.degrees(least):.0f} degrees, from where {_COLLINEAR:g} kT bring the atoms "
            "into one line; choose other anchors, or a larger angle constant"
        )


def _integral(
    restraint: BoreschRestraint, index: int, kt: float, factor: Callable[[float], float]
) -> float:
    """Return the integral of J factor(x - x0) exp(-U/kT) over the range of one coordinate."""
    constant, middle = float(restraint.constants[index]), restraint.reference[index]
    jacobian, (low, high) = _MEASURES[index]
    if index >= 3:  # the period around the reference
        middle = 0.0
    reach = _DEVIATIONS * np.sqrt(kt / constant)
    ends = max(low, middle - reach), min(high, middle + reach)

    def integrand(x: float) -> float:
        energy = 0.5 * constant * (x - middle) ** 2
        return float(jacobian(x) * factor(x - middle) * np.exp(-energy / kt))

    return float(quad(integrand, *ends, points=[middle], limit=200)[0])


def _square(x: float) -> float:
    return x * x


def _one(_: float) -> float:
    return 1.0


# The Jacobian and the range of each coordinate.
_MEASURES: tuple[tuple[Callable[[float], float], tuple[float, float]], ...] = (
    (_square, (0.0, np.inf)),
    (np.sin, (0.0, np.pi)),
    (np.sin, (0.0, np.pi)),
    (_one, (-np.pi, np.pi)),
    (_one, (-np.pi, np.pi)),
    (_one, (-np.pi, np.pi)),
)

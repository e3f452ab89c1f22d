"""The network and the charges of its region in the field of the environment, for a PythonForce.

V = V_NNP + sum_i (q_i - q0_i) phi_i + sum_i v_i chi_i(s_i) + V_ind

The charges q_i follow the region's geometry; q0_i are the force field's, which stay in OpenMM's
NonbondedForce. v_i is the part of q_i, if any, that is a density of width s_i. phi_i is the
potential of the environment's charges at atom i, and chi_i the difference between the potentials
that a density and a point charge feel. These terms are linear in the environment's charges; V_ind,
the energy of the dipoles that they induce, is not.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.core.errors import ModelError, SimulationError
from nnpmm.coupling.callback import EnergyAndForces, RegionCallback, log_failures, require_finite
from nnpmm.coupling.region_charge import CHARGE_ROUNDING
from nnpmm.models.charges import BoundCharges, Charges, evaluate_in_potential
from nnpmm.models.protocol import at_each_step

__all__ = ["ElectrostaticCallback", "Embedding"]

_POINT_CHARGES = np.zeros(0)  # in place of widths and valence charges
_ROUNDING = 1e-9  # nm, so that rounding leaves out no image at the cutoff


class Embedding(NamedTuple):
    """The environment of a region's charges, and the charges that replace the fixed ones.

    Attributes:
        charges: model of the region's charges; None for the charges of the called network.
        fixed: charges of the region's atoms in the NonbondedForce, (n,), e.
        environment: charges of the environment's atoms, (m,), e; in the force's list of particles
            these come after the region's.
        cutoff: nm, or infinity.
        factors: names of the global parameters that multiply the embedding energy.
        induction: whether the environment induces dipoles in the region.
    """

    charges: BoundCharges | None
    fixed: NDArray[np.float64]
    environment: NDArray[np.float64]
    cutoff: float
    factors: tuple[str, ...]
    induction: bool = False


class ElectrostaticCallback:
    """Called by OpenMM with the State of the region's and the environment's charged atoms.

    Args:
        region: calls the network.
        embedding: the charges and their environment.
    """

    def __init__(self, region: RegionCallback, embedding: Embedding) -> None:
        self.region = region
        self.embedding = embedding
        self._evaluate = at_each_step(region.evaluator)
        self._shape = _shape(embedding.cutoff)

    def __reduce__(self) -> tuple[Any, ...]:
        return (ElectrostaticCallback, (self.region, self.embedding))

    @property
    def n_region(self) -> int:
        """Number of the region's atoms, which are the first of the force's particles."""
        return len(self.embedding.fixed)

    @log_failures
    def __call__(self, state: openmm.State) -> EnergyAndForces:
        """Return the energy (kJ/mol) and forces in kJ/mol/nm on the region and its environment."""
        positions = state.getPositions(asNumpy=True)._value
        parameters = state.getParameters()
        weight = 1.0 if self.region.weight is None else parameters[self.region.weight]
        factor = math.prod(parameters[name] for name in self.embedding.factors)
        forces = np.zeros_like(positions)
        if weight == 0:
            return 0.0, forces
        n, box = self.n_region, None
        if self.region.periodic:
            box = state.getPeriodicBoxVectors(asNumpy=True)._value
        region = self.region.make_whole(positions[:n], box)
        if factor == 0:
            energy, forces[:n] = self._evaluate(region)
        else:
            energy = self._embedded(region, positions[n:], box, factor, forces)
        energy, forces = require_finite(energy, forces)
        return weight * energy, weight * forces

    def _embedded(
        self,
        region: NDArray[np.float64],
        environment: NDArray[np.float64],
        box: NDArray[np.float64] | None,
        factor: float,
        forces: NDArray[np.float64],
    ) -> float:
        """Return the energy, and write the forces (n + m, 3)."""
        from nnpmm.coupling.electrostatic import kernel

        _check_box(box, self.embedding.cutoff)
        centre = region.mean(axis=0)
        centred = region - centre
        reach = self.embedding.cutoff + np.linalg.norm(centred, axis=1).max() + _ROUNDING
        indices, images = kernel.find_images(
            centre, reach, environment, np.eye(3) if box is None else box, box is not None
        )
        charges = COULOMB_CONSTANT * self.embedding.environment[indices]
        nearby = _Nearby(centred, indices, charges, images, self._shape)
        if self.embedding.charges is None:
            return self._with_network_charges(region, nearby, factor, forces)
        density = self.embedding.charges(region)
        energy, network_forces = self._evaluate(region)
        n, shifts = self.n_region, self._shifts(density.total)
        added, on_region, on_environment = _coupled(density, shifts, nearby, len(environment))
        if self.embedding.induction:
            induced, induced_forces = _induced(density, nearby, on_environment)
            added, on_region = added + induced, on_region + induced_forces
        forces[:n] = network_forces + factor * on_region
        forces[n:] = factor * on_environment
        return float(energy + factor * added)

    def _with_network_charges(
        self,
        region: NDArray[np.float64],
        nearby: _Nearby,
        factor: float,
        forces: NDArray[np.float64],
    ) -> float:
        """Return the energy, and write the forces; the network gives its charges at the same time.

        Args:
            region: (n, 3), nm.
            nearby: images of the environment's atoms.
            factor: of the embedding energy.
            forces: (n + m, 3), kJ/mol/nm, written to.
        """
        from nnpmm.coupling.electrostatic import kernel

        centred, indices, charges, images, shape = nearby
        potentials, gradients, *_ = kernel.find_potentials(
            centred, _POINT_CHARGES, charges, images, shape
        )
        energy, network_forces, total = evaluate_in_potential(
            self.region.evaluator, region, factor * potentials
        )
        n, shifts = self.n_region, factor * self._shifts(total)
        forces[:n] = network_forces - shifts[:, None] * gradients
        kernel.add_environment_forces(
            forces[n:],
            indices,
            centred,
            shifts,
            _POINT_CHARGES,
            _POINT_CHARGES,
            charges,
            images,
            shape,
        )
        return float(energy + shifts @ potentials)

    def _shifts(self, total: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the charges (n,) less the fixed charges, e.

        Raises:
            ModelError: the two have different sums.
        """
        shifts = total - self.embedding.fixed
        if not abs(shifts.sum()) <= CHARGE_ROUNDING:
            raise ModelError(
                f"found charges that add up to {total.sum():+.3f} e, expected those of the region "
                f"in the force field, {self.embedding.fixed.sum():+.3f} e"
            )
        return shifts


class _Nearby(NamedTuple):
    """A region and the images of charged atoms around it.

    Attributes:
        region: positions relative to their centre, (n, 3), nm.
        indices: the atom of each image in the environment, (k,).
        charges: of the images times Coulomb's constant, (k,), so that q / r is in kJ/mol/e.
        images: positions relative to the region's centre, (3, k), nm.
        shape: coefficients of the pair potential; see `_shape`.
    """

    region: NDArray[np.float64]
    indices: NDArray[np.int64]
    charges: NDArray[np.float64]
    images: NDArray[np.float64]
    shape: tuple[float, float, float, float]


def _coupled(
    density: Charges, shifts: NDArray[np.float64], nearby: _Nearby, n_environment: int
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return energy, forces on the region (n, 3), and forces on the environment (m, 3).

    Args:
        density: the region's charges.
        shifts: these less the fixed charges, (n,), e.
        nearby: images of the environment's atoms.
        n_environment: m, the number of these atoms.
    """
    from nnpmm.coupling.electrostatic import kernel

    region, indices, charges, images, shape = nearby
    widths, valence = density.widths, density.valence
    potentials, gradients, penetration, slopes, by_widths = kernel.find_potentials(
        region, widths, charges, images, shape
    )
    energy, gradient = shifts @ potentials, shifts[:, None] * gradients
    weights = (potentials, _POINT_CHARGES, _POINT_CHARGES)
    if len(widths):
        energy += valence @ penetration
        gradient += valence[:, None] * slopes
        weights = (potentials, penetration, valence * by_widths)
    on_environment = np.zeros((n_environment, 3))
    kernel.add_environment_forces(
        on_environment, indices, region, shifts, valence, widths, charges, images, shape
    )
    # The charges depend on the geometry, too: pull_back multiplies by their derivatives.
    return float(energy), -gradient - density.pull_back(*weights), on_environment


def _induced(
    density: Charges, nearby: _Nearby, on_environment: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the energy of induced dipoles and their forces on the region, (n, 3).

    Their forces on the environment are added to ``on_environment``, (m, 3).
    """
    from nnpmm.coupling.electrostatic import kernel

    assert density.induce is not None
    region, indices, charges, images, shape = nearby
    widths = 2 * density.widths  # EMLE damps the polarizing field with densities twice as wide
    field = -kernel.find_potentials(region, _POINT_CHARGES, charges, images, shape)[1]
    damping = kernel.find_damping_fields(region, widths, charges, images, shape[0])
    induced = density.induce(field, field + damping)
    forces = np.zeros_like(region)
    by_widths = kernel.add_field_forces(
        forces,
        on_environment,
        indices,
        region,
        induced.by_field + induced.by_damped,
        induced.by_damped,
        widths,
        charges,
        images,
        shape,
    )
    pulled = density.pull_back(
        np.zeros_like(widths), induced.by_valence, induced.by_widths + 2 * by_widths
    )
    return induced.energy, forces - induced.by_positions - pulled


def _shape(cutoff: float) -> tuple[float, float, float, float]:
    """Return cutoff^2 and a, b, c of 1/r + a + b r^2 + c r^4; see `reference.pair_potential`."""
    if math.isinf(cutoff):
        return (math.inf, 0.0, 0.0, 0.0)
    return (cutoff**2, -15 / (8 * cutoff), 5 / (4 * cutoff**3), -3 / (8 * cutoff**5))


def _check_box(box: NDArray[np.float64] | None, cutoff: float) -> None:
    """Check that no two images of an atom are within the cutoff.

    Raises:
        SimulationError: the box is too small.
    """
    if box is not None and box.diagonal().min() < 2 * cutoff:
        raise SimulationError(
            f"found a periodic box {box.diagonal().min():.3f} nm wide, allowed: twice the cutoff "
            f"of the electrostatic embedding, {2 * cutoff:.3f} nm, or more; use a larger box or a "
            "smaller cutoff"
        )

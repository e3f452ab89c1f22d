"""The network and the charges of its region in the field of the environment, for a PythonForce.

V = V_NNP + sum_i (q_i - q0_i) phi_i + sum_i v_i chi_i(s_i) + V_ind

q_i are charges that follow the region's geometry, q0_i the force field's, which stay in OpenMM's
NonbondedForce; v_i is the part of q_i that is spread out with a width s_i, if any. phi_i is the
potential of the environment's charges at atom i, and chi_i what a density of unit charge feels less
than a point. This is linear in the environment's charges; V_ind, of dipoles that they induce, is
not.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.core.errors import ModelError, SimulationError
from nnpmm.coupling.callback import EnergyAndForces, RegionCallback, finite, log_failures
from nnpmm.coupling.region_charge import CHARGE_ROUNDING
from nnpmm.models.charges import BoundCharges, Charges, evaluate_in_potential
from nnpmm.models.protocol import at_each_step

__all__ = ["ElectrostaticCallback", "Embedding"]

_NONE = np.zeros(0)
_ROUNDING = 1e-9  # nm


class Embedding(NamedTuple):
    """The environment of a region's charges, and the charges that replace the fixed ones.

    Attributes:
        charges: of the region, as they follow its geometry; None for the network's own.
        fixed: charges of the region's atoms in the NonbondedForce, (n,), e.
        environment: charges of the atoms whose positions follow the region's, (m,), e.
        cutoff: nm, or infinity.
        factors: names of the global parameters that multiply the energy.
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
        region: what calls the network.
        embedding: the charges.
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
        """How many of the force's particles are the region's, its first ones."""
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
        region = self.region.whole(positions[:n], box)
        if factor == 0:
            energy, forces[:n] = self._evaluate(region)
        else:
            energy = self._embedded(region, positions[n:], box, factor, forces)
        energy, forces = finite(energy, forces)
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
        place = region - centre
        reach = self.embedding.cutoff + np.linalg.norm(place, axis=1).max() + _ROUNDING
        around, images = kernel.find_images(
            centre, reach, environment, np.eye(3) if box is None else box, box is not None
        )
        charges = COULOMB_CONSTANT * self.embedding.environment[around]
        near = _Near(place, around, charges, images, self._shape)
        if self.embedding.charges is None:
            return self._with_network_charges(region, near, factor, forces)
        density = self.embedding.charges(region)
        energy, own = self._evaluate(region)
        n, shifts = self.n_region, self._shifts(density.total)
        added, on_region, on_environment = _coupled(density, shifts, near, len(environment))
        if self.embedding.induction:
            induced, forces_of_it = _induced(density, near, on_environment)
            added, on_region = added + induced, on_region + forces_of_it
        forces[:n], forces[n:] = own + factor * on_region, factor * on_environment
        return float(energy + factor * added)

    def _with_network_charges(
        self,
        region: NDArray[np.float64],
        near: _Near,
        factor: float,
        forces: NDArray[np.float64],
    ) -> float:
        """Return the energy, and write the forces, with one evaluation where that is enough."""
        from nnpmm.coupling.electrostatic import kernel

        found = kernel.find_potentials(near.place, _NONE, *near[2:])
        potentials, gradients = found[:2]
        energy, own, total = evaluate_in_potential(
            self.region.evaluator, region, factor * potentials
        )
        n, shifts = self.n_region, factor * self._shifts(total)
        forces[:n] = own - shifts[:, None] * gradients
        kernel.add_environment_forces(
            *(forces[n:], near.around, near.place, shifts, _NONE, _NONE), *near[2:]
        )
        return float(energy + shifts @ potentials)

    def _shifts(self, total: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the charges (n,) less the fixed ones.

        Raises:
            ModelError: they do not add up to the same.
        """
        shifts = total - self.embedding.fixed
        if not abs(shifts.sum()) <= CHARGE_ROUNDING:
            raise ModelError(
                f"found charges that add up to {total.sum():+.3f} e, expected those of the region "
                f"in the force field, {self.embedding.fixed.sum():+.3f} e"
            )
        return shifts


class _Near(NamedTuple):
    """A region and the images around it.

    Attributes:
        place: of the region's atoms, relative to their centre, (n, 3), nm.
        around: indices of the images in the environment, (k,).
        charges: of the images, (k,), so that q / r is kJ/mol/e.
        images: relative to the region's centre, (3, k), nm.
        shape: of the pair potential.
    """

    place: NDArray[np.float64]
    around: NDArray[np.int64]
    charges: NDArray[np.float64]
    images: NDArray[np.float64]
    shape: tuple[float, float, float, float]


def _coupled(
    density: Charges, shifts: NDArray[np.float64], near: _Near, n_environment: int
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return energy, forces on the region (n, 3), and forces on the environment (m, 3)."""
    from nnpmm.coupling.electrostatic import kernel

    widths, valence = density.widths, density.valence
    found = kernel.find_potentials(near.place, widths, *near[2:])
    potentials, gradients, penetration, slopes, by_widths = found
    energy, gradient = shifts @ potentials, shifts[:, None] * gradients
    weights = (potentials, _NONE, _NONE)
    if len(widths):
        energy += valence @ penetration
        gradient += valence[:, None] * slopes
        weights = (potentials, penetration, valence * by_widths)
    on_environment = np.zeros((n_environment, 3))
    kernel.add_environment_forces(
        *(on_environment, near.around, near.place, shifts, valence, widths), *near[2:]
    )
    return float(energy), -gradient - density.pull_back(*weights), on_environment


def _induced(
    density: Charges, near: _Near, on_environment: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return energy and forces on the region of induced dipoles; add those on the environment."""
    from nnpmm.coupling.electrostatic import kernel

    assert density.induce is not None
    # The field that polarizes is damped by densities of twice the width.
    place, around, charges, images, shape = near
    widths = 2 * density.widths
    field = -kernel.find_potentials(place, _NONE, charges, images, shape)[1]
    damping = kernel.find_damping_fields(place, widths, charges, images, shape[0])
    found = density.induce(field, field + damping)
    forces = np.zeros_like(place)
    by_widths = kernel.add_field_forces(
        *(forces, on_environment, around, place, found.by_field + found.by_damped),
        *(found.by_damped, widths, charges, images, shape),
    )
    pulled = density.pull_back(
        np.zeros_like(widths), found.by_valence, found.by_widths + 2 * by_widths
    )
    return found.energy, forces - found.by_positions - pulled


def _shape(cutoff: float) -> tuple[float, float, float, float]:
    """Return cutoff^2 and a, b, c of 1/r + a + b r^2 + c r^4; see `reference.pair_potential`."""
    if math.isinf(cutoff):
        return (math.inf, 0.0, 0.0, 0.0)
    return (cutoff**2, -15 / (8 * cutoff), 5 / (4 * cutoff**3), -3 / (8 * cutoff**5))


def _check_box(box: NDArray[np.float64] | None, cutoff: float) -> None:
    """Check that no two images of an atom are within the cutoff.

    Raises:
        SimulationError: two may be.
    """
    if box is not None and box.diagonal().min() < 2 * cutoff:
        raise SimulationError(
            f"found a periodic box {box.diagonal().min():.3f} nm wide, allowed: twice the cutoff "
            f"of the electrostatic embedding, {2 * cutoff:.3f} nm, or more; use a larger box or a "
            "smaller cutoff"
        )

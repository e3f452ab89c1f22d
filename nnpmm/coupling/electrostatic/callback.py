"""The network and the charges of its region in the field of the environment, for a PythonForce.

V = V_NNP + sum_i (q_i - q0_i) phi_i + sum_i v_i chi_i(s_i)

q_i are charges that follow the region's geometry, q0_i the force field's, which stay in OpenMM's
NonbondedForce; v_i is the part of q_i that is spread out with a width s_i, if any. phi_i is the
potential of the environment's charges at atom i, and chi_i what a density of unit charge feels less
than a point. All of this is linear in the environment's charges.
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


class Embedding(NamedTuple):
    """What a region's charges are embedded in, and what takes their place there.

    Attributes:
        charges: of the region, as they follow its geometry; None for the network's own.
        fixed: charges of the region's atoms in the NonbondedForce, (n,), e.
        environment: charges of the atoms whose positions follow the region's, (m,), e.
        cutoff: nm, or infinity.
        factors: names of the global parameters that multiply the energy.
    """

    charges: BoundCharges | None
    fixed: NDArray[np.float64]
    environment: NDArray[np.float64]
    cutoff: float
    factors: tuple[str, ...]


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
        n, source = self.n_region, self.embedding.charges
        around, images = kernel.find_images(
            *(region, environment, np.eye(3) if box is None else box, box is not None),
            self.embedding.cutoff,
        )
        charges = COULOMB_CONSTANT * self.embedding.environment[around]
        place = region - region.mean(axis=0)
        density = None if source is None else source(region)
        widths = _NONE if density is None else density.widths
        found = kernel.find_potentials(place, widths, charges, images, self._shape)
        potentials, gradients, penetration, slopes, by_width = found
        if density is None:
            energy, own, total = evaluate_in_potential(
                self.region.evaluator, region, factor * potentials
            )
            shifts = self._shifts(total)
            valence = _NONE
        else:
            energy, own = self._evaluate(region)
            shifts, valence = self._shifts(density.total), density.valence
            own = own - factor * _pulled_back(density, potentials, penetration, by_width)
        on_place = shifts[:, None] * gradients
        embedded = shifts @ potentials
        if len(widths):
            on_place += valence[:, None] * slopes
            embedded += valence @ penetration
        forces[:n] = own - factor * on_place
        kernel.add_environment_forces(
            *(forces[n:], around, place, factor * shifts, factor * valence, widths),
            *(charges, images, self._shape),
        )
        return float(energy + factor * embedded)

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


def _pulled_back(
    density: Charges,
    potentials: NDArray[np.float64],
    penetration: NDArray[np.float64],
    by_width: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the gradient (n, 3) by way of charges and widths, kJ/mol/nm."""
    if not len(density.widths):
        return density.pull_back(potentials, _NONE, _NONE)
    return density.pull_back(potentials, penetration, density.valence * by_width)


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

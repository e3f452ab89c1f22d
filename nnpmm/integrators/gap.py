"""The difference between a network and its inner potential, inside a region.

With multiple time steps, the slow force on the region is F_NNP - F_in, the difference between the
network and its inner potential, and one slow kick acts for a whole outer step dt. Its size relative
to the thermal momentum,

    kick^2 = 1/f sum_i dt^2 |F_i|^2 / (m_i kT),    f degrees of freedom,

decides whether the scheme is valid. For an oscillator of frequency w with a slow part w_s (w_s^2 +
w_fast^2 = w^2) it is (w_s dt) (w_s / w) on average, and the impulse method needs w_s dt < 2
(Tuckerman, Berne, Martyna, J. Chem. Phys. 1992, 97, 1990). Forces along a constraint do not count,
because the constraint cancels them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError, ModelError, RegionError, SimulationError
from nnpmm.core.geometry import nearest_image
from nnpmm.coupling import Role, forces_by_role, has_inner_potential
from nnpmm.structures.bonds import constrained_rows

__all__ = ["Gap", "GapMeter"]

# Their sum is the network minus the inner potential. The force of the network already subtracts an
# inner network, and the force field of a region that is coupled by subtraction.
_SLOW = (Role.NETWORK, Role.NETWORK_LESS_FORCE_FIELD, Role.NEGATED_INNER_POTENTIAL)


@dataclass(frozen=True, eq=False)
class Gap:
    """Network minus inner potential at one geometry.

    Attributes:
        energy: V_NNP - V_in, kJ/mol; only its changes are meaningful.
        forces: on the region's atoms, without the components that constraints cancel, (n, 3),
            kJ/mol/nm.
        rms_force: root mean square of their lengths, kJ/mol/nm.
        kick: root mean square change of momentum in one outer step, for each degree of freedom, in
            units of the thermal momentum sqrt(m kT).
        worst: row of the atom that contributes most to the kick.
    """

    energy: float
    forces: NDArray[np.float64]
    rms_force: float
    kick: float
    worst: int


class GapMeter:
    """Measures the gap of a hybrid system, with one evaluation of the network each time.

    Copies of the network and of the negated inner potential are in a separate context, so that the
    simulation is not disturbed and no other slow forces contribute.

    Args:
        system: made with ``Mechanical(inside=MultipleTimeSteps())``.
        region: indices of its atoms (several regions count as one), (n,).
        timestep: the outer one, ps.
        temperature: K.

    Raises:
        ConfigError: the system has no such forces.
        ModelError: the network cannot be copied.
        RegionError: the region is empty, or not the network's.
    """

    def __init__(
        self,
        system: openmm.System,
        region: NDArray[np.int64],
        *,
        timestep: float,
        temperature: float,
    ) -> None:
        self._region, self._timestep = region, timestep
        self._kt = GAS_CONSTANT * temperature
        self._context = _slow_context(system)
        _check_region(system, region)
        masses = np.array([system.getParticleMass(int(i))._value for i in region])
        self._inverse_masses = np.divide(1, masses, out=np.zeros_like(masses), where=masses > 0)
        self._constraints = constrained_rows(system, region)
        self._freedom = max(3 * int((masses > 0).sum()) - len(self._constraints), 1)

    def measure(self, positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> Gap:
        """Return the gap at positions (n_atoms, 3) of the whole system and box (3, 3), nm.

        Raises:
            SimulationError: the network cannot be evaluated there.
        """
        if box is not None:
            self._context.setPeriodicBoxVectors(*box)
        self._context.setPositions(positions)
        try:
            state = self._context.getState(energy=True, forces=True)
        except openmm.OpenMMException as error:  # the text of what the network raised
            reason = " ".join(str(error).split())
            raise SimulationError(f"cannot watch the network: {reason}") from error
        forces = state.getForces(asNumpy=True)._value[self._region]
        forces = self._unconstrained(forces, self._bond_vectors(positions, box))
        squares = (forces**2).sum(axis=1)
        shares = squares * self._inverse_masses
        return Gap(
            energy=float(state.getPotentialEnergy()._value),
            forces=forces,
            rms_force=float(np.sqrt(squares.mean())),
            kick=self._timestep * float(np.sqrt(shares.sum() / (self._freedom * self._kt))),
            worst=int(shares.argmax()),
        )

    def _bond_vectors(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return unit vectors along the region's constraints, (m, 3)."""
        region = positions[self._region]
        vectors = region[self._constraints[:, 0]] - region[self._constraints[:, 1]]
        if box is not None:
            vectors = nearest_image(vectors, box)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1)[:, None])

    def _unconstrained(
        self, forces: NDArray[np.float64], directions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the forces (n, 3) less those that would change a constrained length.

        F - J^T (J M^-1 J^T)^-1 J M^-1 F, J the gradients of the constrained lengths.
        """
        n_constraints = len(directions)
        rows = np.arange(n_constraints)
        gradients = np.zeros((n_constraints, len(forces), 3))
        gradients[rows, self._constraints[:, 0]] = directions
        gradients[rows, self._constraints[:, 1]] = -directions
        weighted = gradients * self._inverse_masses[:, None]
        matrix = np.einsum("kia,lia->kl", weighted, gradients)
        multipliers = np.linalg.solve(matrix, np.einsum("kia,ia->k", weighted, forces))
        return np.asarray(forces - np.einsum("k,kia->ia", multipliers, gradients))


def _slow_context(system: openmm.System) -> openmm.Context:
    """Return a context of the networks and the negated inner potentials, in double precision."""
    if not has_inner_potential(system):
        raise ConfigError(
            "found a system without an inner potential for the network, expected one made with "
            "inside=MultipleTimeSteps()"
        )
    slow = openmm.System()
    for _ in range(system.getNumParticles()):
        slow.addParticle(1.0)
    by_role = forces_by_role(system)
    for role in _SLOW:
        for force in by_role.get(role, []):
            slow.addForce(_copy(force))
    platform = openmm.Platform.getPlatformByName("Reference")
    return openmm.Context(slow, openmm.VerletIntegrator(0.001), platform)


def _check_region(system: openmm.System, region: NDArray[np.int64]) -> None:
    described = {
        atom
        for role in (Role.NETWORK, Role.NETWORK_LESS_FORCE_FIELD)
        for force in forces_by_role(system).get(role, [])
        if type(force) is openmm.PythonForce
        for atom in force.getParticles()
    }
    outside = set(region.tolist()) - described
    # The forces of the other transports do not list their atoms.
    if region.size == 0 or (described and outside):
        raise RegionError(
            f"found {region.size} atoms to watch, {len(outside)} of them outside the network's "
            "regions; give the atoms that were passed to create_hybrid_system"
        )


def _copy(force: openmm.Force) -> openmm.Force:
    try:
        return copy.deepcopy(force)
    except openmm.OpenMMException as error:
        raise ModelError(
            "the network cannot be copied, which the check requires: pickle cannot serialize its "
            "evaluator; give the evaluator a __reduce__ method"
        ) from error

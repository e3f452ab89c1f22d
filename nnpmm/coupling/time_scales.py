"""Divide the energy of a region into fast and slow parts, for multiple time steps.

V = V_in(region) + [V_NNP(region) - V_in(region)] + all else: the first term changes fast and is
cheap, the bracket changes slowly and is costly (Jaffrelot Inizan et al., Chem. Sci. 2023, 14,
5438). Their sum is the network, exactly. V_in consists of the force field's bonded terms, of fitted
terms, or of another network.
"""

from __future__ import annotations

import copy
from typing import Any, Protocol, runtime_checkable

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.coupling.roles import Role
from nnpmm.models.protocol import BatchEvaluation, Evaluation, Evaluator, at_each_step

__all__ = ["DifferenceEvaluator", "InnerTerms", "create_negated_force"]


@runtime_checkable
class InnerTerms(Protocol):
    """An inner potential for the network that consists of OpenMM forces."""

    def create_forces(self, atoms: NDArray[np.int64]) -> list[openmm.Force]:
        """Return forces of the classes in `nnpmm.coupling.terms.BONDED`.

        Args:
            atoms: the region's sorted indices in the system, (n,).
        """


class DifferenceEvaluator:
    """One network minus another, both bound to the same atoms.

    Args:
        minuend: the network of the hybrid system.
        subtrahend: the inner potential.
    """

    def __init__(self, minuend: Evaluator, subtrahend: Evaluator) -> None:
        self.minuend = minuend
        self.subtrahend = subtrahend

    @property
    def atomic_numbers(self) -> NDArray[np.int64]:
        """Atomic numbers, shape (n,)."""
        return self.minuend.atomic_numbers

    @property
    def energy_offset(self) -> float:
        """Difference of the sums of self energies, kJ/mol."""
        return self.minuend.energy_offset - self.subtrahend.energy_offset

    def __call__(self, positions: Any, box: Any = None) -> tuple[float, NDArray[np.float64]]:
        """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm."""
        energy, forces = self.minuend(positions, box)
        inner_energy, inner_forces = self.subtrahend(positions, box)
        return energy - inner_energy, forces - inner_forces

    def at_each_step(
        self, positions: NDArray[np.float64], box: Any = None
    ) -> tuple[float, NDArray[np.float64]]:
        """Like a call, without checks; see `nnpmm.models.protocol.at_each_step`."""
        energy, forces = at_each_step(self.minuend)(positions, box)
        inner_energy, inner_forces = at_each_step(self.subtrahend)(positions, box)
        return energy - inner_energy, forces - inner_forces

    def evaluate(self, positions: Any, box: Any = None) -> Evaluation:
        """Like a call, with the energy of every member of the minuend less the subtrahend."""
        outer = self.minuend.evaluate(positions, box)
        energy, forces = self.subtrahend(positions, box)
        return Evaluation(
            outer.energy - energy, outer.forces - forces, outer.member_energies - energy
        )

    def member_energies(self, positions: Any, box: Any = None) -> NDArray[np.float64]:
        """Return the energy of every member of the minuend less the subtrahend, (m,), kJ/mol."""
        return self.evaluate(positions, box).member_energies

    def batch(self, positions: Any) -> BatchEvaluation:
        """Evaluate geometries (k, n, 3) in nm."""
        outer, inner = self.minuend.batch(positions), self.subtrahend.batch(positions)
        return BatchEvaluation(
            outer.energies - inner.energies,
            outer.forces - inner.forces,
            outer.member_energies - inner.energies[:, np.newaxis],
        )


def create_negated_force(forces: list[openmm.Force]) -> openmm.CustomCVForce:
    """Return a force whose energy is minus the sum of those of other forces, of any class.

    Args:
        forces: the new force contains copies of them.
    """
    names = [f"region{index}" for index in range(len(forces))]
    negated = openmm.CustomCVForce(f"-({'+'.join(names)})")
    for name, force in zip(names, forces, strict=True):
        negated.addCollectiveVariable(name, copy.deepcopy(force))
    negated.setName(Role.NEGATED_INNER_POTENTIAL.value)
    return negated

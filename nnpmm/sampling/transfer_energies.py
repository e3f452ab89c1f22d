"""The energy of an ATMForce in many states, from one evaluation of its two energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

__all__ = ["TransferEnergies"]

# kJ/mol. An energy that overflows, as of atoms on top of each other after a transfer, would turn
# its difference from another one into a NaN; no sample has such an energy.
_LARGEST = 1e12


class TransferEnergies:
    """Evaluates an ATMForce in all states of a ladder.

    Its energy is a function of u0, u1 and global parameters. The function is evaluated by OpenMM
    itself, as the energy of a particle in a System of its own, so that there is no second version
    of it.

    Args:
        context: of the System.
        force: of that System.
    """

    def __init__(self, context: openmm.Context, force: openmm.ATMForce) -> None:
        self._context, self._force = context, force
        function = openmm.CustomExternalForce(force.getEnergyFunction())
        count = force.getNumGlobalParameters()
        self._names = [force.getGlobalParameterName(index) for index in range(count)]
        for name in ("u0", "u1", *self._names):
            function.addGlobalParameter(name, 0.0)
        function.addParticle(0)
        system = openmm.System()
        system.addParticle(1.0)
        system.addForce(function)
        self._function = openmm.Context(
            system,
            openmm.VerletIntegrator(0.001),
            openmm.Platform.getPlatformByName("Reference"),
        )
        self._function.setPositions(np.zeros((1, 3)))

    def evaluate(self, states: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """Return the energies (K,) of the context's configuration in some states, kJ/mol."""
        u1, u0, _ = self._force.getPerturbationEnergy(self._context)
        for name, energy in (("u0", u0), ("u1", u1)):
            value = energy.value_in_unit(unit.kilojoule_per_mole)
            self._function.setParameter(name, float(np.clip(value, -_LARGEST, _LARGEST)))
        present = dict(self._context.getParameters())
        found = []
        for state in states:
            values = {**present, **state}
            for name in self._names:
                self._function.setParameter(name, values[name])
            energy = self._function.getState(energy=True).getPotentialEnergy()
            found.append(energy.value_in_unit(unit.kilojoule_per_mole))
        return np.array(found)

"""The energy of an ATMForce in many states, from one evaluation of its two energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

__all__ = ["TransferEnergies"]

# kJ/mol. An infinite energy, of atoms that overlap after a transfer, would make differences NaN.
# No sampled configuration has an energy near this limit.
_LARGEST = 1e12


class TransferEnergies:
    """Evaluates an ATMForce in all states of a ladder.

    Its energy is a function of u0, u1 and global parameters. OpenMM evaluates this function as the
    energy of a particle in a separate System, so that it need not be written a second time.

    Args:
        context: of the System.
        force: the System's ATMForce.
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
        current = dict(self._context.getParameters())
        energies = []
        for state in states:
            values = {**current, **state}
            for name in self._names:
                self._function.setParameter(name, values[name])
            energy = self._function.getState(energy=True).getPotentialEnergy()
            energies.append(energy.value_in_unit(unit.kilojoule_per_mole))
        return np.array(energies)

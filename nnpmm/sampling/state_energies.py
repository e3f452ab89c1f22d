"""The energies of a configuration in many states, without repeated evaluations.

States differ in global parameters on which few forces depend. Each force group is evaluated once
for each distinct set of values of its parameters. In a ladder that scales charges and
Lennard-Jones interactions, a network is thus evaluated once for all states. So is an ATMForce,
because the energy of every state is a function of the two energies that it interpolates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.errors import ConfigError
from nnpmm.sampling.transfer_energies import TransferEnergies

__all__ = ["StateEnergies", "separate_groups"]

_GROUPS = 32  # the number of force groups in OpenMM


class StateEnergies:
    """Evaluates the configuration of a context in many states.

    Args:
        context: a context whose System has every parameter of the states.
        states: values of global parameters; all states have the same parameters.

    Raises:
        ConfigError: the states have different parameters, or the context lacks one.
    """

    def __init__(self, context: openmm.Context, states: Sequence[Mapping[str, float]]) -> None:
        self.states = [dict(state) for state in states]
        known = set(context.getParameters())
        names = set(self.states[0]) if self.states else set()
        for number, state in enumerate(self.states):
            if set(state) != names or not names <= known:
                raise ConfigError(
                    f"state {number}: found the parameters {sorted(state)}, allowed: the same in "
                    f"all states, out of {sorted(known)}"
                )
        self._context = context
        self._plan = _plan(context.getSystem(), self.states)
        self._transfers = [
            TransferEnergies(context, force)
            for force in _separate_transfers(context.getSystem(), self._plan)
        ]

    def apply(self, index: int) -> None:
        """Set the parameters of a state in the context."""
        self._set(self.states[index])

    def evaluate(self) -> NDArray[np.float64]:
        """Return the energies (K,) of the configuration, kJ/mol, and change the parameters."""
        energies = np.zeros(len(self.states))
        for group, cases in self._plan.items():
            for values, members in cases:
                self._set(dict(values))
                state = self._context.getState(energy=True, groups={group})
                energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
                energies[members] += energy
        for transfer in self._transfers:
            energies += transfer.evaluate(self.states)
        return energies

    def _set(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._context.setParameter(name, value)


def _separate_transfers(system: openmm.System, plan: dict[int, Any]) -> list[openmm.ATMForce]:
    """Return ATMForces that have a group of their own, and remove these groups from the plan."""
    members: dict[int, list[openmm.Force]] = {}
    for force in system.getForces():
        members.setdefault(force.getForceGroup(), []).append(force)
    found = []
    for group, forces in members.items():
        if len(forces) == 1 and isinstance(forces[0], openmm.ATMForce):
            found.append(forces[0])
            del plan[group]
    return found


_Values = tuple[tuple[str, float], ...]


def _plan(
    system: openmm.System, states: Sequence[Mapping[str, float]]
) -> dict[int, list[tuple[_Values, list[int]]]]:
    """Return for each group the distinct parameter values, each with the states that have them."""
    wanted = set(states[0])
    needed: dict[int, set[str]] = {}
    for force in system.getForces():
        groups = {force.getForceGroup()}
        if isinstance(force, openmm.NonbondedForce) and force.getReciprocalSpaceForceGroup() >= 0:
            groups.add(force.getReciprocalSpaceForceGroup())
        for group in groups:
            needed.setdefault(group, set()).update(_parameters(force, wanted))
    plan = {}
    for group, names in needed.items():
        cases: dict[_Values, list[int]] = {}
        for index, state in enumerate(states):
            values = tuple((name, state[name]) for name in sorted(names))
            cases.setdefault(values, []).append(index)
        plan[group] = list(cases.items())
    return plan


def separate_groups(system: openmm.System, parameters: Iterable[str]) -> None:
    """Give forces that depend on different parameters different force groups, in place.

    `StateEnergies` then evaluates each group as rarely as possible. Forces that depend on none of
    the parameters keep their groups.

    Args:
        system: the System; a context must be created after this call.
        parameters: names of the global parameters in which the states differ.

    Raises:
        ConfigError: there are not enough unused force groups.
    """
    wanted, used = set(parameters), set()
    kinds: dict[frozenset[str], list[openmm.Force]] = {}
    for force in system.getForces():
        names = frozenset(_parameters(force, wanted))
        if names:
            kinds.setdefault(names, []).append(force)
        else:
            used.add(force.getForceGroup())
    free = [group for group in range(_GROUPS) if group not in used]
    if len(kinds) > len(free):
        raise ConfigError(
            f"found {len(kinds)} kinds of forces that depend on the states' parameters and "
            f"{len(free)} free force groups; put other forces into fewer groups"
        )
    for group, forces in zip(free, kinds.values(), strict=False):
        for force in forces:
            force.setForceGroup(group)
            if isinstance(force, openmm.NonbondedForce):
                force.setReciprocalSpaceForceGroup(-1)


def _parameters(force: openmm.Force, wanted: set[str]) -> set[str]:
    """Return the wanted global parameters on which a force depends."""
    if isinstance(force, openmm.PythonForce):
        return wanted & set(force.getGlobalParameters())
    if isinstance(force, openmm.AmoebaVdwForce):
        decoupled = force.getAlchemicalMethod() != openmm.AmoebaVdwForce._None
        return wanted & {force.Lambda()} if decoupled else set()
    if type(force) is openmm.Force:  # from a plug-in; Python cannot see its parameters
        return wanted
    if not hasattr(force, "getNumGlobalParameters"):
        return set()
    names = {force.getGlobalParameterName(i) for i in range(force.getNumGlobalParameters())}
    if isinstance(force, openmm.CustomCVForce):
        for index in range(force.getNumCollectiveVariables()):
            names |= _parameters(force.getCollectiveVariable(index), wanted)
    return wanted & names

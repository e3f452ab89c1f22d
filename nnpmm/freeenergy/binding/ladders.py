"""The ladders of a binding free energy: their Systems, and their states with names.

The complex goes from the bound ligand to the ligand that is restrained and decoupled, the ligand in
water from full interaction to none. As for a solvation free energy (`nnpmm.freeenergy.solvation`),
one ladder can give the values of both potentials::

    network -> force field -> restraint on -> charges off -> Lennard-Jones off -> network
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import openmm
from openmm import unit

from nnpmm.freeenergy.alchemy import AlchemicalState, decouple, decoupling_schedule
from nnpmm.freeenergy.binding.boresch import LAMBDA_RESTRAINTS, create_restraint_force
from nnpmm.freeenergy.binding.pilot import Pilot
from nnpmm.freeenergy.binding.settings import BindingSettings
from nnpmm.freeenergy.binding.site import Solute
from nnpmm.freeenergy.legs import INSIDE, LadderName, Leg, create_leg_system, fingerprint
from nnpmm.structures import MMSystem

__all__ = [
    "LegName",
    "LegState",
    "complex_leg",
    "lambda_values",
    "leg_states",
    "solvent_leg",
]

LegName = Literal["complex", "solvent"]


@dataclass(frozen=True)
class LegState:
    """A state of a ladder.

    Attributes:
        alchemical: couplings of the ligand and its environment, and weight of the network.
        restraint: factor of the restraint; None for the ligand in water.
    """

    alchemical: AlchemicalState
    restraint: float | None = None

    @property
    def parameters(self) -> dict[str, float]:
        """Values of the global parameters of a context."""
        values = self.alchemical.parameters
        return values if self.restraint is None else {**values, LAMBDA_RESTRAINTS: self.restraint}

    @property
    def name(self) -> str:
        """Name in reports, such as ``"restraint 0.05"``, ``"q 0.5"`` or ``"LJ 0.3"``."""
        state = self.alchemical
        if state.nnp:
            return f"NNP {state.nnp:g}" if state.sterics else f"NNP {state.nnp:g}, none"
        if state.sterics < 1:
            return f"LJ {state.sterics:g}"
        if self.restraint is not None and state.electrostatics == 1:
            return f"restraint {self.restraint:g}"
        return f"q {state.electrostatics:g}"


def leg_states(settings: BindingSettings, leg: LegName, ladder: LadderName) -> tuple[LegState, ...]:
    """Return the states of a ladder, from full interaction to none."""
    lambdas = settings.complex_ladder if leg == "complex" else settings.solvent_ladder
    schedule = decoupling_schedule(lambdas.electrostatics, lambdas.sterics)
    nnp = 0.0 if ladder == "joint" else None
    pairs = [(state.electrostatics, state.sterics) for state in schedule]
    if leg == "solvent":
        states = [LegState(AlchemicalState(*pair, nnp)) for pair in pairs]
    else:
        restraints = settings.complex_ladder.restraints
        states = [LegState(AlchemicalState(1, 1, nnp), value) for value in restraints]
        # The last of these states has full interaction and the full restraint.
        states += [LegState(AlchemicalState(*pair, nnp), 1.0) for pair in pairs[1:]]
    if ladder != "joint":
        return tuple(states)
    first, last = states[0].restraint, states[-1].restraint
    return (
        *(LegState(AlchemicalState(1, 1, w), first) for w in reversed(settings.network)),
        *states,
        *(LegState(AlchemicalState(0, 0, w), last) for w in settings.network),
    )


def lambda_values(states: tuple[LegState, ...]) -> dict[str, list[float]]:
    """Return the couplings of each state, by alchemlyb's names."""
    found = {
        "coul": [state.alchemical.electrostatics for state in states],
        "vdw": [state.alchemical.sterics for state in states],
    }
    if states[0].restraint is not None:
        found["restraint"] = [state.restraint or 0.0 for state in states]
    if states[0].alchemical.nnp is not None:
        found["nnp"] = [state.alchemical.nnp or 0.0 for state in states]
    return found


def complex_leg(
    settings: BindingSettings, mm: MMSystem, pilot: Pilot, solute: Solute, ladder: LadderName
) -> Leg:
    """Return a ladder of the complex, which starts where the short run ended.

    The energy of the last state without the restraint is evaluated too, so that the energy of the
    restraint is known in every state. A ligand that leaves its site ends sampling.

    Args:
        settings: settings of the calculation.
        mm: the complex.
        pilot: the short run with its restraint.
        solute: receptor and ligand.
        ladder: its name.

    Raises:
        NnpmmError: the network or the coupling is not usable, or the time step is too long.
    """
    assert mm.ligand_atoms is not None  # the complex was loaded with them
    system = decouple(create_leg_system(settings, mm, INSIDE[ladder]), mm.ligand_atoms)
    system.addForce(create_restraint_force(pilot.restraint, periodic=True))
    states = leg_states(settings, "complex", ladder)
    nnp = 0.0 if ladder == "joint" else None
    released = LegState(AlchemicalState(0, 0, nnp), 0.0)
    return Leg(
        system,
        pilot.moved(mm),
        tuple(state.parameters for state in states),
        tuple(state.name for state in states),
        fingerprint(settings, "complex", ladder, pilot.restraint.model_dump_json()),
        evaluated=(released.parameters,),
        watch=_site_watch(pilot, solute),
    )


def solvent_leg(settings: BindingSettings, box: MMSystem, ladder: LadderName) -> Leg:
    """Return a ladder of the ligand in water.

    Args:
        settings: settings of the calculation.
        box: the ligand in its water.
        ladder: its name.

    Raises:
        NnpmmError: the network or the coupling is not usable, or the time step is too long.
    """
    assert box.ligand_atoms is not None  # the box was built around them
    system = decouple(create_leg_system(settings, box, INSIDE[ladder]), box.ligand_atoms)
    states = leg_states(settings, "solvent", ladder)
    return Leg(
        system,
        box,
        tuple(state.parameters for state in states),
        tuple(state.name for state in states),
        fingerprint(settings, "solvent", ladder),
    )


def _site_watch(pilot: Pilot, solute: Solute) -> Callable[[openmm.Context], None]:
    """Return a function that raises an error if the ligand has left its site."""

    def watch(context: openmm.Context) -> None:
        state = context.getState(positions=True)
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        box = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)
        of_solute = solute.positions(np.asarray(positions), np.asarray(box))
        pilot.site.require_bound(of_solute, "while the ladder of the complex was sampled")

    return watch

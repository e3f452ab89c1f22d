"""The ladders of a solvation free energy: their Systems, and their states with names.

One ladder can give the values of both potentials. It starts from the network in the solvent, goes
to the force field there, decouples the molecule, and goes back to the network. Its ends differ by
the network's solvation free energy, the force field's states by that of the force field::

    network, coupled -> force field, coupled -> ... -> force field, none -> network, none

The decoupling, which both have in common, cancels in their difference, so the error of the
difference comes only from the two short paths between the potentials. If the force field's value is
known, these two paths are enough: one in the solvent, and one of the molecule in vacuum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nnpmm.coupling import LAMBDA_NNP
from nnpmm.freeenergy.alchemy import AlchemicalState, decouple, decoupling_schedule
from nnpmm.freeenergy.legs import Leg, create_leg_system, fingerprint
from nnpmm.freeenergy.solvation.settings import LadderName, SolvationSettings
from nnpmm.structures import MMSystem

__all__ = ["create_leg", "lambda_values", "state_names"]

_INSIDE: dict[LadderName, Literal["network", "force field", "both"]] = {
    "network": "network",
    "force field": "force field",
    "joint": "both",
    "reweighting": "both",
    "solvent": "both",
    "vacuum": "both",
}
# Ladders between the two potentials, without decoupling.
_PATHS = ("solvent", "vacuum")


def create_leg(settings: SolvationSettings, box: MMSystem, ladder: LadderName) -> Leg:
    """Return one of the ladders that `SolvationSettings.ladders` names.

    Args:
        settings: settings of the calculation.
        box: the solvated solute; for the ladder in vacuum, the solute alone.
        ladder: its name.

    Raises:
        NnpmmError: the network or the coupling is not usable, or the time step is too long.
    """
    assert box.ligand_atoms is not None  # the box was built around it
    # In vacuum there are no surroundings to couple to.
    coupling = None if ladder == "vacuum" else settings.coupling
    system = create_leg_system(settings, box, _INSIDE[ladder], coupling=coupling)
    if ladder not in _PATHS:
        system = decouple(system, box.ligand_atoms, charged=True)
    ends = (AlchemicalState(1, 1, 1), AlchemicalState(0, 0, 1)) if ladder == "reweighting" else ()
    return Leg(
        system,
        box,
        _parameters(_states(settings, ladder), ladder),
        state_names(settings, ladder),
        fingerprint(settings, ladder),
        evaluated=_parameters(ends, ladder),
    )


def state_names(settings: SolvationSettings, ladder: LadderName) -> tuple[str, ...]:
    """Return the names of the states of a ladder, such as ``"q 0.5"`` or ``"LJ 0.3"``."""
    states = _states(settings, ladder)
    if ladder in _PATHS:
        return tuple(f"NNP {state.nnp:g}" for state in states)
    return tuple(_name(state) for state in states)


def lambda_values(settings: SolvationSettings, ladder: LadderName) -> dict[str, list[float]]:
    """Return the couplings of each state, by alchemlyb's names."""
    states = _states(settings, ladder)
    found = {
        "coul": [state.electrostatics for state in states],
        "vdw": [state.sterics for state in states],
    }
    if states[0].nnp is not None:
        found["nnp"] = [state.nnp or 0.0 for state in states]
    return found


def _states(settings: SolvationSettings, ladder: LadderName) -> tuple[AlchemicalState, ...]:
    lambdas = settings.ladder
    schedule = decoupling_schedule(lambdas.charge_factors(), lambdas.sterics)
    if ladder in ("network", "force field"):
        return schedule
    if ladder in _PATHS:
        return tuple(AlchemicalState(1, 1, weight) for weight in (*settings.network[::-1], 0.0))
    middle = [AlchemicalState(state.electrostatics, state.sterics, 0) for state in schedule]
    weights = settings.network if ladder == "joint" else ()
    return (
        *(AlchemicalState(1, 1, weight) for weight in reversed(weights)),
        *middle,
        *(AlchemicalState(0, 0, weight) for weight in weights),
    )


def _name(state: AlchemicalState) -> str:
    if state.nnp:
        return f"NNP {state.nnp:g}" if state.sterics else f"NNP {state.nnp:g}, none"
    return f"q {state.electrostatics:g}" if state.sterics == 1 else f"LJ {state.sterics:g}"


def _parameters(
    states: Sequence[AlchemicalState], ladder: LadderName
) -> tuple[dict[str, float], ...]:
    if ladder in _PATHS:
        return tuple({LAMBDA_NNP: state.nnp or 0.0} for state in states)
    return tuple(state.parameters for state in states)

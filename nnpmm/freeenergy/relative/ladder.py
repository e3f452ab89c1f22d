"""The ladders of one pair of ligands.

One ladder can give the values of both potentials. It starts from the network before the transfer,
goes to the force field, exchanges the ligands, and goes back to the network::

    network -> force field -> ... transfer ... -> force field, transferred -> network, transferred
"""

from __future__ import annotations

import openmm
from openmm import unit

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import SimulationError
from nnpmm.coupling import LAMBDA_NNP
from nnpmm.freeenergy.legs import INSIDE, LadderName, Leg, create_leg_system, fingerprint
from nnpmm.freeenergy.relative.box import TransferBox
from nnpmm.freeenergy.relative.restraints import SITE, add_restraints
from nnpmm.freeenergy.relative.settings import RelativeSettings
from nnpmm.freeenergy.relative.states import TransferState, transfer_schedule
from nnpmm.freeenergy.relative.transfer import create_transfer_system

__all__ = ["create_transfer_leg", "lambda_values", "state_names"]

# kT; at a higher energy of the restraint to the site, the ligand has left the site.
_HIGHEST_ENERGY = 5.0


def create_transfer_leg(settings: RelativeSettings, box: TransferBox, ladder: LadderName) -> Leg:
    """Return a ladder from the first ligand in the site to the second.

    Args:
        settings: settings of the calculation.
        box: the box of the pair.
        ladder: one of those that `RelativeSettings.ladders` names.

    Raises:
        NnpmmError: the network or the coupling is not usable, the time step is too long, or the
            ligands cannot change places.
    """
    assert box.mm.ligand_atoms is not None  # the box was built around it
    ligands = (box.mm.ligand_atoms, box.second)
    system = create_leg_system(settings, box.mm, INSIDE[ladder], ligands)
    anchors = (box.restraints.first[0], box.restraints.second[0])
    system = create_transfer_system(system, *ligands, anchors)
    add_restraints(system, box.restraints)
    _separate_site_restraint(system)
    states = tuple(
        state.parameters if weight is None else {**state.parameters, LAMBDA_NNP: weight}
        for state, weight in _states(settings, ladder)
    )
    return Leg(
        system,
        box.mm,
        states,
        state_names(settings, ladder),
        fingerprint(settings, ladder),
        watch=_SiteWatch(settings.temperature),
    )


def state_names(settings: RelativeSettings, ladder: LadderName) -> tuple[str, ...]:
    """Return the names of the states: the progress of the transfer, and the network's weight."""
    return tuple(
        f"NNP {weight:g}, {state.progress:g}" if weight else f"{state.progress:.3g}"
        for state, weight in _states(settings, ladder)
    )


def lambda_values(settings: RelativeSettings, ladder: LadderName) -> dict[str, list[float]]:
    """Return the couplings of each state, by alchemlyb's names."""
    states = _states(settings, ladder)
    found = {"transfer": [state.progress for state, _ in states]}
    if ladder == "joint":
        found["nnp"] = [weight or 0.0 for _, weight in states]
    return found


def _states(
    settings: RelativeSettings, ladder: LadderName
) -> tuple[tuple[TransferState, float | None], ...]:
    """Return the states, each with the weight of the network where the ladder has both."""
    schedule = transfer_schedule(settings.ladder.half)
    if ladder != "joint":
        return tuple((state, None) for state in schedule)
    first, last = schedule[0], schedule[-1]
    return (
        *((first, weight) for weight in reversed(settings.network)),
        *((state, 0.0) for state in schedule),
        *((last, weight) for weight in settings.network),
    )


def _separate_site_restraint(system: openmm.System) -> None:
    """Give the restraint to the site a force group of its own, in place."""
    forces = system.getForces()
    (site,) = (force for force in forces if force.getName() == SITE)
    used = {force.getForceGroup() for force in forces if force.getName() != SITE}
    site.setForceGroup(max(set(range(32)) - used))


class _SiteWatch:
    """Refuses a configuration in which the restraint to the site has a high energy."""

    def __init__(self, temperature: float) -> None:
        self._highest = _HIGHEST_ENERGY * GAS_CONSTANT * temperature

    def __call__(self, context: openmm.Context) -> None:
        (group,) = (
            force.getForceGroup()
            for force in context.getSystem().getForces()
            if force.getName() == SITE
        )
        state = context.getState(energy=True, groups={group})
        energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        if energy > self._highest:
            raise SimulationError(
                f"a ligand left the site: its restraint has an energy of {energy:.1f} kJ/mol, "
                f"allowed: {self._highest:.1f}; check the poses, equilibrate longer, or allow a "
                "larger site_radius"
            )

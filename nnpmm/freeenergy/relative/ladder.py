"""The ladder of one pair of ligands."""

from __future__ import annotations

import openmm
from openmm import unit

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import SimulationError
from nnpmm.freeenergy.legs import Leg, PotentialName, create_leg_system, fingerprint
from nnpmm.freeenergy.relative.box import TransferBox
from nnpmm.freeenergy.relative.restraints import SITE, add_restraints
from nnpmm.freeenergy.relative.settings import RelativeSettings
from nnpmm.freeenergy.relative.states import transfer_schedule
from nnpmm.freeenergy.relative.transfer import create_transfer_system

__all__ = ["create_transfer_leg", "state_names"]

# kT of the restraint to the site, at which the ligand has gone as far as it can.
_LEFT = 5.0


def create_transfer_leg(
    settings: RelativeSettings, box: TransferBox, potential: PotentialName
) -> Leg:
    """Return the ladder from the first ligand in the site to the second.

    Args:
        settings: of the calculation.
        box: of the pair.
        potential: what describes the inside of both ligands.

    Raises:
        NnpmmError: the network or the coupling is not usable, the time step is too long, or the
            ligands cannot change places.
    """
    assert box.mm.ligand_atoms is not None  # the box was built around it
    ligands = (box.mm.ligand_atoms, box.second)
    system = create_leg_system(settings, box.mm, potential, ligands)
    anchors = (box.restraints.first[0], box.restraints.second[0])
    system = create_transfer_system(system, *ligands, anchors)
    add_restraints(system, box.restraints)
    _own_group(system)
    states = tuple(state.parameters for state in transfer_schedule(settings.ladder.half))
    return Leg(
        *(system, box.mm, states, fingerprint(settings, potential)),
        watch=_Watch(settings.temperature),
    )


def state_names(settings: RelativeSettings) -> tuple[str, ...]:
    """Return what the states are called: how far the transfer is, from 0 to 1."""
    return tuple(f"{state.progress:.3g}" for state in transfer_schedule(settings.ladder.half))


def _own_group(system: openmm.System) -> None:
    """Give the restraint to the site a force group of its own, in place."""
    forces = system.getForces()
    (site,) = (force for force in forces if force.getName() == SITE)
    used = {force.getForceGroup() for force in forces if force.getName() != SITE}
    site.setForceGroup(max(set(range(32)) - used))


class _Watch:
    """Refuses a configuration in which the ligand in the site presses against its bounds."""

    def __init__(self, temperature: float) -> None:
        self._most = _LEFT * GAS_CONSTANT * temperature

    def __call__(self, context: openmm.Context) -> None:
        (group,) = (
            force.getForceGroup()
            for force in context.getSystem().getForces()
            if force.getName() == SITE
        )
        state = context.getState(energy=True, groups={group})
        energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        if energy > self._most:
            raise SimulationError(
                f"a ligand left the site: its restraint has an energy of {energy:.1f} kJ/mol, "
                f"allowed: {self._most:.1f}; check the poses, equilibrate longer, or allow a "
                "larger site_radius"
            )

"""The two ladders of a solvation free energy with AMOEBA: their Systems and states.

The first ladder scales multipoles and polarization between solute and solvent to zero, the second
one the buffered 14-7 pairs (`nnpmm.freeenergy.alchemy.decouple_amoeba`). The free energy is the sum
of both. If both network and force field are requested, the first ladder starts, and the second
ends, with states that go from one potential to the other::

    network -> force field -> ... -> no multipoles,   no multipoles -> ... -> none -> network, none
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError
from nnpmm.coupling import LAMBDA_NNP, Interpolated, MultipleTimeSteps, Subtractive, couple
from nnpmm.freeenergy.alchemy import (
    AMOEBA_STERICS,
    LAMBDA_ELECTROSTATICS,
    Stage,
    decouple_amoeba,
    decoupling_schedule,
    refuse_net_charge,
)
from nnpmm.freeenergy.legs import Leg, fingerprint, load_network
from nnpmm.freeenergy.polarizable.settings import AmoebaSolvationSettings
from nnpmm.integrators import surroundings_limit
from nnpmm.structures import MMSystem, select_atoms
from nnpmm.structures.inputs import load_system

__all__ = ["State", "create_leg", "ladder_name", "load_box", "stage_states"]

_PARAMETERS: dict[Stage, str] = {
    "electrostatics": LAMBDA_ELECTROSTATICS,
    "sterics": AMOEBA_STERICS,
}
_LABELS: dict[Stage, str] = {"electrostatics": "multipoles", "sterics": "vdW"}


@dataclass(frozen=True)
class State:
    """One state of a ladder.

    Attributes:
        stage: which interaction is scaled.
        coupling: its factor, 0 to 1.
        nnp: weight of the network inside the solute; None in a ladder of one potential.
    """

    stage: Stage
    coupling: float
    nnp: float | None

    @property
    def name(self) -> str:
        """Name in reports."""
        if self.nnp:
            return f"NNP {self.nnp:g}"
        return f"{_LABELS[self.stage]} {self.coupling:g}"

    @property
    def parameters(self) -> dict[str, float]:
        """Values of the global parameters of a context."""
        values = {_PARAMETERS[self.stage]: self.coupling}
        return values if self.nnp is None else {**values, LAMBDA_NNP: self.nnp}


def stage_states(settings: AmoebaSolvationSettings, stage: Stage) -> tuple[State, ...]:
    """Return the states of one of the two ladders, from more to less interaction.

    Raises:
        ConfigError: values that do not fall from 1 to 0.
    """
    ladder = settings.ladder
    decoupling_schedule(ladder.electrostatics, ladder.sterics)  # checks the values
    joint = settings.inside == "joint"
    weights = settings.network if joint else ()
    first = 0.0 if joint else None
    if stage == "electrostatics":
        values = ladder.electrostatics
        lifted = [State(stage, 1.0, weight) for weight in reversed(weights)]
        return (*lifted, *(State(stage, value, first) for value in values))
    lifted = [State(stage, 0.0, weight) for weight in weights]
    return (*(State(stage, value, first) for value in (1.0, *ladder.sterics)), *lifted)


def ladder_name(settings: AmoebaSolvationSettings, stage: Stage) -> str:
    """Return the name of a ladder, such as ``"force field sterics"``; also of its folder."""
    return f"{settings.inside} {stage}"


def load_box(settings: AmoebaSolvationSettings) -> MMSystem:
    """Return the solute in its solvent, with the solute's atoms as ``ligand_atoms``.

    Raises:
        RegionError: the solute has a net charge.
        ConfigError: neither the settings nor the key file select a solute, or the time step is too
            long for the hydrogens.
        NnpmmError: the files cannot be read, see `nnpmm.structures.inputs.load_system`.
    """
    source = settings.system.model_copy(update={"hydrogen_mass": settings.hydrogen_mass})
    mm = load_system(source)
    limit = surroundings_limit(mm.system, mm.topology, impulse=True)
    if settings.timestep > limit.longest * (1 + 1e-9):
        raise ConfigError(
            f"timestep: found {settings.timestep * 1000:g} fs, allowed: up to "
            f"{limit.longest * 1000:g} fs, as {limit.reason}"
        )
    atoms = mm.ligand_atoms
    if settings.solute is not None:
        atoms = select_atoms(mm.topology, settings.solute)
    if atoms is None:
        raise ConfigError(
            "found no solute: give its atoms as 'solute', such as \"resname UNK\", or a key file "
            "with mlpot embedding and group 1"
        )
    refuse_net_charge(mm.system, atoms)  # before a network is loaded or a box compressed
    return MMSystem(mm.topology, mm.positions, mm.box_vectors, mm.system, ligand_atoms=atoms)


def create_leg(settings: AmoebaSolvationSettings, box: MMSystem, stage: Stage) -> Leg:
    """Return one of the two ladders.

    Args:
        settings: settings of the calculation.
        box: from `load_box`.
        stage: which interaction it scales.

    Raises:
        NnpmmError: the network, its coupling or the solute cannot be used.
    """
    assert box.ligand_atoms is not None  # the box was loaded with them
    system = _coupled_system(settings, box, box.ligand_atoms)
    system = decouple_amoeba(system, box.ligand_atoms, stage)
    states = stage_states(settings, stage)
    return Leg(
        system,
        box,
        tuple(state.parameters for state in states),
        tuple(state.name for state in states),
        fingerprint(settings, ladder_name(settings, stage)),
        inner_timestep=settings.inner_timestep,
    )


def _coupled_system(
    settings: AmoebaSolvationSettings, box: MMSystem, atoms: NDArray[np.int64]
) -> openmm.System:
    """Return the System before decoupling: that of the force field, or a hybrid one."""
    if not settings.creates_network:
        return box.system
    model = load_network(settings)
    inside = Interpolated() if settings.inside == "joint" else MultipleTimeSteps()
    coupling = Subtractive(inside=inside)
    return couple(box.system, box.topology, atoms, model, coupling=coupling).system

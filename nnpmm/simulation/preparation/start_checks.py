"""Check that a prepared system can start, with one evaluation before anything is written."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.errors import SimulationError
from nnpmm.simulation.preparation.prepared import PreparedSystem
from nnpmm.simulation.settings.config import ProtocolConfig
from nnpmm.simulation.stages.polarization import diverged_dipoles
from nnpmm.simulation.stages.stages import (
    create_context,
    create_stage_context,
    plan_stages,
    restrained_atoms,
)
from nnpmm.structures.selection import is_water

__all__ = ["check_restraint", "check_start", "describe_atoms"]

_LOGGER = logging.getLogger(__name__)


def check_start(
    prepared: PreparedSystem,
    settings: ProtocolConfig,
    platform: tuple[openmm.Platform, dict[str, str]],
) -> float:
    """Evaluate the starting positions once, as the first stage will.

    Args:
        prepared: the hybrid system; it is not changed.
        settings: of the run.
        platform: platform and its properties.

    Returns:
        The potential energy in kJ/mol, without self energies.

    Raises:
        SimulationError: OpenMM or the network refuses the system, or energy or forces are not
            finite.
    """
    context = _create(prepared, settings, platform)
    try:
        if settings.stages.minimize is None:
            context.applyConstraints(context.getIntegrator().getConstraintTolerance())
        state = context.getState(energy=True, forces=True)
    except openmm.OpenMMException as error:
        text = diverged_dipoles(context, error) or " ".join(str(error).split())
        raise SimulationError(f"the simulation cannot start: {text}") from error
    energy = float(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    bad = np.flatnonzero(~np.isfinite(np.asarray(forces)).all(axis=1))
    if not np.isfinite(energy) or bad.size:
        where = "" if not bad.size else f", first on {_name(prepared.mm.topology, int(bad[0]))}"
        raise SimulationError(
            f"the simulation cannot start: the potential energy is {energy:.6g} kJ/mol and "
            f"{bad.size} atoms have forces that are not finite{where}: atoms overlap in the input; "
            "give better starting coordinates"
        )
    return energy


def _create(
    prepared: PreparedSystem,
    settings: ProtocolConfig,
    platform: tuple[openmm.Platform, dict[str, str]],
) -> openmm.Context:
    try:
        return _first_context(prepared, settings, platform)
    except openmm.OpenMMException as error:
        text = " ".join(str(error).split())
        raise SimulationError(f"the simulation cannot start: {text}") from error


def _first_context(
    prepared: PreparedSystem,
    settings: ProtocolConfig,
    platform: tuple[openmm.Platform, dict[str, str]],
) -> openmm.Context:
    """Return a context like that of the minimisation or, without one, of the first stage."""
    if settings.stages.minimize is None:
        first = plan_stages(settings)[0]
        return create_stage_context(prepared, first, settings, platform, prepared.mm.positions)
    verlet = openmm.VerletIntegrator(0.001)  # a context needs an integrator
    return create_context(prepared, prepared.hybrid.system, verlet, platform)


def check_restraint(topology: app.Topology, settings: ProtocolConfig) -> None:
    """Check the selection of the warm-up's restraint, and report water in it.

    Args:
        topology: of the MM system.
        settings: of the run.

    Raises:
        SelectionError: the selection cannot be read or selects nothing.
    """
    warmup = settings.stages.warmup
    if warmup is None:
        return
    atoms = restrained_atoms(topology, warmup.restraint)
    listed = describe_atoms(topology, atoms)
    _LOGGER.info("the warm-up restrains %s", listed)
    every = list(topology.atoms())
    if any(is_water(every[k].residue) for k in atoms.tolist()):
        _LOGGER.warning(
            "stages.warmup.restraint: %r contains water too (%s)", warmup.restraint, listed
        )


def describe_atoms(topology: app.Topology, atoms: NDArray[np.int64]) -> str:
    """Return the number of atoms of each residue, for example ``12 of LIG, 800 of HOH``."""
    residues = [atom.residue.name for atom in topology.atoms()]
    counts = Counter(residues[k] for k in atoms.tolist()).most_common()
    listed = ", ".join(f"{count} of {name}" for name, count in counts[:8])
    return (listed or "no atoms") + (", ..." if len(counts) > 8 else "")


def _name(topology: app.Topology, index: int) -> str:
    atom = next(a for a in topology.atoms() if a.index == index)
    return f"{atom.name} of {atom.residue.name} {atom.residue.id}"

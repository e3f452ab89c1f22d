"""Two time steps on LAMMPS: its force field at every step, the network's correction at some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from openmm.app import Element

from nnpmm.core.errors import ConfigError
from nnpmm.engines.lammps.parallel import communicator, on_every_rank
from nnpmm.engines.lammps.simulation import LammpsSimulation, attach_network
from nnpmm.models.local import local_potential
from nnpmm.models.protocol import Potential

if TYPE_CHECKING:
    from mpi4py import MPI

__all__ = ["apply_network"]


def apply_network(
    engine: Any,
    model: Potential,
    elements: Sequence[str],
    *,
    every: int,
    comm: MPI.Comm | None = None,
) -> LammpsSimulation:
    """Let a network describe every atom of a LAMMPS with a force field; all ranks call this.

    The force field integrates at LAMMPS' time step. At every so many steps the difference of the
    two forces acts as an impulse (M. Tuckerman et al., J. Chem. Phys. 1992, 97, 1990), so that the
    energy of the network is conserved, in ``f_network[2]`` of the output. Energy and pressure that
    LAMMPS itself prints are those of the force field. Run a multiple of these steps.

    Args:
        engine: a ``lammps.lammps`` in units real with atoms and all forces, and no fix yet.
        model: the network.
        elements: symbol of each atom type, in their order.
        every: steps of the force field in one of the network; 1: the network at every step.
        comm: the ranks of the engine; None: all.

    Raises:
        OptionalDependencyError: LAMMPS, MPI or mpi4py is missing.
        ConfigError: other units, fixes, or another number of types; a step of the network shorter
            than one of the force field; or a domain that is narrower than the network's range.
        ModelError: the network cannot be evaluated for part of a system.
        RegionError: an element that the network does not know.
    """
    comm = communicator() if comm is None else comm
    _check(engine, elements, every)
    potential = on_every_rank(comm, lambda: local_potential(model, sorted(set(elements))))
    numbers = np.array([0, *(Element.getBySymbol(e).atomic_number for e in elements)], np.int64)
    engine.command("run_style verlet")
    return attach_network(engine, comm, potential, numbers, every)


def _check(engine: Any, elements: Sequence[str], every: int) -> None:
    if every < 1:
        raise ConfigError(f"found every={every}, allowed: 1 or more steps of the force field")
    units = engine.extract_global("units")
    if units != "real":
        raise ConfigError(f"found the units {units!r} in LAMMPS, allowed: real")
    types = engine.extract_setting("ntypes")
    if types != len(elements):
        raise ConfigError(
            f"found {len(elements)} elements for {types} atom types of LAMMPS; give one for each"
        )
    fixes = engine.available_ids("fix")
    if fixes:
        raise ConfigError(
            f"found the fix {fixes[0]!r} in LAMMPS, allowed: none yet, since the forces of earlier "
            "fixes would count as the force field's; define fixes afterwards"
        )

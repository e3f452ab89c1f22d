"""The network as a force of LAMMPS: what ``fix external`` calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import NnpmmError, SimulationError
from nnpmm.engines.lammps.ghosts import GhostExchange
from nnpmm.engines.lammps.units import FORCE_UNIT, NM_PER_ANGSTROM
from nnpmm.models.local import (
    LocalPotential,
    find_neighbourhoods,
    forces_on_atoms,
    virial,
)

if TYPE_CHECKING:
    from mpi4py import MPI

__all__ = ["FIX", "NetworkForce"]

#: Name of the fix in LAMMPS' commands and output; ``f_network[1]`` is the spread of the members,
#: ``f_network[2]`` the energy.
FIX = "network"
# xx, yy, zz, xy, xz, yz, as LAMMPS numbers them.
_COMPONENTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


class NetworkForce:
    """Energies, forces and virial of the atoms that this rank owns.

    Args:
        lammps: the instance, in units real.
        comm: its ranks.
        potential: of all atoms.
        numbers: (types + 1,), atomic number of each LAMMPS type; types count from 1.
        every: None: the network is the only force. Otherwise LAMMPS has its own force field, and
            once in this many steps receives the difference of the two forces, times this number.

    Attributes:
        every: as given.
        wants_to_stop: whether this rank asks the run to end after this step.
        on_step: is called with the number of each step.
        failure: what ended the run, on all ranks, or None.
        member_energies: (m,), kJ/mol, of the last step, of the whole system.
    """

    def __init__(
        self,
        lammps: Any,
        comm: MPI.Comm,
        potential: LocalPotential,
        numbers: NDArray[np.int64],
        every: int | None = None,
    ) -> None:
        self._lammps, self._comm, self.every = lammps, comm, every
        self._potential, self._numbers = potential, numbers
        self._exchange = GhostExchange(comm)
        self.wants_to_stop: Callable[[], bool] = lambda: False
        self.on_step: Callable[[int], None] = lambda step: None
        self.failure: NnpmmError | None = None
        self.member_energies = np.zeros(0)

    def attach(self) -> None:
        """Define the fix that calls this object."""
        every, alone = self.every or 1, "yes" if self.every is None else "no"
        self._lammps.commands_list(
            [
                f"fix {FIX} all external pf/callback {every} {every}",
                f"fix_modify {FIX} energy {alone} virial {alone}",
            ]
        )
        self._lammps.fix_external_set_vector_length(FIX, 2)
        self._lammps.set_fix_external_callback(FIX, self, None)

    def __call__(
        self,
        caller: Any,
        step: int,
        n_owned: int,
        tags: Any,
        positions: NDArray[np.float64],
        forces: NDArray[np.float64],
    ) -> None:
        """Write the forces on this rank's atoms, kcal/mol/angstrom, and set energy and virial."""
        # An exception would be lost in LAMMPS' compiled code, and the other ranks would wait.
        failure: NnpmmError | None = None
        own_forces, sums = None, np.zeros(0)
        try:
            own_forces, sums = self._evaluate(n_owned)
        except NnpmmError as error:
            failure = error
        except Exception as error:  # a bug, which must not leave the other ranks waiting either
            failure = SimulationError(f"step {step}: {type(error).__name__}: {error}")
        all_tags = self._all_tags(n_owned)
        changed = self._exchange.has_changed(all_tags, n_owned)
        flags = np.array([changed, self.wants_to_stop(), failure is not None], np.int32)
        self._comm.Allreduce(self._in_place, flags)
        if flags[2]:
            self._fail(failure, forces)
            return
        if flags[0]:
            self._exchange.make_plan(all_tags, n_owned)
        assert own_forces is not None
        self._comm.Allreduce(self._in_place, sums)
        if not np.isfinite(sums).all():
            failure = SimulationError(
                f"step {step}: found an energy that is not a finite number; the simulation has "
                "blown up: minimise further or use a smaller time step"
            )
            self._fail(failure, forces)
            return
        forces[:] = self._exchange.add_up(own_forces) / FORCE_UNIT
        if self.every is not None:
            # Verlet with an impulse (H. Grubmüller et al., Mol. Simul. 1991, 6, 121): half of it
            # ends an outer step, the other half begins the next one. LAMMPS has added up the
            # forces of its force field by now.
            forces -= self._lammps.numpy.extract_atom("f", nelem=n_owned)
            forces *= self.every
        self._set_results(sums)
        self.on_step(step)
        if flags[1]:
            self._lammps.force_timeout()

    @property
    def _in_place(self) -> Any:
        from mpi4py import MPI

        return MPI.IN_PLACE

    def _all_tags(self, n_owned: int) -> NDArray[np.integer]:
        """Return the tags of the owned atoms and then of the ghosts; LAMMPS passes the former."""
        n_atoms = n_owned + self._lammps.extract_setting("nghost")
        tags: NDArray[np.integer] = self._lammps.numpy.extract_atom("id", nelem=n_atoms).ravel()
        return tags

    def _evaluate(self, n_owned: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the forces on owned atoms and ghosts, and what is to be summed over ranks.

        The latter are the member energies and the six components of the virial.
        """
        n_atoms = n_owned + self._lammps.extract_setting("nghost")
        array = self._lammps.numpy.extract_atom
        positions = array("x", nelem=n_atoms) * NM_PER_ANGSTROM
        numbers = self._numbers[array("type", nelem=n_atoms).ravel()]
        if not np.isfinite(positions).all():
            raise SimulationError(
                "found a position that is not a finite number; the simulation has blown up: "
                "minimise further or use a smaller time step"
            )
        neighbourhoods = find_neighbourhoods(positions, n_owned, self._potential.cutoff)
        found = self._potential.evaluate(numbers, neighbourhoods)
        forces = forces_on_atoms(neighbourhoods, found.gradients, n_atoms)
        tensor = virial(neighbourhoods, found.gradients)
        components = [tensor[place] for place in _COMPONENTS]
        return forces, np.concatenate([found.member_energies, components])

    def _set_results(self, sums: NDArray[np.float64]) -> None:
        """Set energy, virial and vector of the fix: those of the whole system, on every rank."""
        self.member_energies = sums[:-6]
        energy = float(self.member_energies.mean()) / KJ_PER_KCAL
        self._lammps.fix_external_set_energy_global(FIX, energy)
        self._lammps.fix_external_set_virial_global(FIX, (sums[-6:] / KJ_PER_KCAL).tolist())
        spread = self.member_energies.std(ddof=1) if len(self.member_energies) > 1 else 0.0
        self._lammps.fix_external_set_vector(FIX, 1, float(spread) / KJ_PER_KCAL)
        self._lammps.fix_external_set_vector(FIX, 2, energy)

    def _fail(self, failure: NnpmmError | None, forces: NDArray[np.float64]) -> None:
        """End the run on all ranks with the error of the first rank that has one."""
        failures = self._comm.allgather(failure)
        self.failure = next(each for each in failures if each is not None)
        forces[:] = 0
        self._lammps.force_timeout()

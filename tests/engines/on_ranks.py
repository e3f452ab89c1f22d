"""Run by mpirun in test_lammps_ranks.py: writes what rank 0 sees to the file that is named."""

from __future__ import annotations

import sys

import numpy as np
from mpi4py import MPI
from water_boxes import flexible_water, network_energy, water

from nnpmm import _version, load_model
from nnpmm.core.errors import NnpmmError
from nnpmm.engines.lammps import (
    apply_network,
    communicator,
    create_simulation,
    system_from_topology,
)
from nnpmm.engines.lammps.ghosts import GhostExchange


def simulate(fixes: list[str]) -> dict[str, np.ndarray]:
    """Return energies, pressures and forces before and after some steps."""
    model = load_model("ANI-1x", members=[0, 1], precision="double", threads=1, backend="cpu")
    comm = communicator()
    system = system_from_topology(*water(5, skewed=True)) if comm.rank == 0 else None
    with create_simulation(system, model, comm=comm) as simulation:
        simulation.commands(
            "timestep 0.5", "velocity all create 300 5 dist gaussian loop all", *fixes, "run 0"
        )
        first = simulation.potential_energy, simulation.pressure
        forces = simulation.gathered()[2]
        simulation.commands("run 30")
        found = {
            "first": np.array(first),
            "forces": forces,
            "last": np.array([simulation.potential_energy, simulation.pressure]),
            "positions": simulation.gathered()[0],
            "members": simulation.force.member_energies,
            "owned": np.array(comm.allgather(simulation.lammps.extract_setting("nlocal"))),
        }
        # Atoms come and go: more than one plan was needed.
        assert simulation.lammps.extract_global("ntimestep") == 30
    return found


def levels() -> dict[str, np.ndarray]:
    """Return where a network at every third step of a force field leads to."""
    model = load_model("ANI-1x", members=[0], precision="double", threads=1, backend="cpu")
    comm = communicator()
    with flexible_water(5, comm) as engine:
        simulation = apply_network(engine, model, ["O", "H"], every=3, comm=comm)
        simulation.commands("timestep 0.25", "fix motion all nve", "run 15")
        return {
            "positions": simulation.gathered()[0],
            "members": simulation.force.member_energies,
            "printed": np.array(network_energy(engine)),
        }


def ghost_sums() -> np.ndarray:
    """Return the difference of forces added up by the exchange from those added up by hand."""
    comm = MPI.COMM_WORLD
    generator = np.random.default_rng(4)
    n_atoms, worst = 40, 0.0
    exchange = GhostExchange(comm)
    for _ in range(3):
        owner = generator.integers(comm.size, size=n_atoms)  # the same on all ranks
        ghosts = [generator.integers(n_atoms, size=60) for _ in range(comm.size)]
        tags = np.concatenate([np.flatnonzero(owner == comm.rank), ghosts[comm.rank]]) + 1
        n_owned = int((owner == comm.rank).sum())
        forces = np.random.default_rng(comm.rank).normal(size=(len(tags), 3))
        assert exchange.has_changed(tags, n_owned)
        exchange.make_plan(tags, n_owned)
        assert not exchange.has_changed(tags, n_owned)
        total = np.zeros((n_atoms, 3))
        np.add.at(total, tags - 1, forces)
        total = comm.allreduce(total)
        difference = exchange.add_up(forces) - total[tags[:n_owned] - 1]
        worst = max(worst, comm.allreduce(np.abs(difference).max(initial=0), op=MPI.MAX))
    return np.array([worst])


def refusals(what: str) -> np.ndarray:
    """Return the errors of all ranks where rank 1 has no LAMMPS, or another version of nnpmm."""
    comm = MPI.COMM_WORLD
    if comm.rank == 1:
        if what == "lammps":
            sys.modules["lammps"] = None
        else:
            _version.__version__ = "0.0.1"
    try:
        communicator()
    except NnpmmError as error:
        return np.array(comm.gather(f"{type(error).__name__}: {error}"))
    raise AssertionError("the ranks were taken")


def main() -> None:
    what, path = sys.argv[1:]
    if what == "ghosts":
        found = {"worst": ghost_sums()}
    elif what == "levels":
        found = levels()
    elif what in ("lammps", "versions"):
        found = {"errors": refusals(what)}
    else:
        fixes = {
            "nve": ["fix motion all nve"],
            "npt": ["fix motion all npt temp 300 300 50 iso 1000 1000 200"],
        }
        found = simulate(fixes[what])
    if MPI.COMM_WORLD.rank == 0:
        np.savez(path, **found)


if __name__ == "__main__":
    main()

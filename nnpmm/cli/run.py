"""``nnpmm run``: simulate what a YAML file describes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import print_result

if TYPE_CHECKING:
    from nnpmm.simulation import RunResult

__all__ = ["report_result", "run"]


def run(
    config: Annotated[
        Path | None, typer.Argument(help="Settings, one YAML file (see --template).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run from its last checkpoint.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run in the output folder.")
    ] = False,
    template: Annotated[
        bool, typer.Option("--template", help="Print a commented settings file and end.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Run a hybrid NNP/MM simulation: minimise, warm up, equilibrate, produce.

    Ctrl-C, SIGTERM, SIGHUP and SIGQUIT end it with a checkpoint; --resume goes on, also after a
    crash.
    """
    from nnpmm import simulation
    from nnpmm.errors import ConfigError

    if template:
        typer.echo(simulation.template(), nl=False)
        return
    if config is None:
        raise ConfigError("found no settings file: nnpmm run md.yaml (nnpmm run --template)")
    try:
        result = simulation.run(config, resume=resume, overwrite=overwrite)
    except KeyboardInterrupt:
        typer.echo("stopped before the simulation began", err=True)
        raise typer.Exit(130) from None
    report_result(result, remedy=f"go on with: nnpmm run {config} --resume")


def report_result(result: RunResult, *, remedy: str) -> None:
    """Say where the run got to and what it left; exit like a shell after a signal.

    Args:
        result: of the run.
        remedy: what to do after a signal.
    """
    if result.signal_number is not None:
        typer.echo(
            f"stopped in {result.stage} at {result.time_ps:g} ps; {remedy}",
            err=True,
        )
        raise typer.Exit(128 + result.signal_number)
    if result.already_complete:
        print_result(f"this run is complete: {result.directory}")
        return
    print_result(f"{result.stage} reached {result.time_ps:g} ps; results in {result.directory}")
    for path in (result.trajectory, result.log, result.final_structure, result.report):
        if path is not None:
            print_result(f"  {path}")

"""``nnpmm run``: run the simulation of a settings file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.lammps import run_on_lammps, runs_on_lammps
from nnpmm.cli.narration import narrated, starting
from nnpmm.cli.settings_options import ConfigArgument, DebugOption, TemplateOption
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.simulation import Forecast, RunResult

__all__ = ["report_result", "run"]

_INPUT_FILES = (
    ".pdb", ".cif", ".gro", ".top", ".prmtop", ".parm7", ".prm7", ".inpcrd", ".rst7", ".psf",
    ".crd", ".sdf", ".mol", ".mol2", ".xml", ".mdp", ".tpr", ".json",
)  # fmt: skip


def run(
    config: ConfigArgument = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run from its last checkpoint.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run in the output folder.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Prepare everything, time some steps, print an estimate, and exit."
        ),
    ] = False,
    template: TemplateOption = False,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", help="With --template: lammps, which puts a network on every atom."
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Run a hybrid NNP/MM simulation: minimise, warm up, equilibrate, produce.

    With engine: lammps in the settings, a network describes every atom; mpirun -n N nnpmm run
    then divides the system among N processes.

    Ctrl-C, SIGTERM, SIGHUP and SIGQUIT stop the run with a checkpoint; --resume continues it, also
    after a crash.
    """
    if template:
        typer.echo(_template(engine), nl=False)
        return
    if engine is not None:
        raise ConfigError("found --engine without --template: write engine: lammps in the settings")
    config = _require_settings(config)
    if runs_on_lammps(config):
        if dry_run:
            raise ConfigError(
                "found --dry-run with engine: lammps, which does not support it: run some steps "
                "instead"
            )
        run_on_lammps(config, resume=resume, overwrite=overwrite)
        return
    with starting():
        from nnpmm import simulation

    if dry_run and resume:
        raise ConfigError("found --dry-run and --resume: give one of them")
    try:
        with narrated():
            if dry_run:
                forecast = simulation.dry_run(config)
            else:
                result = simulation.run(config, resume=resume, overwrite=overwrite)
    except KeyboardInterrupt:
        typer.echo("stopped before the simulation began", err=True)
        raise typer.Exit(130) from None
    if dry_run:
        _report_forecast(forecast, config, overwrite)
    else:
        report_result(result, remedy=f"continue with: nnpmm run {config} --resume")


def _template(engine: str | None) -> str:
    """Return the template for an engine; None: OpenMM."""
    if engine is None:
        from nnpmm import simulation

        return simulation.template()
    if engine != "lammps":
        raise ConfigError(f"found the engine {engine!r}, allowed: lammps; leave it out for OpenMM")
    from nnpmm.engines import lammps

    return lammps.template()


def _require_settings(config: Path | None) -> Path:
    """Return the settings file; a missing one and an input file are errors."""
    if config is None:
        raise ConfigError(
            "found no settings file: nnpmm run md.yaml; write one with nnpmm init, or from "
            "nnpmm run --template"
        )
    if config.suffix.lower() in _INPUT_FILES:
        raise ConfigError(
            f"found {config}, which is not a settings file: write one for it with nnpmm init "
            f"{config} ..., then nnpmm run md.yaml"
        )
    return config


def _report_forecast(forecast: Forecast, config: Path, overwrite: bool) -> None:
    """Print the estimated cost of a run, and how to start it."""
    from nnpmm.simulation.stages.progress import clock

    typer.echo(f"energy      {forecast.potential_energy:.1f} kJ/mol (starting structure)")
    milliseconds = forecast.seconds_per_step * 1000
    typer.echo(f"speed       {forecast.ns_per_day:.3g} ns/day ({milliseconds:.3g} ms per step)")
    for stage in forecast.stages:
        typer.echo(f"{stage.name:<11} {stage.length_ps:g} ps take about {clock(stage.seconds)}")
    start = f"nnpmm run {config}" + (" --overwrite" if forecast.holds_run else "")
    typer.echo(f"nothing was written; start it with: {start}")
    if forecast.holds_run and not overwrite:
        typer.echo(
            "the output folder contains a run: --overwrite replaces it, --resume continues it"
        )


def report_result(result: RunResult, *, remedy: str) -> None:
    """Print the progress and the output of a run; exit like a shell after a signal.

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
    ligand = result.directory / "ligand.sdf"
    written = (result.trajectory, result.log, result.final_structure, ligand, result.report)
    for path in written:
        if path is not None and path.is_file():
            print_result(f"  {path}")

"""``nnpmm campaign``: many calculations from one list, their progress and their results."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import campaign_bar
from nnpmm.cli.settings_options import DebugOption
from nnpmm.core.errors import ConfigError, OptionalDependencyError

if TYPE_CHECKING:
    from nnpmm.campaigns import JobState

__all__ = ["campaign"]

_TEMPLATE = """\
# A list of calculations for nnpmm campaign run. Relative paths in settings start at the folder of
# the settings' file, or at that of this file if the settings are here.

# run, solvation, binding, binding-relative, scan or conformers
command: solvation

# Settings that all calculations share: here, or the name of their file (nnpmm solvation --template)
settings:
  model: ANI-2x
  ladder: {time: 1000 ps}

# One for each calculation, or the name of a CSV file with these columns; keys are those of the
# settings. Without a name a calculation is named for its values.
rows:
  - {name: methanol, solute.smiles: CO}
  - {name: ethanol, solute.smiles: CCO}
  - {name: ethanol-310, solute.smiles: CCO, temperature: 310 K}
"""
_STATES = ("waiting", "running", "finished", "failed")
_CSV, _PARQUET = "results.csv", "results.parquet"

campaign = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Run many calculations from one list: runs, free energies, scans, conformers.",
)
_Folder = Annotated[Path, typer.Argument(help="Folder of the campaign.")]


@campaign.command()
def run(
    list_: Annotated[
        Path | None,
        typer.Argument(
            metavar="LIST",
            help="CSV file with a column for each setting that differs, or a YAML file (see "
            "--template).",
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            "--command",
            help="run, solvation, binding, binding-relative, scan or conformers; a YAML file may "
            "name it itself.",
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", help="YAML file of the settings that all calculations share."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the campaign.")] = Path(
        "campaign"
    ),
    cluster: Annotated[
        str, typer.Option("--cluster", help="local, serial, or a YAML file (SLURM, PBS).")
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            help="Number of calculations at a time.",
            show_default="one for each GPU, or one",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            help="Threads of each calculation.",
            show_default="those of this machine, divided among the workers",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also retry calculations that have failed.")
    ] = False,
    template: Annotated[
        bool, typer.Option("--template", help="Print a commented list and exit.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Run the calculations of a list that have no result yet.

    Ctrl-C stops the campaign; the same command continues it, also after a crash. The exit status
    is 1 if calculations have no result.
    """
    if template:
        typer.echo(_TEMPLATE, nl=False)
        return
    if list_ is None:
        raise ConfigError(
            "found no list: nnpmm campaign run molecules.csv --command solvation, or a YAML file "
            "(--template)"
        )
    with starting():
        from nnpmm.calculations import calculate, calculations_of
        from nnpmm.campaigns import cuda_devices, read_cluster, read_list, run_listed, states_of
        from nnpmm.models.threads import thread_count

    found = read_list(list_, command=command, settings=settings)
    calculations = calculations_of(found)
    at_a_time = workers or len(cuda_devices()) or 1
    each = threads or max(1, thread_count() // at_a_time)
    where = read_cluster(cluster, workers=at_a_time, threads=each)
    summary = f"{_counted(len(calculations))} of {found.command}, {where.workers} at a time"
    try:
        with campaign_bar("calculations") as (report, _):
            run_listed(
                calculations,
                found.command,
                calculate,
                output,
                cluster=where,
                retry_failed=retry_failed,
                report=report,
                checked=lambda: typer.echo(summary),
            )
    except KeyboardInterrupt:
        typer.echo(f"stopped; continue with the same command ({output})", err=True)
        raise typer.Exit(130) from None
    states = states_of(output)
    _print_failures(states)
    _write(output)
    missing = sum(state.state != "finished" for state in states)
    if missing:
        have = "has" if missing == 1 else "have"
        typer.echo(f"{missing} of {_counted(len(states))} {have} no result", err=True)
        raise typer.Exit(1)


@campaign.command()
def status(folder: _Folder, debug: DebugOption = False) -> None:
    """Show the progress of a campaign and its failures."""
    from rich.console import Console
    from rich.table import Table

    from nnpmm.campaigns import states_of

    states = states_of(folder)
    table = Table("calculation", "state", title=str(folder))
    for name in ("failed attempts", "seconds"):
        table.add_column(name, justify="right")
    for one in states:
        seconds = "" if one.seconds is None else f"{one.seconds:.0f}"
        table.add_row(one.name, one.state, str(len(one.reasons) or ""), seconds)
    Console().print(table)
    counts = Counter[str](state.state for state in states)
    print_result(", ".join(f"{counts[name]} {name}" for name in _STATES))
    _print_failures(states)


@campaign.command()
def collect(folder: _Folder, debug: DebugOption = False) -> None:
    """Collect the results in one table: results.csv and, with pyarrow, Parquet."""
    _write(folder)


def _counted(count: int) -> str:
    return f"{count} calculation" if count == 1 else f"{count} calculations"


def _print_failures(states: list[JobState]) -> None:
    for one in states:
        if one.state == "failed":
            print_result(f"{one.name} failed; traceback in {one.details}")
            for text in (*one.reasons, *one.last_lines):
                print_result(f"  {text}")


def _write(folder: Path) -> None:
    from nnpmm.campaigns import collect_results, write_csv, write_parquet

    table = collect_results(folder)
    write_csv(table, folder / _CSV)
    print_result(f"results: {folder / _CSV}")
    try:
        write_parquet(table, folder / _PARQUET)
        print_result(f"results: {folder / _PARQUET}")
    except OptionalDependencyError as error:
        print_result(f"no {_PARQUET}: {error}")

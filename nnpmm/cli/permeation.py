"""``nnpmm permeation``: its commands, and ``dataset``, coarse-grained simulations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.permeation_labels import label
from nnpmm.cli.permeation_map import map_
from nnpmm.cli.permeation_networks import evaluate, train
from nnpmm.cli.permeation_permeability import permeability
from nnpmm.cli.permeation_predict import predict
from nnpmm.cli.settings_options import DebugOption, resumable

if TYPE_CHECKING:
    from nnpmm.campaigns import CampaignResult

__all__ = ["permeation"]

permeation = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Free energies of membrane permeation from short coarse-grained simulations.",
)
dataset = typer.Typer(no_args_is_help=True, help="Build and inspect data sets of features.")
permeation.add_typer(dataset, name="dataset")
permeation.add_typer(label, name="label")
permeation.command()(train)
permeation.command()(evaluate)
permeation.command("map")(map_)
permeation.command()(predict)
permeation.command()(permeability)

_Folder = Annotated[Path, typer.Option("--output", "-o", help="Folder of the data set.")]
_DEFAULT_FOLDER = Path("permeation-data")


@dataset.command()
def build(
    lipids: Annotated[str, typer.Option(help="Lipids, separated by commas.")] = "DOPC",
    solutes: Annotated[
        str,
        typer.Option(
            help="Solutes: monomers, dimers, trimers:N, a .csv file, or graphs such as C1-P4."
        ),
    ] = "dimers",
    preset: Annotated[str, typer.Option(help="Protocol: paper (21 ns) or short (6 ns).")] = "short",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting, as in --set lipids_per_leaflet=32."),
    ] = None,
    engine: Annotated[str, typer.Option(help="Engine: auto, gromacs or openmm.")] = "auto",
    output: _Folder = _DEFAULT_FOLDER,
    scratch: Annotated[Path | None, typer.Option(help="Folder for trajectories.")] = None,
    cluster: Annotated[
        str, typer.Option(help="Where jobs run: local, serial, or a YAML file.")
    ] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Number of jobs at a time.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the engine in each job.")] = 1,
    seed: Annotated[
        int, typer.Option(min=1, help="Master seed, from which all seeds are derived.")
    ] = 1,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also retry jobs that have failed.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Run the missing simulations of a data set; the same command continues after a stop.

    The exit status is 0 if all are done, 1 if some failed, 2 if nothing could be run.
    """
    from nnpmm.campaigns import read_cluster
    from nnpmm.cli.progress import campaign_bar
    from nnpmm.permeation.dataset.folder import DatasetSettings
    from nnpmm.permeation.martini.solute_sets import list_solutes
    from nnpmm.permeation.runs import protocol
    from nnpmm.permeation.runs.campaign import build_dataset

    wanted = DatasetSettings(
        protocol=protocol.preset(preset, **protocol.parse_changes(set_ or [])),
        engine=engine,
        seed=seed,
        lipids=tuple(name.strip() for name in lipids.split(",")),
        solutes=tuple(list_solutes(solutes)),
    )
    where = read_cluster(cluster, workers=workers, threads=threads)
    with resumable(output, "the same command"), campaign_bar("jobs") as (report, relaxation):
        result = build_dataset(
            wanted,
            output,
            cluster=where,
            scratch=scratch,
            retry_failed=retry_failed,
            report=report,
            relaxation=relaxation,
        )
    _print_result(result, output)


def _print_result(result: CampaignResult, output: Path) -> None:
    """Print how a build ended, and exit with status 1 if some of its jobs are not done.

    Raises:
        SimulationError: every job that ran failed.
    """
    from nnpmm.campaigns import require_some

    counts = f"{result.already} existed, {len(result.failed)} failed"
    before = f", {result.given_up} failed earlier (--retry-failed)" if result.given_up else ""
    typer.echo(f"{result.done} jobs done now, {counts}{before}")
    require_some(result)
    left = len(result.failed) + result.given_up
    if left:
        typer.echo(
            f"{left} jobs are not done: nnpmm permeation dataset status -o {output} shows why; "
            "repeat the command to continue, with --retry-failed for those that failed",
            err=True,
        )
        raise typer.Exit(1)


@dataset.command()
def status(output: _Folder = _DEFAULT_FOLDER, debug: DebugOption = False) -> None:
    """Show the progress of a data set and its failures."""
    from rich.console import Console
    from rich.table import Table

    from nnpmm.permeation.runs.status import dataset_status

    places, failures = dataset_status(output)
    table = Table("place", title=str(output))
    for name in ("done", "failed", "running", "missing", "retried", "simulated ns", "core hours"):
        table.add_column(name, justify="right")
    for place in places:
        c = place.counts
        numbers = (c.done, c.failed, c.running, c.missing, c.retried)
        times = (f"{place.simulated_ns:.1f}", f"{c.core_hours:.2f}")
        table.add_row(place.place, *map(str, numbers), *times)
    console = Console()
    console.print(table)
    for name, reason in failures.items():
        console.print(f"failed {name}: {reason}", markup=False, highlight=False)


@dataset.command()
def export(
    file: Annotated[Path, typer.Argument(help="Safetensors file to write.")],
    output: _Folder = _DEFAULT_FOLDER,
    debug: DebugOption = False,
) -> None:
    """Write the features of all finished samples to one file: (samples, frames, 8) float32."""
    from nnpmm.core.files import require_suffix
    from nnpmm.permeation.dataset.folder import export_features

    require_suffix(file, ".safetensors")
    count = export_features(output, file)
    typer.echo(f"{count} samples in {file}")

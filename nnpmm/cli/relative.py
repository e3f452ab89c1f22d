"""``nnpmm binding-relative``: relative binding free energies of pairs of ligands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.free_energies import (
    SHORT_LADDER,
    NetworkOption,
    PotentialsOption,
    QuickOption,
    RepeatsOption,
    RouteOption,
    TimeOption,
    announcer,
    in_kcal,
    print_end,
)
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import print_report, stage_bar
from nnpmm.cli.settings_options import (
    ConfigArgument,
    DebugOption,
    OutputOption,
    ResumeOption,
    TemplateOption,
    resumable,
    settings_with,
)
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.freeenergy.relative import NetworkResult, RelativeSettings

__all__ = ["binding_relative"]

#: A test with a few ps for each state, which shows the output; not converged.
_QUICK = {"padding": "0.8 nm", "ladder": SHORT_LADDER}


def binding_relative(
    config: ConfigArgument = None,
    protein: Annotated[
        Path | None, typer.Option("--protein", help="Protein with hydrogens (PDB, mmCIF).")
    ] = None,
    ligands: Annotated[
        Path | None,
        typer.Option("--ligands", help="SDF file of named ligands, with their poses in the site."),
    ] = None,
    edge: Annotated[
        list[str] | None,
        typer.Option("--edge", help="A pair of ligands, such as A,B; may be repeated."),
    ] = None,
    model: NetworkOption = None,
    potential: PotentialsOption = None,
    route: RouteOption = None,
    time: TimeOption = None,
    repeats: RepeatsOption = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            help="Run pairs as jobs: local, or a YAML file of a cluster.",
            show_default="one after the other",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Number of jobs at a time, with --cluster.")
    ] = 1,
    threads: Annotated[
        int, typer.Option("--threads", min=1, help="Threads of each job, with --cluster.")
    ] = 1,
    quick: QuickOption = False,
    output: OutputOption = Path("binding-relative"),
    resume: ResumeOption = False,
    template: TemplateOption = False,
    debug: DebugOption = False,
) -> None:
    """Calculate relative binding free energies of ligands, by alchemical transfer.

    Ctrl-C stops the calculation; --resume continues it, also after a crash.
    """
    with starting():
        from nnpmm.campaigns import read_cluster
        from nnpmm.freeenergy.relative import RelativeSettings, run_network
        from nnpmm.freeenergy.relative.template import template as commented

    if template:
        typer.echo(commented(), nl=False)
        return
    options = {
        "protein": None if protein is None else str(protein.absolute()),
        "ligands": None if ligands is None else str(ligands.absolute()),
        "edges": [_pair(text) for text in edge or ()] or None,
        "model": model,
        "potentials": potential,
        "route": route,
        "repeats": repeats,
        "ladder": None if time is None else {"time": time},
    }
    settings = settings_with(
        RelativeSettings,
        config,
        options,
        defaults=_QUICK if quick else {},
        required=("protein", "ligands", "edges"),
        missing="found no complete set of inputs: nnpmm binding-relative --protein protein.pdb "
        "--ligands ligands.sdf --edge A,B, or a settings file (--template)",
    )
    where = None
    if cluster is not None:
        where = read_cluster(cluster, workers=workers, threads=threads)
    with resumable(output), stage_bar("transfer") as show:
        result = run_network(
            settings,
            output,
            resume=resume,
            cluster=where,
            announce=_announcer(show),
            report=print_report,
        )
    _print(settings, result, output)


def _pair(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise ConfigError(f"found --edge {text!r}, allowed: two names of ligands, such as A,B")
    return names


def _announcer(show: Callable[[str, float, float], None]) -> Any:
    """Return a function that prints the next ladder, and returns one that moves the bar."""

    def announce(
        edge: tuple[str, str], ladder: str, repeat: int, repeats: int
    ) -> Callable[[str, int, int], None]:
        return announcer(show)(f"{edge[0]} to {edge[1]}, {ladder}", repeat, repeats)

    return announce


def _print(settings: RelativeSettings, result: NetworkResult, output: Path) -> None:
    from nnpmm.freeenergy.legs import convergence_warning

    print_result("relative binding free energies, second minus first, kcal/mol")
    for edge in result.edges:
        first, second = edge.ligands
        for potential, total in edge.potentials.items():
            print_result(f"  {first} to {second}, {potential}: {in_kcal(total)}")
        if edge.difference is not None:
            print_result(f"  {first} to {second}, difference: {in_kcal(edge.difference)}")
    for (first, second), reason in result.failures.items():
        print_result(f"  {first} to {second} failed: {reason}")
    for potential, fit in result.fits.items() if len(result.edges) > 1 else ():
        print_result(f"ligands, {potential}, kcal/mol")
        for name in fit.names:
            print_result(f"  {name}: {in_kcal(fit.estimate(name))}")
    print_end(convergence_warning(settings.ladder), output)

"""``nnpmm binding-relative``: relative binding free energies of pairs of ligands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import print_report, stage_bar
from nnpmm.cli.settings_options import merged
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.freeenergy.estimators import Estimate
    from nnpmm.freeenergy.relative import NetworkResult, RelativeSettings

__all__ = ["binding_relative"]

#: A few ps for each state, to see that all works and what comes out.
_QUICK = {
    "padding": "0.8 nm",
    "ladder": {"time": "25 ps", "equilibration": "10 ps", "state_equilibration": "1 ps"},
}


def binding_relative(
    config: Annotated[
        Path | None, typer.Argument(help="Settings, one YAML file (see --template).")
    ] = None,
    protein: Annotated[
        Path | None, typer.Option("--protein", help="Protein with hydrogens (PDB, mmCIF).")
    ] = None,
    ligands: Annotated[
        Path | None, typer.Option("--ligands", help="SDF file of named ligands in the site.")
    ] = None,
    edge: Annotated[
        list[str] | None,
        typer.Option("--edge", help="A pair of ligands, as A,B; may be given more than once."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The network.", show_default="ANI-2x")
    ] = None,
    potential: Annotated[
        list[str] | None,
        typer.Option(
            "--potential",
            help="network or force field; give it twice for both.",
            show_default="both",
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", help="Sampled in each state.", show_default="1000 ps"),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", "--replicas", help="Independent repeats.", show_default="1"),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            help="Run pairs as jobs: local, or a YAML file.",
            show_default="one after the other",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Jobs at a time, with --cluster.")
    ] = 1,
    threads: Annotated[
        int, typer.Option("--threads", min=1, help="Threads of each job, with --cluster.")
    ] = 1,
    quick: Annotated[
        bool, typer.Option("--quick", help="25 ps for each state: not converged.")
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the calculation.")
    ] = Path("binding-relative"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the calculation in that folder.")
    ] = False,
    template: Annotated[
        bool, typer.Option("--template", help="Print a commented settings file and end.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Calculate relative binding free energies of ligands that change places with each other.

    Ctrl-C ends it; --resume goes on from the last checkpoint, also after a crash.
    """
    with starting():
        from nnpmm.campaigns import read_cluster
        from nnpmm.freeenergy.relative import RelativeSettings, run_network
        from nnpmm.freeenergy.relative.template import template as commented

    if template:
        typer.echo(commented(), nl=False)
        return
    changes = {
        "protein": None if protein is None else str(protein.absolute()),
        "ligands": None if ligands is None else str(ligands.absolute()),
        "edges": [_pair(text) for text in edge or ()] or None,
        "model": model,
        "potentials": potential,
        "repeats": repeats,
        "ladder": None if time is None else {"time": time},
    }
    settings = _settings(RelativeSettings, config, changes, quick=quick)
    where = None
    if cluster is not None:
        where = read_cluster(cluster, workers=workers, threads=threads)
    try:
        with stage_bar("transfer") as show:
            result = run_network(
                *(settings, output),
                resume=resume,
                cluster=where,
                announce=_announcer(show),
                report=print_report,
            )
    except KeyboardInterrupt:
        typer.echo(f"stopped; go on with the same command and --resume ({output})", err=True)
        raise typer.Exit(130) from None
    _print(settings, result, output)


def _pair(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise ConfigError(f"found --edge {text!r}, allowed: two names of ligands, as A,B")
    return names


def _settings(
    model: type[RelativeSettings], config: Path | None, changes: dict[str, Any], *, quick: bool
) -> RelativeSettings:
    """Return the settings of the file, if there is one, with those of the command line."""
    from nnpmm.core.settings.reading import parse_settings
    from nnpmm.core.settings.yaml_file import read_yaml

    data: Any = dict(_QUICK) if quick else {}
    base = Path()
    if config is not None:
        read = read_yaml(config)
        if not isinstance(read, dict):
            raise ConfigError(f"{config.name}: found no keys, expected such as 'protein'")
        data, base = merged(data, read), config.absolute().parent
    elif None in (changes["protein"], changes["ligands"], changes["edges"]):
        raise ConfigError(
            "found no complete set of inputs: nnpmm binding-relative --protein protein.pdb "
            "--ligands ligands.sdf --edge A,B, or a settings file (--template)"
        )
    given = {name: value for name, value in changes.items() if value is not None}
    source = "command line" if config is None else config.name
    return parse_settings(model, merged(data, given), source=source, base=base)


def _announcer(show: Callable[[str, float, float], None]) -> Any:
    """Return what tells what is next on stdout, and its progress to the bar."""

    def announce(
        edge: tuple[str, str], ladder: str, repeat: int, repeats: int
    ) -> Callable[[str, int, int], None]:
        typer.echo(f"{edge[0]} to {edge[1]}, {ladder}, repeat {repeat} of {repeats}")
        label = f"{edge[0]} to {edge[1]}, {ladder} {repeat}"
        return lambda stage, done, total: show(f"{label}, {stage}", done, total)

    return announce


def _print(settings: RelativeSettings, result: NetworkResult, output: Path) -> None:
    from nnpmm.freeenergy.legs import convergence_warning

    print_result("relative binding free energies, second minus first, kcal/mol")
    for edge in result.edges:
        first, second = edge.ligands
        for potential, total in edge.potentials.items():
            print_result(f"  {first} to {second}, {potential}: {_text(total)}")
        if edge.difference is not None:
            print_result(f"  {first} to {second}, difference: {_text(edge.difference)}")
    for (first, second), reason in result.failures.items():
        print_result(f"  {first} to {second} failed: {reason}")
    for potential, fit in result.fits.items() if len(result.edges) > 1 else ():
        print_result(f"ligands, {potential}, kcal/mol")
        for name in fit.names:
            print_result(f"  {name}: {_text(fit.estimate(name))}")
    warning = convergence_warning(settings.ladder)
    if warning is not None:
        print_result(warning)
    print_result(f"report: {output / 'report.html'}")


def _text(estimate: Estimate) -> str:
    return f"{estimate.value / KJ_PER_KCAL:.2f} +- {estimate.error / KJ_PER_KCAL:.2f}"

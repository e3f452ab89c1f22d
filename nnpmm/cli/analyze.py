"""``nnpmm analyze``: analyse trajectories of a ligand and its receptor, or of a liquid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import stage_bar
from nnpmm.cli.settings_options import DebugOption, JsonOption
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.analysis import Analysis, Comparison, Source

__all__ = ["analyze"]

_LISTED = 12


def analyze(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Output folders of nnpmm run; several are replicas of one system."),
    ] = None,
    topology: Annotated[
        Path | None,
        typer.Option("--topology", "-t", help="Topology of trajectories from any program."),
    ] = None,
    trajectory: Annotated[
        list[Path] | None,
        typer.Option("--trajectory", "-x", help="Trajectory; repeat the option for replicas."),
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option(
            "--interval", help="Time between frames in ps, if the trajectory contains no times."
        ),
    ] = None,
    selection: Annotated[
        str | None,
        typer.Option("--selection", help='The ligand, such as "resname LIG"; none: no ligand.'),
    ] = None,
    water_around: Annotated[
        str | None,
        typer.Option(
            "--water-around", help="Group around which water is counted.", show_default="ligand"
        ),
    ] = None,
    comparison: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--compare",
            help="Two systems: folders of runs, or of nnpmm analyze.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the report.")] = Path(
        "analysis"
    ),
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Analyse trajectories: deviations, torsions, contacts, water, network, with errors."""
    if comparison is not None:
        if runs or topology or trajectory:
            raise ConfigError("found trajectories and --compare: give one of them")
        found: Analysis | Comparison = _compare(comparison, selection, water_around)
    else:
        sources = _sources(runs or [], topology, trajectory or [], interval)
        found = _analyze(sources, selection, water_around, output.name)
    from nnpmm.analysis import Comparison, tables, write_report

    path = write_report(output, found)
    if isinstance(found, Comparison):
        data = tables.comparison_data(found)
    else:
        data = tables.data_of(found)
    if as_json:
        print_result(json.dumps(data, indent=1, ensure_ascii=False))
        return
    if isinstance(found, Comparison):
        _print_comparison(found)
    else:
        _print_analysis(found)
    print_result(f"report: {path}")


def _sources(
    runs: Sequence[Path],
    topology: Path | None,
    trajectories: Sequence[Path],
    interval: float | None,
) -> list[Source]:
    with starting():
        from nnpmm.analysis import read_source
        from nnpmm.simulation import run_folders, run_source
    if topology is None and trajectories:
        raise ConfigError("found --trajectory without --topology: give both")
    if topology is not None:
        if runs or not trajectories:
            raise ConfigError("found --topology: give --trajectory with it, and no folders of runs")
        return [read_source(topology, path, interval=interval) for path in trajectories]
    if not runs:
        raise ConfigError(
            "found no trajectory: nnpmm analyze RUN, or --topology and --trajectory, or --compare"
        )
    return [run_source(folder) for path in runs for folder in run_folders(path)]


def _analyze(
    sources: Sequence[Source],
    selection: str | None,
    water_around: str | None,
    name: str,
) -> Analysis:
    from nnpmm.analysis import analyze as analyze_trajectories
    from nnpmm.core.files import cache_directory

    with stage_bar("analyze") as show:
        return analyze_trajectories(
            sources,
            selection=selection,
            water_around=water_around,
            name=sources[0].name if len(sources) == 1 else name,
            cache=cache_directory() / "analysis",
            progress=show,
        )


def _compare(
    folders: tuple[Path, Path], selection: str | None, water_around: str | None
) -> Comparison:
    with starting():
        from nnpmm.analysis import compare, gather
        from nnpmm.analysis.report import read_observations
    systems = []
    for folder in folders:
        name, stored = folder.absolute().name, read_observations(folder)
        if stored:
            systems.append(gather(stored, name=name))
        else:
            sources = _sources([folder], None, [], None)
            systems.append(_analyze(sources, selection, water_around, name))
    return compare(*systems)


def _print_analysis(analysis: Analysis) -> None:
    from nnpmm.analysis.tables import transitions_of, with_error

    for replica in analysis.replicas:
        if replica.facts["problem"]:
            problem = replica.facts["problem"]
            typer.echo(
                f"{replica.name}: only {replica.n_frames} frames were read: {problem}", err=True
            )
    for q in [*analysis.of_kind("overall"), *analysis.of_kind("shell")]:
        print_result(f"{q.name:<30} {with_error(q.average.value, q.average.error)} {q.unit}")
    for q in analysis.of_kind("torsion"):
        share = with_error(100 * q.average.value, 100 * q.average.error)
        turns = transitions_of(analysis, q.name.rsplit(", ", 1)[0])
        print_result(f"{q.name:<30} {share} %, {turns} transitions")
    contacts = [q for q in analysis.of_kind("contact") if not q.name.endswith(", contact")]
    contacts.sort(key=lambda q: -q.average.value)
    for q in contacts[:_LISTED]:
        share = with_error(100 * q.average.value, 100 * q.average.error)
        print_result(f"{q.name:<44} {share} %")
    if len(contacts) > _LISTED:
        print_result(f"and {len(contacts) - _LISTED} more contacts in the report")


def _print_comparison(comparison: Comparison) -> None:
    from nnpmm.analysis.tables import with_error

    known = [d for d in comparison.differences if d.significant is not None]
    chosen = [d for d in known if d.significant]
    print_result(
        f"{comparison.second.name} minus {comparison.first.name}: {len(chosen)} of {len(known)} "
        "differences are significant"
    )
    for d in chosen:
        print_result(f"{d.first.name:<44} {with_error(d.value, d.error)} {d.first.unit}")
    for d in comparison.of_kind("overall"):
        if not d.significant:
            print_result(f"{d.first.name:<44} {d.verdict} {d.first.unit}")

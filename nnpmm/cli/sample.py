"""``nnpmm sample``: evaluate biased runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import count_bar
from nnpmm.cli.sample_language import language
from nnpmm.cli.settings_options import DebugOption, JsonOption
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.simulation.learning_runs import LearnedRun
    from nnpmm.simulation.surfaces import RunSurface

__all__ = ["sample"]

sample = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Draw free-energy surfaces, learn variables, learn trajectories of states.",
)
sample.add_typer(language, name="language")


@sample.command()
def fes(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Output folders of nnpmm run; several are replicas."),
    ] = None,
    along: Annotated[
        list[str] | None,
        typer.Option(
            "--along",
            help="Recorded variable; may be given up to three times.",
            show_default="biased ones",
        ),
    ] = None,
    bins: Annotated[
        int, typer.Option("--bins", min=2, help="Number of bins along each variable.")
    ] = 60,
    blocks: Annotated[
        int, typer.Option("--blocks", min=2, help="Number of blocks of each run, for errors.")
    ] = 10,
    discard: Annotated[
        float, typer.Option("--discard", help="Fraction of each run to discard at its start.")
    ] = 0.2,
    barrier: Annotated[
        float | None,
        typer.Option(
            "--barrier", help="Smallest barrier between minima, kJ/mol.", show_default="kT"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Output folder.", show_default="surface, in the first run"
        ),
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Draw the free-energy surface of biased runs, with errors, minima and convergence."""
    if not runs:
        raise ConfigError("found no folder of a run: nnpmm sample fes RUN")
    with starting():
        from nnpmm.simulation.surfaces import surface_of_runs, write_surface
    found = surface_of_runs(
        runs, along or (), bins=bins, blocks=blocks, discard=discard, barrier=barrier
    )
    written = write_surface(output or runs[0] / "surface", found)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if as_json:
        print_result(json.dumps(found.data(), indent=1))
        return
    _print_minima(found)
    for path in written:
        print_result(f"  {path}")


def _print_minima(found: RunSurface) -> None:
    from nnpmm.analysis.tables import with_error

    data = found.data()
    units = {each["name"]: each["unit"] for each in data["variables"]}
    for number, minimum in enumerate(data["minima"], 1):
        place = ", ".join(
            f"{name} {value:.4g} {units[name]}".strip() for name, value in minimum["place"].items()
        )
        share = with_error(100 * minimum["population"], 100 * minimum["population_error"])
        print_result(
            f"minimum {number}: {place}; {minimum['free_energy_kj_mol']:.1f} kJ/mol; {share} %"
        )
    differences = data["convergence"]["rms_difference_kj_mol"]
    halfway = differences[len(differences) // 2 - 1]
    print_result(
        f"{found.time:g} ps in each of {len(found.runs)} run(s); the surface of the first half "
        f"differs by {halfway:.2f} kJ/mol (RMS, below 20 kJ/mol)"
    )


@sample.command()
def weights(
    run: Annotated[Path, typer.Argument(help="Output folder of a metadynamics run.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="CSV file to write.", show_default="in the run's folder"
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Write the weight of every frame of a metadynamics trajectory, for unbiased averages."""
    with starting():
        from nnpmm.simulation.sampled import read_sampled, write_frame_weights
    path = output or run / "weights.csv"
    effective, count = write_frame_weights(read_sampled(run), path)
    print_result(f"{count} frames, effective number {effective:.0f}: {path}")


@sample.command()
def learn(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Output folders of runs of one system.")
    ] = None,
    kind: Annotated[
        str, typer.Option("--kind", help="Kind: autoencoder, time-lagged or deep-tica.")
    ] = "autoencoder",
    variables: Annotated[int, typer.Option("--variables", help="Number of variables.")] = 1,
    lag: Annotated[
        float | None,
        typer.Option("--lag", help="Lag time in ps, for time-lagged and deep-tica."),
    ] = None,
    selection: Annotated[
        str | None,
        typer.Option(
            "--selection", help="Atoms whose features are used.", show_default="the region"
        ),
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", help="Largest number of epochs.")] = 300,
    seed: Annotated[int, typer.Option("--seed", help="Random seed of weights and splits.")] = 1,
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON file to write.")] = Path(
        "learned.json"
    ),
    debug: DebugOption = False,
) -> None:
    """Learn variables from trajectories, which runs can bias as type 'learned'."""
    if not runs:
        raise ConfigError("found no folder of a run: nnpmm sample learn RUN")
    with starting():
        from nnpmm.core.settings.reading import parse_settings
        from nnpmm.sampling.learned import LearningSettings
        from nnpmm.simulation.learning_runs import learn_from_runs, write_learned
    wanted = {"kind": kind, "variables": variables, "epochs": epochs, "seed": seed}
    settings = parse_settings(LearningSettings, wanted, source="options")
    with count_bar("epochs") as show:
        found = learn_from_runs(runs, settings, lag=lag, selection=selection, progress=show)
    written = write_learned(output, found)
    _print_learned(found)
    for path in written:
        print_result(f"  {path}")


def _print_learned(found: LearnedRun) -> None:
    learned, record = found.learned, found.learned.projection.record
    print_result(
        f"{record.kind} of {record.features.count} features, {found.frames} frames; "
        f"best of {len(learned.validation)} epochs: {learned.best}, validation loss "
        f"{learned.validation[learned.best - 1]:.4g}"
    )
    for each in found.correlated_features:
        low, high = record.low[each.component], record.high[each.component]
        print_result(f"variable {each.component + 1}: {low:.3g} to {high:.3g}, correlates with")
        for name, correlation in each.features:
            print_result(f"  {correlation:+.2f}  {name}")

"""``nnpmm benchmark``: measure the cost of the network on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.settings_options import DebugOption

if TYPE_CHECKING:
    from collections.abc import Callable

    import openmm
    from rich.table import Table

    from nnpmm.models.ani import AniModel
    from nnpmm.simulation import MMSystem, RunConfig

__all__ = ["benchmark"]

benchmark = typer.Typer(
    help="Time the network alone (ani), or a step of NNP/MM compared with one of MM (md).",
    no_args_is_help=True,
)

Model = Annotated[str, typer.Option(help="Name of the ANI model.")]
Backends = Annotated[
    str, typer.Option(help="Backends, separated by commas; default: all that work here.")
]
Rounds = Annotated[int, typer.Option(min=1, help="Number of rounds; their median is printed.")]
Output = Annotated[Path | None, typer.Option(help="Also write the results to this JSON file.")]


@benchmark.command()
def ani(
    structure: Annotated[
        Path | None, typer.Argument(help="Structure file; default: three drugs.")
    ] = None,
    selection: Annotated[str, typer.Option(help="Atoms of the structure to evaluate.")] = "all",
    model: Model = "ANI-2x",
    backends: Backends = "",
    rounds: Rounds = 20,
    output: Output = None,
    debug: DebugOption = False,
) -> None:
    """Time energy and forces of a molecule with every backend, after checking its results."""
    from rich.console import Console

    from nnpmm.benchmarking import (
        measure_networks,
        molecule_from_structure,
        sample_molecules,
        write_record,
    )

    molecules = (
        sample_molecules()
        if structure is None
        else [molecule_from_structure(str(structure), selection)]
    )
    models = _models(model, backends)
    reference = replace(models[0], backend="reference", device="cpu", precision="double")
    rows = []
    table = _table("molecule", "atoms", "backend", "ms", "quartiles", "x bound", "dE", "dF")
    with _progress(len(molecules) * rounds * (len(models) + 1)) as advance:
        for molecule in molecules:
            rows += measure_networks(molecule, models, reference, rounds=rounds, progress=advance)
    for row in rows:
        table.add_row(
            row.molecule, str(row.atoms), row.backend, f"{row.timing.median:.2f}",
            f"{row.timing.low:.2f}-{row.timing.high:.2f}", f"{row.times_bound:.1f}",
            f"{row.energy_error:.1e}", f"{row.force_error:.1e}",
        )  # fmt: skip
    Console().print(table)
    typer.echo(
        "x bound: times the matrix products at the rate of a large one here; dE in kJ/mol and "
        "dF in kJ/mol/nm from the float64 reference"
    )
    if output is not None:
        named = [row._asdict() | {"timing": row.timing._asdict()} for row in rows]
        write_record(output, {"model": model, "rows": named})


@benchmark.command()
def md(
    config: Annotated[
        Path | None,
        typer.Argument(help="Settings file of nnpmm run; default: paracetamol in water."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="ANI model if there is no settings file; default: ANI-2x.")
    ] = None,
    backends: Backends = "",
    rounds: Rounds = 7,
    steps: Annotated[int, typer.Option(min=1, help="Steps in each round.")] = 100,
    output: Output = None,
    debug: DebugOption = False,
) -> None:
    """Time a step of NNP/MM with every backend and a step of the force field alone."""
    from rich.console import Console

    from nnpmm import simulation
    from nnpmm.benchmarking import measure_steps, step_contexts, write_record
    from nnpmm.simulation.preparation.platform import choose_platform

    settings = _md_settings(config, model)
    mm, region, name = simulation.load_region(settings)
    systems = {"MM": mm.system, **_hybrid_systems(settings, mm, name, _split(backends))}
    platform, properties = choose_platform(settings.platform)
    used = platform.getName()
    contexts = step_contexts(
        systems, mm.positions, mm.box_vectors, platform=used, properties=properties
    )
    with _progress(rounds * len(contexts)) as advance:
        timings = measure_steps(contexts, steps=steps, rounds=rounds, progress=advance)
    table = _table("system", "ms/step", "quartiles", "x MM")
    table.title = f"{mm.system.getNumParticles()} atoms, region of {len(region)}, {name}, {used}"
    for variant, timing in timings.items():
        table.add_row(
            variant if variant == "MM" else f"NNP/MM {variant}", f"{timing.median:.2f}",
            f"{timing.low:.2f}-{timing.high:.2f}", f"{timing.median / timings['MM'].median:.2f}",
        )  # fmt: skip
    Console().print(table)
    if output is not None:
        rows = {variant: timing._asdict() for variant, timing in timings.items()}
        write_record(output, {"model": name, "platform": used, "ms_per_step": rows})


def _models(name: str, backends: str) -> list[AniModel]:
    """Return the model with each requested backend, or with each that works here."""
    from nnpmm.core.errors import ModelError
    from nnpmm.models import load_model
    from nnpmm.models.ani import BACKENDS, AniModel

    usable = [key for key, backend in BACKENDS.items() if backend.missing() is None]
    models = [load_model(name, backend=key) for key in _split(backends) or usable]
    if not all(isinstance(model, AniModel) for model in models):
        raise ModelError(f"{name} has no backends to compare; use an ANI model")
    return [model for model in models if isinstance(model, AniModel)]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _md_settings(config: Path | None, model: str | None) -> RunConfig:
    """Return the settings of the timed step; without a file those of the demo.

    Raises:
        ConfigError: both a settings file, which names its network, and another network.
    """
    from nnpmm import simulation
    from nnpmm.core.errors import ConfigError
    from nnpmm.simulation.demo import demo_config

    if config is None:
        return demo_config(Path("."), model or "ANI-2x")
    if model is not None:
        raise ConfigError(
            f"found --model {model} and {config}, which names its network under 'region': leave "
            "out --model, or the file"
        )
    settings = simulation.load_config(config)
    if settings.integrator.type == "langevin":
        return settings
    # A step with all forces is timed, not the splitting of respa.
    single = type(settings.integrator)()
    inner = settings.integrator.inner
    return settings.model_copy(update={"integrator": single, "timestep": inner})


def _hybrid_systems(
    settings: RunConfig, mm: MMSystem, name: str, backends: list[str]
) -> dict[str, openmm.System]:
    """Return the hybrid system of the settings with each requested or usable backend."""
    from nnpmm import simulation
    from nnpmm.models.ani import BACKENDS
    from nnpmm.models.registry import find_family

    region = settings.region
    if not backends and "backend" not in find_family(name)[1].options:
        backends = [region.backend]
    kind = region.device.partition(":")[0]
    usable = [
        key
        for key, backend in BACKENDS.items()
        if backend.missing() is None
        and region.precision in backend.precisions
        and (kind == "auto" or kind in backend.devices)
    ]
    systems = {}
    for key in backends or usable:
        varied = region.model_copy(update={"backend": key})
        prepared = simulation.prepare_system(settings.model_copy(update={"region": varied}), mm)
        systems[prepared.model_provenance.get("backend", key)] = prepared.hybrid.system
    return systems


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, padding=(0, 0, 0, 1))
    for column in columns:
        table.add_column(column, justify="right" if columns.index(column) else "left", no_wrap=True)
    return table


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=total)
        yield lambda: progress.advance(task)

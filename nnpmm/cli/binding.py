"""``nnpmm binding``: the absolute binding free energy of a ligand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    print_end,
    print_value,
)
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import stage_bar
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
    from nnpmm.freeenergy.binding import BindingResult, BindingSettings

__all__ = ["binding"]

#: A test within about an hour, which shows the output; not converged.
_QUICK = {
    "padding": "0.8 nm",
    "pilot": {"equilibration": "20 ps", "length": "50 ps"},
    "complex_ladder": SHORT_LADDER,
    "solvent_ladder": SHORT_LADDER,
}
_AMBER = (".prmtop", ".parm7", ".prm7")


def binding(
    config: ConfigArgument = None,
    topology: Annotated[
        Path | None,
        typer.Option(
            "--topology", help="Amber (.prmtop, .parm7) or GROMACS (.top) topology of the complex."
        ),
    ] = None,
    coordinates: Annotated[
        Path | None, typer.Option("--coordinates", help="Coordinates of the complex, with the box.")
    ] = None,
    selection: Annotated[
        str | None,
        typer.Option("--selection", help="Atoms of the ligand, such as 'resname LIG'."),
    ] = None,
    ligand: Annotated[
        Path | None,
        typer.Option("--ligand", help="SDF or MOL2 file of the bound ligand; requires --protein."),
    ] = None,
    protein: Annotated[
        Path | None, typer.Option("--protein", help="Protein with hydrogens (PDB, mmCIF).")
    ] = None,
    model: NetworkOption = None,
    potential: PotentialsOption = None,
    route: RouteOption = None,
    time: TimeOption = None,
    repeats: RepeatsOption = None,
    quick: QuickOption = False,
    output: OutputOption = Path("binding"),
    resume: ResumeOption = False,
    template: TemplateOption = False,
    debug: DebugOption = False,
) -> None:
    """Calculate the absolute binding free energy of a ligand, with network and force field.

    Ctrl-C stops the calculation; --resume continues it, also after a crash.
    """
    with starting():
        from nnpmm.freeenergy.binding import BindingSettings, run_binding
        from nnpmm.freeenergy.binding.template import template as commented

    if template:
        typer.echo(commented(), nl=False)
        return
    times = None if time is None else {"time": time}
    options = {
        "system": _system(topology, coordinates, ligand, protein),
        "selection": selection,
        "model": model,
        "potentials": potential,
        "route": route,
        "repeats": repeats,
        "complex_ladder": times,
        "solvent_ladder": times,
    }
    settings = settings_with(
        BindingSettings,
        config,
        options,
        defaults=_QUICK if quick else {},
        required=("system",),
        missing="found no complex: nnpmm binding --topology complex.prmtop --coordinates "
        "complex.inpcrd --selection 'resname LIG', or a settings file (--template)",
    )
    with resumable(output), stage_bar("binding") as show:
        result = run_binding(
            settings,
            output,
            resume=resume,
            announce=announcer(show),
            explain=lambda text: typer.echo(f"  {text}"),
        )
    _print(settings, result, output)


def _system(
    topology: Path | None, coordinates: Path | None, ligand: Path | None, protein: Path | None
) -> dict[str, str] | None:
    """Return the section of the complex from the files of the command line, if there are any."""
    prepared = {"topology": topology, "coordinates": coordinates}
    built = {"ligand": ligand, "protein": protein}
    if not any([*prepared.values(), *built.values()]):
        return None
    if any(prepared.values()) and any(built.values()):
        raise ConfigError(
            "found files of a complex and of its parts: give --topology and --coordinates, or "
            "--ligand and --protein"
        )
    files = prepared if any(prepared.values()) else built
    missing = [name for name, path in files.items() if path is None]
    if missing:
        raise ConfigError(
            f"--{missing[0]} is missing, which is required with --{_other(files, missing)}"
        )
    kind = "build"
    if files is prepared:
        kind = "amber" if Path(str(topology)).suffix.lower() in _AMBER else "gromacs"
    return {"type": kind, **{name: str(Path(str(p)).absolute()) for name, p in files.items()}}


def _other(files: dict[str, Path | None], missing: list[str]) -> str:
    return next(name for name in files if name not in missing)


def _print(settings: BindingSettings, result: BindingResult, output: Path) -> None:
    from nnpmm.freeenergy.binding.report import converged_warning

    print_result("binding free energy at 1 M, kcal/mol")
    for name, total in result.potentials.items():
        print_value(name, total)
        for part, value in result.parts[name].items():
            if value.value or value.error:
                print_value(part, value, indent=4)
    if result.difference is not None:
        print_value("difference", result.difference)
    print_end(converged_warning(settings), output)

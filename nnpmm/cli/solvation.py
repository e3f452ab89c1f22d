"""``nnpmm solvation``: the solvation free energy of a molecule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import stage_bar
from nnpmm.cli.settings_options import merged
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.freeenergy.estimators import Estimate
    from nnpmm.freeenergy.solvation import SolvationResult, SolvationSettings

__all__ = ["solvation"]

#: A value in minutes, to see that all works and what comes out.
_QUICK = {
    "padding": "0.8 nm",
    "ladder": {"time": "25 ps", "equilibration": "10 ps", "state_equilibration": "1 ps"},
}


def solvation(
    config: Annotated[
        Path | None, typer.Argument(help="Settings, one YAML file (see --template).")
    ] = None,
    smiles: Annotated[str | None, typer.Option("--smiles", help="SMILES of the molecule.")] = None,
    ligand: Annotated[
        Path | None, typer.Option("--ligand", help="SDF or MOL2 file of the molecule.")
    ] = None,
    topology: Annotated[
        Path | None, typer.Option("--topology", help="Amber topology of the molecule alone.")
    ] = None,
    coordinates: Annotated[
        Path | None, typer.Option("--coordinates", help="Amber coordinates, with --topology.")
    ] = None,
    solvent: Annotated[
        str | None,
        typer.Option(
            "--solvent",
            help="A water model, or another solvent by its name or SMILES.",
            show_default="water, which is TIP3P",
        ),
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
    route: Annotated[
        str | None,
        typer.Option(
            "--route",
            help="joint, separate, reweighting or correction; see --template.",
            show_default="joint",
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
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A small box and 25 ps for each state: not converged."),
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the calculation.")
    ] = Path("solvation"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the calculation in that folder.")
    ] = False,
    template: Annotated[
        bool, typer.Option("--template", help="Print a commented settings file and end.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Calculate the solvation free energy of a molecule, with the network and the force field.

    Ctrl-C ends it; --resume goes on from the last checkpoint, also after a crash.
    """
    with starting():
        from nnpmm.freeenergy.solvation import SolvationSettings, run_solvation
        from nnpmm.freeenergy.solvation.template import template as commented

    if template:
        typer.echo(commented(), nl=False)
        return
    solute = {
        "smiles": smiles,
        "file": None if ligand is None else str(ligand),
        "topology": None if topology is None else str(topology),
        "coordinates": None if coordinates is None else str(coordinates),
    }
    changes = {
        "solute": {name: value for name, value in solute.items() if value is not None},
        "solvent": solvent,
        "model": model,
        "potentials": potential,
        "route": route,
        "repeats": repeats,
        "ladder": None if time is None else {"time": time},
    }
    settings = _settings(SolvationSettings, config, changes, quick=quick)
    try:
        with stage_bar("solvation") as show:
            result = run_solvation(
                *(settings, output),
                resume=resume,
                announce=_announcer(show),
                compressing=lambda done, total: show("compressing the solvent", done, total),
            )
    except KeyboardInterrupt:
        typer.echo(f"stopped; go on with the same command and --resume ({output})", err=True)
        raise typer.Exit(130) from None
    _print(settings, result, output)


def _settings(
    model: type[SolvationSettings],
    config: Path | None,
    changes: dict[str, Any],
    *,
    quick: bool,
) -> SolvationSettings:
    """Return the settings of the file, if there is one, with those of the command line."""
    from nnpmm.core.settings.reading import parse_settings
    from nnpmm.core.settings.yaml_file import read_yaml

    data: Any = dict(_QUICK) if quick else {}
    base = Path()
    if config is not None:
        read = read_yaml(config)
        if not isinstance(read, dict):
            raise ConfigError(f"{config.name}: found no keys, expected such as 'solute'")
        data, base = merged(data, read), config.absolute().parent
    elif not changes["solute"]:
        raise ConfigError(
            "found no molecule: nnpmm solvation --smiles CO, or --ligand, or a settings file "
            "(--template)"
        )
    given = {name: value for name, value in changes.items() if value not in (None, {})}
    for name in ("file", "topology", "coordinates"):
        if name in given.get("solute", {}):
            given["solute"][name] = str(Path(given["solute"][name]).absolute())
    source = "command line" if config is None else config.name
    return parse_settings(model, merged(data, given), source=source, base=base)


def _announcer(show: Callable[[str, float, float], None]) -> Any:
    """Return what tells a ladder's name on stdout, and its progress to the bar."""

    def announce(ladder: str, repeat: int, repeats: int) -> Callable[[str, int, int], None]:
        typer.echo(f"{ladder} ladder, repeat {repeat} of {repeats}")
        return lambda what, done, total: show(f"repeat {repeat}, {what}", done, total)

    return announce


def _print(settings: SolvationSettings, result: SolvationResult, output: Path) -> None:
    from nnpmm.freeenergy.legs import convergence_warning

    lines: list[tuple[str, Estimate]] = list(result.potentials.items())
    if result.difference is not None:
        lines.append(("difference", result.difference))
    print_result(f"solvation free energy in {settings.solvent.label}, kcal/mol")
    for name, found in lines:
        print_result(
            f"  {name:<12} {found.value / KJ_PER_KCAL:8.2f} +- {found.error / KJ_PER_KCAL:.2f}"
        )
    warning = convergence_warning(settings.ladder)
    if warning is not None:
        print_result(warning)
    print_result(f"report: {output / 'report.html'}")

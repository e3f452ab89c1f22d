"""``nnpmm solvation``: the solvation free energy of a molecule."""

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
    RepeatsOption,
    TimeOption,
    announcer,
    print_end,
    print_value,
)
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import print_report, stage_bar
from nnpmm.cli.settings_options import (
    CoordinatesOption,
    DebugOption,
    LigandOption,
    OutputOption,
    ResumeOption,
    SmilesOption,
    TemplateOption,
    TopologyOption,
    molecule_section,
    resumable,
    settings_with,
)
from nnpmm.cli.solvation_amoeba import amoeba_settings, is_amoeba, run_amoeba
from nnpmm.cli.solvation_campaign import chosen_cluster, run_table
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.campaigns import ClusterSettings, JobReport
    from nnpmm.freeenergy.polarizable import AmoebaSolvationSettings
    from nnpmm.freeenergy.solvation import SolvationResult, SolvationSettings

__all__ = ["solvation"]

#: A test within minutes, which shows the output; not converged.
_QUICK = {"padding": "0.8 nm", "ladder": SHORT_LADDER}


def solvation(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Settings, one YAML file (see --template); or a table of molecules, a CSV file "
            "with the columns name, smiles and, if known, experiment (kcal/mol); or both."
        ),
    ] = None,
    smiles: SmilesOption = None,
    ligand: LigandOption = None,
    topology: TopologyOption = None,
    coordinates: CoordinatesOption = None,
    charge: Annotated[
        int | None,
        typer.Option(
            "--charge",
            help="Net charge that the molecule must have.",
            show_default="the one it has",
        ),
    ] = None,
    solvent: Annotated[
        str | None,
        typer.Option(
            "--solvent",
            help="Water model, or another solvent by name or SMILES.",
            show_default="water, which is TIP3P",
        ),
    ] = None,
    model: NetworkOption = None,
    potential: PotentialsOption = None,
    route: Annotated[
        str | None,
        typer.Option(
            "--route",
            help="Route: joint, separate, reweighting or correction; see --template.",
            show_default="joint",
        ),
    ] = None,
    time: TimeOption = None,
    repeats: RepeatsOption = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Test run with a small box and 25 ps for each state; not converged."
        ),
    ] = False,
    output: OutputOption = Path("solvation"),
    resume: ResumeOption = False,
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, help="Number of molecules or windows at a time."),
    ] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            help="Where jobs run: local, serial, or a YAML file of a cluster.",
            show_default="local, or serial with one worker",
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Also retry molecules of a table that have failed."),
    ] = False,
    pilot: Annotated[
        bool,
        typer.Option(
            "--pilot",
            help="Sample each state briefly (50 ps, or --time), place states, and exit.",
        ),
    ] = False,
    states: Annotated[
        int | None,
        typer.Option(
            "--states",
            min=3,
            help="Number of states that --pilot places.",
            show_default="as many as in the pilot",
        ),
    ] = None,
    template: TemplateOption = False,
    debug: DebugOption = False,
) -> None:
    """Calculate the solvation free energy of a molecule, with the network and the force field.

    Ctrl-C stops the calculation; --resume continues it, also after a crash. For a table, the same
    command continues; the exit status is then 1 if some molecules failed.
    """
    with starting():
        from nnpmm.freeenergy.solvation import SolvationSettings
        from nnpmm.freeenergy.solvation.template import template as commented

    if template:
        typer.echo(commented(), nl=False)
        return
    config, table = _by_kind(files or [])
    if states is not None and not pilot:
        raise ConfigError("--states requires --pilot; without it the settings define the ladders")
    if config is not None and is_amoeba(config):
        given = {
            "a table of molecules": table, "--smiles": smiles, "--ligand": ligand,
            "--topology": topology, "--coordinates": coordinates, "--charge": charge,
            "--solvent": solvent, "--route": route, "--cluster": cluster,
            "--workers": None if workers == 1 else workers,
        }  # fmt: skip
        chosen = {"model": model, "potentials": potential, "repeats": repeats}
        timed = {} if time is None or pilot else {"ladder": {"time": time}}
        amoeba = amoeba_settings(config, chosen | timed, refused=given, quick=quick)
        if pilot:
            _place(amoeba, output, time=time, states=states, resume=resume)
        else:
            run_amoeba(amoeba, output, resume=resume)
        return
    if table is not None and pilot:
        raise ConfigError("found a table of molecules, allowed with --pilot: one molecule")
    solute = molecule_section(smiles, ligand, topology, coordinates, charge)
    options = {
        "solute": solute if table is None else _first(table, solute),
        "solvent": solvent,
        "model": model,
        "potentials": potential,
        "route": route,
        "repeats": repeats,
        "ladder": None
        if time is None or pilot
        else {"time": time},  # --time may be that of the pilot
    }
    settings = settings_with(
        SolvationSettings,
        config,
        options,
        defaults=_QUICK if quick else {},
        required=("solute",),
        missing="found no molecule: nnpmm solvation --smiles CO, or --ligand, or a settings file "
        "(--template)",
    )
    if table is not None:
        run_table(
            table, settings, output, workers=workers, cluster=cluster, retry_failed=retry_failed
        )
    elif pilot:
        _place(settings, output, time=time, states=states, resume=resume)
    else:
        _calculate(settings, output, resume=resume, cluster=cluster, workers=workers)


def _calculate(
    settings: SolvationSettings, output: Path, *, resume: bool, cluster: str | None, workers: int
) -> None:
    """Calculate the free energy of one molecule, and print it."""
    from nnpmm.freeenergy.solvation import run_solvation

    with resumable(output), stage_bar("solvation") as show:
        result = run_solvation(
            settings,
            output,
            resume=resume,
            announce=lambda ladder, *n: announcer(show)(f"{ladder} ladder", *n),
            compressing=lambda done, total: show("compressing the solvent", done, total),
            cluster=_cluster(settings, cluster, workers),
            windows=lambda job, done, total: _report_window(show, job, done, total),
        )
    _print(settings, result, output)


def _cluster(
    settings: SolvationSettings, request: str | None, workers: int
) -> ClusterSettings | None:
    """Return where independent windows run; None if there are none."""
    if settings.ladder.exchange:
        if request is not None or workers > 1:
            raise ConfigError(
                "found --workers or --cluster, allowed: with a table of molecules, or with "
                "ladder.exchange off; states that exchange replicas run in one process"
            )
        return None
    return chosen_cluster(settings, request, workers)


def _report_window(
    show: Callable[[str, float, float], None], job: JobReport, done: int, total: int
) -> None:
    print_report(job, done, total)
    show("windows", done, total)


def _place(
    settings: SolvationSettings | AmoebaSolvationSettings,
    output: Path,
    *,
    time: str | None,
    states: int | None,
    resume: bool,
) -> None:
    """Run a pilot, and print the states that it places."""
    from openmm import unit

    from nnpmm.core.units import parse_quantity
    from nnpmm.freeenergy.polarizable import AmoebaSolvationSettings, run_amoeba_pilot
    from nnpmm.freeenergy.solvation.pilot import run_pilot

    picoseconds = 50.0 if time is None else parse_quantity(time, unit.picosecond)
    if not picoseconds > 0:
        raise ConfigError(f"--time: found {time}, allowed: more than 0 ps")
    with stage_bar("pilot") as show:
        how: dict[str, Any] = {
            "time": picoseconds,
            "count": states,
            "resume": resume,
            "report": show,
        }
        ladder: Any
        if isinstance(settings, AmoebaSolvationSettings):
            ladder = run_amoeba_pilot(settings, output, **how).ladder
        else:
            ladder = run_pilot(settings, output, **how).ladder
    print_result("states at equal thermodynamic length:")
    print_result(f"  electrostatics: {list(ladder.electrostatics)}")
    print_result(f"  sterics: {list(ladder.sterics)}")
    path = output / "settings.yaml"
    print_result(f"nnpmm solvation {path} -o FOLDER calculates with them")


def _by_kind(files: list[Path]) -> tuple[Path | None, Path | None]:
    """Return the settings file and the table of molecules."""
    tables = [path for path in files if path.suffix.lower() == ".csv"]
    others = [path for path in files if path not in tables]
    if len(tables) > 1 or len(others) > 1:
        raise ConfigError(
            f"found {len(others)} settings files and {len(tables)} tables, allowed: one of each"
        )
    return next(iter(others), None), next(iter(tables), None)


def _first(table: Path, solute: dict[str, Any]) -> dict[str, Any]:
    """Return the first molecule of a table, with which the settings of all are checked."""
    from nnpmm.freeenergy.solvation.campaign import read_molecules

    if solute:
        raise ConfigError(f"found a table of molecules, {table}, and a molecule, allowed: one")
    return {"smiles": read_molecules(table)[0].smiles}


def _print(settings: SolvationSettings, result: SolvationResult, output: Path) -> None:
    from nnpmm.freeenergy.legs import convergence_warning

    print_result(f"solvation free energy in {settings.solvent.label}, kcal/mol")
    for name, found in result.potentials.items():
        print_value(name, found)
    if result.difference is not None:
        print_value("difference", result.difference)
    if result.finite_size is not None:
        terms = result.finite_size.terms.items()
        parts = ", ".join(f"{name} {value / KJ_PER_KCAL:.2f}" for name, value in terms)
        print_result(f"corrected for the size of the box: {parts}")
        print_result(f"zero of the potential: {result.finite_size.zero_of_potential}")
    print_end(convergence_warning(settings.ladder), output)

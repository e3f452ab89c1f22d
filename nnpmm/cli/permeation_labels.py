"""``nnpmm permeation label``: free energies of the solutes of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnpmm.cli.settings_options import DebugOption

__all__ = ["label"]

label = typer.Typer(
    no_args_is_help=True, help="Calculate free energies of the solutes of a data set."
)

_Folder = Annotated[Path, typer.Option("--output", "-o", help="Folder of the data set.")]
_Lipid = Annotated[str, typer.Option(help="Lipid of the bilayer.")]
_Solutes = Annotated[str, typer.Option(help="Solutes, as for dataset build.")]
_Scratch = Annotated[Path | None, typer.Option(help="Folder for trajectories.")]
_Threads = Annotated[int, typer.Option(min=1, help="Threads of the engine.")]
_Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting, as in --set production='1 ns'."),
]
_FOLDER = Path("permeation-data")


@label.command()
def decouple(
    lipid: _Lipid = "DOPC",
    solutes: _Solutes = "N0-N0",
    set_: _Changes = None,
    output: _Folder = _FOLDER,
    scratch: _Scratch = None,
    threads: _Threads = 1,
    debug: DebugOption = False,
) -> None:
    """Compute dG of single solutes directly, as anchors and checks of a lipid's table."""
    from nnpmm.cli.progress import stage_bar
    from nnpmm.permeation.dataset.folder import WATER, SoluteJob, read_settings
    from nnpmm.permeation.labels.decoupling import DecouplingSettings
    from nnpmm.permeation.labels.direct import differing_settings, read_anchors, run_direct
    from nnpmm.permeation.martini import lipid as known_lipid
    from nnpmm.permeation.martini.solute_sets import list_solutes
    from nnpmm.permeation.runs.protocol import changed_settings, parse_changes

    settings, work = read_settings(output), (scratch or output / "scratch-labels").resolve()
    base = DecouplingSettings(temperature=settings.protocol.temperature)
    lengths = changed_settings(base, **parse_changes(set_ or []))
    known_lipid(lipid)
    for solute in list_solutes(solutes):
        for place in (WATER, lipid):
            job = SoluteJob(place, solute)
            with stage_bar(job.name) as tell:
                record = run_direct(
                    job,
                    settings,
                    output,
                    work,
                    decoupling=lengths,
                    threads=threads,
                    progress=tell,
                )
            typer.echo(
                f"{job.name}: decoupling {record['decoupling_kj']:.2f} ± "
                f"{record['error_kj']:.2f} kJ/mol, overlap {record['overlap']:.2f}"
            )
            path = output / "labels" / "direct" / place / f"{solute}.json"
            _report_existing(differing_settings(record, lengths), path)
        found = read_anchors(output, lipid, solute)[solute]
        typer.echo(f"{lipid} {solute}: dG {found.free_energy:.2f} ± {found.error:.2f} kcal/mol")


@label.command()
def umbrella(
    lipid: _Lipid = "DOPC",
    solutes: _Solutes = "N0-N0",
    set_: _Changes = None,
    engine: Annotated[str, typer.Option(help="Engine: auto, gromacs or openmm.")] = "auto",
    output: _Folder = _FOLDER,
    scratch: _Scratch = None,
    threads: _Threads = 1,
    debug: DebugOption = False,
) -> None:
    """Compute the free-energy profile of single solutes across a bilayer, with a plot."""
    from nnpmm.cli.progress import stage_bar
    from nnpmm.permeation.dataset.folder import SoluteJob, read_settings
    from nnpmm.permeation.labels.direct import differing_settings, run_umbrella
    from nnpmm.permeation.labels.umbrella import UmbrellaSettings
    from nnpmm.permeation.martini import lipid as known_lipid
    from nnpmm.permeation.martini.solute_sets import list_solutes
    from nnpmm.permeation.runs.protocol import changed_settings, parse_changes

    settings, work = read_settings(output), (scratch or output / "scratch-labels").resolve()
    windows = changed_settings(UmbrellaSettings(), **parse_changes(set_ or []))
    known_lipid(lipid)
    for solute in list_solutes(solutes):
        job = SoluteJob(lipid, solute)
        with stage_bar(job.name) as tell:
            record = run_umbrella(
                job,
                settings,
                output,
                work,
                umbrella=windows,
                engine=engine,
                threads=threads,
                progress=tell,
            )
        results = output / "labels" / "umbrella" / lipid
        typer.echo(
            f"{lipid} {solute}: dG {record['dg_kcal']:.2f} ± {record['error_kcal']:.2f} kcal/mol, "
            f"overlap {record['overlap']:.2f}; profile and plot in {results}"
        )
        _report_existing(differing_settings(record, windows), results / f"{solute}.json")


def _report_existing(other: str, path: Path) -> None:
    """Report that a result existed before, calculated with other settings."""
    if other:
        typer.echo(f"  exists already, with {other}; delete {path} to make it again")


@label.command()
def linear(
    lipid: _Lipid = "DOPC",
    solutes: _Solutes = "dimers",
    output: _Folder = _FOLDER,
    debug: DebugOption = False,
) -> None:
    """Compute dG of all solutes of a shape from the runs of some, anchored at direct values."""
    from nnpmm.permeation.labels.store import label_linear
    from nnpmm.permeation.martini.solute_sets import list_solutes

    labels, record = label_linear(output, lipid, list_solutes(solutes))
    for solute, (difference, error) in record["residuals"].items():
        typer.echo(f"anchor {solute}: direct - predicted {difference:.2f} ± {error:.2f} kcal/mol")
    if record["error_scale"] > 1:
        typer.echo(f"anchors scatter: their errors are taken {record['error_scale']:.2f} times")
    worst = max(found.error for found in labels)
    typer.echo(
        f"{len(labels)} labels in {output / 'labels' / f'{lipid}.csv'}, largest error "
        f"{worst:.2f} kcal/mol; overlap {record['overlap']['membrane']:.2f} in the membrane, "
        f"{record['overlap']['water']:.2f} in water"
    )

"""``nnpmm conformers``: low-energy conformers of a molecule, and the strain of a pose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import stage_bar
from nnpmm.cli.settings_options import (
    CoordinatesOption,
    DebugOption,
    LigandOption,
    OutputOption,
    SmilesOption,
    TopologyOption,
    molecule_section,
    resumable,
)
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.conformers import ConformerResult

__all__ = ["conformers"]

_MOST_PRINTED = 20


def conformers(
    smiles: SmilesOption = None,
    ligand: LigandOption = None,
    topology: TopologyOption = None,
    coordinates: CoordinatesOption = None,
    generator: Annotated[
        list[str] | None,
        typer.Option(
            "--generator",
            help="etkdg, monte-carlo, systematic, confab or torsionnet; may be repeated.",
            show_default="etkdg",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            help="Number of geometries from each generator except systematic.",
            show_default="50, 200 or 300, by the number of rotatable bonds",
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="Folder of nnpmm torsionnet train, for torsionnet."),
    ] = None,
    model: Annotated[str, typer.Option("--model", help="The network.")] = "ANI-2x",
    solvent: Annotated[
        str, typer.Option("--solvent", help="vacuum, or water (generalised Born model).")
    ] = "vacuum",
    parameters: Annotated[
        str,
        typer.Option(
            "--parameters",
            help="Source of the charges for water: auto, openff, amber, amber-abcg2, fallback.",
        ),
    ] = "auto",
    temperature: Annotated[
        str, typer.Option("--temperature", help="Temperature of populations.")
    ] = "298.15 K",
    window: Annotated[
        float,
        typer.Option("--window", help="Keep conformers up to this relative energy, kcal/mol."),
    ] = 6.0,
    rmsd: Annotated[
        str, typer.Option("--rmsd", help="Conformers closer than this RMSD are the same.")
    ] = "0.025 nm",
    free_energies: Annotated[
        bool,
        typer.Option("--free-energies", help="Calculate populations from harmonic free energies."),
    ] = False,
    pose: Annotated[
        Path | None,
        typer.Option("--pose", help="Structure with the pose whose strain is calculated."),
    ] = None,
    selection: Annotated[
        str | None,
        typer.Option("--selection", help="Ligand in that structure, such as 'resname LIG'."),
    ] = None,
    restraint_width: Annotated[
        str,
        typer.Option(
            "--restraint-width", help="Heavy atoms of the pose move freely within this distance."
        ),
    ] = "0.03 nm",
    restraint_constant: Annotated[
        str, typer.Option("--restraint-constant", help="Force constant beyond that distance.")
    ] = "10000 kJ/mol/nm^2",
    seed: Annotated[int, typer.Option("--seed", help="Random seed of the generators.")] = 0,
    output: OutputOption = Path("conformers"),
    debug: DebugOption = False,
) -> None:
    """Find the low-energy conformers of a molecule with a network, and the strain of a pose.

    Ctrl-C stops the search; the same command continues it.
    """
    with starting():
        from nnpmm.conformers import ConformerSettings, run_conformers
        from nnpmm.core.settings.reading import parse_settings

    molecule = molecule_section(smiles, ligand, topology, coordinates)
    if not molecule:
        raise ConfigError("found no molecule: nnpmm conformers --smiles CCCCO, or --ligand FILE")
    data = {
        "molecule": molecule | {"parameters": parameters},
        "generators": generator or ["etkdg"],
        "count": count,
        "policy": None if policy is None else str(policy.absolute()),
        "model": model,
        "solvent": solvent,
        "temperature": temperature,
        "window": window * KJ_PER_KCAL,
        "rmsd": rmsd,
        "free_energies": free_energies,
        "pose": None if pose is None else str(pose.absolute()),
        "selection": selection,
        "restraint_width": restraint_width,
        "restraint_constant": restraint_constant,
        "seed": seed,
    }
    settings = parse_settings(ConformerSettings, data, source="command line")
    with resumable(output, "the same command"), stage_bar("conformers") as show:
        result = run_conformers(settings, output, report=show)
    _print(result, output)


def _print(result: ConformerResult, output: Path) -> None:
    from nnpmm.conformers.report import conformer_rows

    rows = conformer_rows(result)
    print_result("conformer   kcal/mol (spread)   free energy   copies   population / % (spread)")
    for number, energy, error, free, copies, share, share_error in rows[:_MOST_PRINTED]:
        print_result(
            f"{number:>9}{energy:>11} ({error}){free:>14}{copies:>9}{share:>17} ({share_error})"
        )
    if len(rows) > _MOST_PRINTED:
        print_result(f"and {len(rows) - _MOST_PRINTED} more")
    if result.strain is not None and result.pose is not None:
        strain, spread, minimum = (
            value / KJ_PER_KCAL
            for value in (result.strain.restrained, result.strain.spread, result.strain.minimum)
        )
        print_result(
            f"strain of the pose: {strain:.1f} ± {spread:.1f} kcal/mol (moved by "
            f"{10 * result.pose.moved:.2f} A), of the minimum next to it {minimum:.1f} (moved by "
            f"{10 * result.pose.minimum_moved:.2f} A)"
        )
    print_result(f"conformers: {output / 'conformers.sdf'}, report: {output / 'report.html'}")

"""``nnpmm scan``: torsion profiles of a molecule."""

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
    from nnpmm.torsions import ScanResult

__all__ = ["scan"]


def scan(
    smiles: SmilesOption = None,
    ligand: LigandOption = None,
    topology: TopologyOption = None,
    coordinates: CoordinatesOption = None,
    bond: Annotated[
        list[str] | None,
        typer.Option(
            "--bond",
            help="Bond, by its 0-based atoms 3-7 or by a torsion 1-3-7-8; may be repeated.",
            show_default="the rotatable bonds between heavy atoms",
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Include bonds that only turn hydrogens: methyl, hydroxyl."),
    ] = False,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Network; repeat the option to compare several.",
            show_default="ANI-2x",
        ),
    ] = None,
    parameters: Annotated[
        str,
        typer.Option(
            "--parameters",
            help="Source of the force field: auto, openff, amber, amber-abcg2, fallback; or none.",
        ),
    ] = "auto",
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference", help="CSV file: torsion, angle_degrees, energy_kcal_mol (or kj_mol)."
        ),
    ] = None,
    spacing: Annotated[
        float, typer.Option("--spacing", help="Spacing of the angles, degrees.")
    ] = 15.0,
    seed: Annotated[
        int, typer.Option("--seed", help="Random seed of the conformer of --smiles.")
    ] = 0,
    output: OutputOption = Path("scan"),
    debug: DebugOption = False,
) -> None:
    """Scan the torsions of a molecule with networks and a force field, relaxing everything else.

    Ctrl-C stops the scan; the same command continues it.
    """
    with starting():
        from nnpmm.core.settings.reading import parse_settings
        from nnpmm.torsions import ScanSettings, run_scan

    if bond and every:
        raise ConfigError("found --bond and --all, allowed: one of them")
    molecule = molecule_section(smiles, ligand, topology, coordinates)
    if not molecule:
        raise ConfigError("found no molecule: nnpmm scan --smiles CCCC, or --ligand FILE")
    if parameters != "none":
        molecule["parameters"] = parameters
    data = {
        "molecule": molecule,
        "bonds": bond or [],
        "hydrogen_rotors": every,
        "models": model or ["ANI-2x"],
        "force_field": parameters != "none",
        "spacing": spacing,
        "reference": None if reference is None else str(reference.absolute()),
        "seed": seed,
    }
    settings = parse_settings(ScanSettings, data, source="command line")
    with resumable(output, "the same command"), stage_bar("scan") as show:
        result = run_scan(settings, output, report=show)
    _print(result, output)


def _print(result: ScanResult, output: Path) -> None:
    from nnpmm.torsions import bond_errors, flagged_bonds
    from nnpmm.torsions.profiles import relative, rotamers

    print_result(f"{'bond':<12}{'barrier':>9}  rotamers (degrees: kcal/mol), {result.network}")
    for place, bond in enumerate(result.scan.bonds):
        heights = relative(result.scan.energies[place]) / KJ_PER_KCAL
        found = "  ".join(
            f"{result.scan.angles[at]:g}: {heights[at]:.1f}"
            for at in rotamers(result.scan.energies[place])
        )
        print_result(f"{bond.name:<12}{heights.max():9.1f}  {found}")
        for name, errors in bond_errors(result, place).items():
            print_result(
                f"{'':<12}{name}: RMSE {errors.rmse / KJ_PER_KCAL:.2f}, "
                f"barrier {errors.barrier / KJ_PER_KCAL:+.2f}, "
                f"rotamer {errors.rotamer / KJ_PER_KCAL:.2f} kcal/mol"
            )
    for bond, error in flagged_bonds(result):
        print_result(
            f"{bond.name}: force field and {result.network} differ by {error / KJ_PER_KCAL:.1f} "
            "kcal/mol at a rotamer"
        )
    print_result(f"report: {output / 'report.html'}")

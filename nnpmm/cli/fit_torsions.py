"""``nnpmm fit-torsions``: torsion terms of a force field from the scans of a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import stage_bar
from nnpmm.cli.settings_options import DebugOption
from nnpmm.core.constants import KJ_PER_KCAL

if TYPE_CHECKING:
    from nnpmm.torsions import RefitResult

__all__ = ["fit_torsions"]


def fit_torsions(
    directory: Annotated[Path, typer.Argument(help="Output folder of nnpmm scan.")] = Path("scan"),
    conformers: Annotated[
        int,
        typer.Option("--conformers", min=2, help="Number of conformers that test the fit."),
    ] = 30,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Random seed of these conformers.")
    ] = 0,
    debug: DebugOption = False,
) -> None:
    """Fit torsion terms to a scan; write OpenMM XML, Amber frcmod and mol2, and a System."""
    with starting():
        from nnpmm.torsions import run_refit
        from nnpmm.torsions.workflow import read_settings_of

    settings = read_settings_of(directory)
    try:
        with stage_bar("fit") as show:
            result = run_refit(settings, directory, conformers=conformers, seed=seed, report=show)
    except KeyboardInterrupt:
        typer.echo(f"stopped; the scans in {directory} are kept", err=True)
        raise typer.Exit(130) from None
    _print(result, directory)


def _print(result: RefitResult, directory: Path) -> None:
    print_result(f"RMSE to {result.scan.network}, kcal/mol {'before':>12}{'after':>9}")
    names = [bond.name for bond in result.scan.scan.bonds]
    rows = list(zip(names, result.before, result.after, strict=True))
    for name, before, after in [*rows, (f"{result.conformers} conformers", *result.held_out)]:
        print_result(f"{name:<24}{before / KJ_PER_KCAL:12.2f}{after / KJ_PER_KCAL:9.2f}")
    if result.without_frcmod is not None:
        print_result(f"no frcmod file: {result.without_frcmod}")
    print_result(f"report: {directory / 'refit' / 'report.html'}")

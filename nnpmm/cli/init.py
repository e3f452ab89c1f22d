"""``nnpmm init``: write an initial settings file for given files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnpmm.cli.narration import narrated, starting
from nnpmm.cli.settings_options import DebugOption, SmilesOption

__all__ = ["init"]


def init(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="The system: prmtop + inpcrd, top + gro, psf + crd + parameters, System XML + "
            "pdb, protein pdb + ligand sdf, a ligand file, or SMILES.",
            show_default=False,
        ),
    ] = None,
    smiles: SmilesOption = None,
    ligand: Annotated[
        str | None, typer.Option(help="Residue name of the ligand, which becomes the region.")
    ] = None,
    selection: Annotated[
        str | None,
        typer.Option(help="The region in mdtraj's selection language, instead of --ligand."),
    ] = None,
    model: Annotated[str, typer.Option(help="Network or model file.")] = "ANI-2x",
    box: Annotated[
        str | None, typer.Option(help="Box edges in nm for CHARMM files, such as 6,6,6.")
    ] = None,
    include: Annotated[
        list[Path] | None,
        typer.Option(
            "--include", "-I", help="Folder that contains #include files of a GROMACS topology."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Settings file to write.")] = Path(
        "md.yaml"
    ),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the settings file.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Write a short settings file for nnpmm run, with a time step of 4 fs if possible."""
    with starting():
        from nnpmm.simulation.starter import write_settings

    with narrated():
        lines = write_settings(
            files or [],
            output,
            smiles=smiles,
            ligand=ligand,
            selection=selection,
            model=model,
            box=box,
            include=include or [],
            overwrite=overwrite,
        )
    for line in lines:
        typer.echo(line)
    typer.echo(f"test it: nnpmm run {output} --dry-run")
    typer.echo(f"run it: nnpmm run {output}")

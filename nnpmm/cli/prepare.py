"""``nnpmm prepare`` and ``prepare-nnp``: select a region, write the network that describes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import run_app
from nnpmm.cli.narration import starting
from nnpmm.cli.settings_options import DebugOption, OutputOption
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.models.preparation import Prepared

__all__ = ["main", "prepare"]


def prepare(
    structure: Annotated[
        Path, typer.Argument(help="Structure: PDB, mmCIF, GRO, Amber prmtop, SDF or MOL2.")
    ],
    selection: Annotated[
        str, typer.Option(help='The region in mdtraj\'s selection language, such as "resname MOL".')
    ],
    model: Annotated[
        str, typer.Option(help="Network: ANI-2x, ANI-1x, ANI-1ccx or AIMNet2.")
    ] = "ANI-2x",
    members: Annotated[
        str | None, typer.Option(help="Members of the ensemble, such as 0 or 0,3; default: all.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Folder with ANI in NeuroChem layout, or AIMNet2's published file."),
    ] = None,
    coordinates: Annotated[
        Path | None, typer.Option(help="Coordinates (inpcrd or rst7) of an Amber topology.")
    ] = None,
    charge: Annotated[
        int | None, typer.Option(help="Formal charge of the region, if the file does not state it.")
    ] = None,
    link_atoms: Annotated[
        str | None,
        typer.Option(
            help="Single bonds that the selection may cut, capped with hydrogens: C-C, or several "
            'such as C-C,C-S; "any single"; amide'
        ),
    ] = None,
    output: OutputOption = Path("."),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    debug: DebugOption = False,
) -> None:
    """Select a region of a structure, check it, and write model.json, its weights and model.pt."""
    with starting():
        from nnpmm.models.preparation import prepare_nnp

    prepared = prepare_nnp(
        structure,
        selection,
        model,
        members=_members(members),
        weights=weights,
        coordinates=coordinates,
        charge=charge,
        link_atoms=None if link_atoms is None else [k.strip() for k in link_atoms.split(",")],
        output=output,
        overwrite=overwrite,
    )
    _report(prepared)


def _members(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(
            f"found --members {text!r}, expected 0-based indices such as 0 or 0,3"
        ) from None


def _report(prepared: Prepared) -> None:
    region, model = prepared.region, prepared.model
    charge = {None: "unknown", 0: "0"}.get(region.formal_charge, f"{region.formal_charge or 0:+d}")
    residues = ", ".join(region.residues[:10]) + (" ..." if len(region.residues) > 10 else "")
    for key, value in (
        ("atoms", str(len(region.atoms))),
        ("formula", region.formula),
        ("formal charge", f"{charge} ({region.charge_source})"),
        ("residues", residues),
        ("link atoms", ", ".join(region.cut_bonds)),
        ("model", f"{model.name}, {len(model.parameters.members)} networks"),
        ("weights", model.source),
        ("written", f"{prepared.model_file}, model.safetensors and model.pt"),
    ):
        if value:  # most regions have no link atoms
            typer.echo(f"{key:<14} {value}")


app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(prepare)


def main() -> None:
    """Entry point of ``prepare-nnp``."""
    run_app(app)

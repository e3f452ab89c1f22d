"""``nnpmm permeation map``: a molecule as Martini beads, without simulating it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnpmm.cli.settings_options import DebugOption

__all__ = ["map_"]


def map_(
    smiles: Annotated[str, typer.Option(help="The molecule, such as CCCCO.")],
    log_p: Annotated[
        float | None,
        typer.Option(
            "--log-p", help="Octanol/water logP, if it is known.", show_default="estimated"
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG file to write.")] = Path(
        "mapping.png"
    ),
    debug: DebugOption = False,
) -> None:
    """Map a molecule to beads; print their types and origin, and draw them."""
    from rdkit import Chem
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from nnpmm.core.files import require_suffix, write_atomically
    from nnpmm.permeation.mapping import map_smiles
    from nnpmm.permeation.mapping.drawing import mapping_png

    require_suffix(output, ".png")
    found = map_smiles(smiles, log_p=log_p)
    write_atomically(output, mapping_png(found))
    title = escape(f"{found.smiles}: {found.graph}")  # rich would read [nH] as markup
    table = Table("bead", "fragment", "kJ/mol", "type", title=title)
    for bead in found.beads:
        fragment = Chem.MolFragmentToSmiles(found.molecule, atomsToUse=bead.atoms)
        source = "published" if bead.published else "estimated"
        table.add_row(bead.type, escape(fragment), f"{bead.free_energy:.1f}", source)
    Console().print(table)
    error = found.log_p_error
    source = "given" if error is None else f"± {error:.2f} estimated"
    typer.echo(f"octanol/water logP: {found.log_p:.2f} {source}, {found.bead_log_p:.2f} as beads")
    typer.echo(f"{output}")

"""``nnpmm demo``: a short NNP/MM simulation of a ligand from its SMILES."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnpmm.cli.narration import narrated, starting
from nnpmm.cli.run import report_result
from nnpmm.cli.settings_options import DebugOption, OutputOption

__all__ = ["demo"]


def demo(
    output: OutputOption = Path("nnpmm-demo"),
    smiles: Annotated[str, typer.Option(help="SMILES of the ligand; default: paracetamol.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run.")] = False,
    debug: DebugOption = False,
) -> None:
    """Build a drug-like ligand in water, simulate it with NNP/MM, and draw a report."""
    with starting():
        from nnpmm import simulation
        from nnpmm.core.errors import ConfigError
        from nnpmm.simulation.demo import PARACETAMOL, choose_demo_model, demo_config
        from nnpmm.simulation.record.storage import has_run

    if has_run(output) and not overwrite:
        raise ConfigError(
            f"{output} already contains a run: replace it (--overwrite), or choose another folder "
            "(--output)"
        )
    ligand = smiles or PARACETAMOL
    model, reason = choose_demo_model()
    typer.echo(f"ligand {ligand}" + ("" if smiles else " (paracetamol)"))
    typer.echo(f"model  {reason}")
    with narrated():
        result = simulation.run(demo_config(output, model, ligand), overwrite=overwrite)
    report_result(result, remedy="start again with: nnpmm demo --overwrite")

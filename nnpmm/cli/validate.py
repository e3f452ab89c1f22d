"""``nnpmm validate``: check a potential."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.narration import starting
from nnpmm.cli.progress import stage_bar
from nnpmm.cli.settings_options import DebugOption

if TYPE_CHECKING:
    from nnpmm.models import Potential
    from nnpmm.models.validation import Validation

__all__ = ["validate"]

_WIDE = 130  # characters; narrower terminals get no column of sentences
_COLORS = {"pass": "green", "warn": "yellow", "fail": "red"}


def validate(
    model: Annotated[str, typer.Argument(help="Name or file of a model, as for nnpmm.load_model.")],
    molecule: Annotated[
        list[str] | None,
        typer.Option(
            "--molecule",
            help="SMILES, SDF or MOL2 file; may be repeated.",
            show_default="those of water, methanol, acetamide, benzene, acetate that it supports",
        ),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(
            "--family", help="Family of the model, if several have its name; such as openmm-ml."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="Device: auto, cpu, cuda, cuda:1.")
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            "--precision", help="single, or double, which separates rounding from errors."
        ),
    ] = "single",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Output folder of validation.json, .png and .svg."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON on stdout.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Check a potential: forces, symmetries, dynamics, walls, modes, fragments, box, cost.

    The exit status is 0 if all checks pass, 1 if one fails, 2 for bad input.
    """
    with starting():
        from nnpmm.core.files import require_folder
        from nnpmm.models.validation import record_of, write_report
        from nnpmm.models.validation import validate as run_checks

    if output is not None:
        require_folder(output)
    # torchani prints while it loads a model; stdout is for the result.
    with stage_bar("validate") as show, redirect_stdout(sys.stderr):
        found = run_checks(
            _load(model, family, device, precision),
            molecule or (),
            progress=show,
        )
    if output is not None:
        write_report(output, found)
    if as_json:
        print_result(json.dumps(record_of(found), indent=1, ensure_ascii=False))
    else:
        _print(found, output)
    if found.verdict == "fail":
        raise typer.Exit(1)


def _load(name: str, family: str | None, device: str, precision: str) -> Potential:
    """Return the model; with the family openmm-ml its own, also if nnpmm has the same name."""
    from nnpmm.core.errors import ModelError
    from nnpmm.models import load_model
    from nnpmm.models.openmm_ml import OpenmmMlModel, openmm_ml_names

    if family == "openmm-ml" and name in (openmm_ml_names() or ()):
        if precision != "single":
            raise ModelError(
                f"{name}: found the precision {precision!r}, the family openmm-ml takes: device; "
                "leave out the precision"
            )
        return OpenmmMlModel(name, device)
    return load_model(name, device=device, precision=precision, family=family)


def _print(found: Validation, output: Path | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from nnpmm.models.validation.report import bound_text, value_text

    console = Console()
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    columns = ["check", "", "worst", "unit", "pass (fail)", "molecule"]
    for column in columns + (["what is measured"] if console.width >= _WIDE else []):
        table.add_column(column, overflow="fold")
    remarks = []
    for check in found.checks:
        worst = found.worst(check.name)
        color = _COLORS.get(worst.verdict)
        mark = f"[{color}]{worst.verdict}[/{color}]" if color else worst.verdict
        cells = [check.name, mark, value_text(worst), check.unit, bound_text(check), worst.molecule]
        table.add_row(*cells, *([escape(check.figure)] if console.width >= _WIDE else []))
        if worst.verdict in ("warn", "fail"):
            what = f"{check.name}, {worst.molecule}: {worst.note} ({check.figure})"
            remarks.append(f"{worst.verdict}: {what}: {check.beyond}")
    console.print(table)
    for remark in remarks:
        print_result(remark)
    for name, reason in found.left_out.items():
        print_result(f"left out: {name} ({reason})")
    print_result(f"{found.model.get('model', 'model')}: {found.verdict}")
    if output is not None:
        print_result(f"picture and figures: {output}")

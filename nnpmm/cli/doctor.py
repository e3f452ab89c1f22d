"""``nnpmm doctor``: check versions, platforms, backends and weights."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nnpmm.cli.narration import starting
from nnpmm.cli.settings_options import DebugOption

__all__ = ["doctor"]

_MARKS = {True: "[green]ok[/green]", None: "[yellow]-[/yellow]", False: "[red]FAIL[/red]"}


def doctor(
    debug: DebugOption = False,
) -> None:
    """Show versions, OpenMM platforms, backends, and where each model's weights come from.

    The exit status is 0 if hybrid simulations can run here, otherwise 1.
    """
    with starting():
        from nnpmm.diagnosis import diagnose

        findings = diagnose()
    table = Table(title="nnpmm doctor")
    for column in ("", "what", "", "detail"):
        table.add_column(column, overflow="fold")
    last = ""
    for finding in findings:
        group = "" if finding.group == last else finding.group
        table.add_row(group, finding.subject, _MARKS[finding.ok], escape(finding.detail))
        last = finding.group
    Console().print(table)
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)

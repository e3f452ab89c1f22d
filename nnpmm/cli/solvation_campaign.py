"""``nnpmm solvation molecules.csv``: the solvation free energies of a table of molecules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nnpmm.cli.errors import print_result
from nnpmm.cli.progress import campaign_bar
from nnpmm.cli.settings_options import resumable

if TYPE_CHECKING:
    from nnpmm.campaigns import ClusterSettings
    from nnpmm.freeenergy.solvation import SolvationSettings
    from nnpmm.freeenergy.solvation.summary import SummaryRow

__all__ = ["chosen_cluster", "run_table"]


def chosen_cluster(
    settings: SolvationSettings, request: str | None, workers: int
) -> ClusterSettings:
    """Return the requested cluster, or this machine with one or several jobs at a time."""
    from nnpmm.campaigns import read_cluster
    from nnpmm.freeenergy.solvation.campaign import threads_for

    where = request or ("serial" if workers == 1 else "local")
    return read_cluster(where, workers=workers, threads=threads_for(settings, workers))


def run_table(
    table: Path,
    settings: SolvationSettings,
    output: Path,
    *,
    workers: int,
    cluster: str | None,
    retry_failed: bool,
) -> None:
    """Calculate all molecules of a table, and print and write the results.

    Raises:
        NnpmmError: the table or the settings are not usable, or all molecules failed.
    """
    from nnpmm.campaigns import require_some
    from nnpmm.freeenergy.solvation.campaign import read_molecules, run_solvation_campaign
    from nnpmm.freeenergy.solvation.summary import summarize, write_summary

    molecules = read_molecules(table)
    where = chosen_cluster(settings, cluster, workers)
    with resumable(output, "the same command"), campaign_bar("molecules") as (report, _):
        jobs, store, result = run_solvation_campaign(
            molecules,
            settings,
            output,
            cluster=where,
            retry_failed=retry_failed,
            report=report,
        )
    rows = summarize(molecules, jobs, store)
    paths = write_summary(output, rows, settings)
    _print(rows, settings)
    print_result(f"summary: {', '.join(str(path) for path in paths)}")
    require_some(result)
    missing = [row.molecule.name for row in rows if not row.values]
    if missing:
        typer.echo(
            f"{len(missing)} of {len(rows)} molecules have no result: {', '.join(missing)}",
            err=True,
        )
        raise typer.Exit(1)


def _print(rows: Sequence[SummaryRow], settings: SolvationSettings) -> None:
    from nnpmm.freeenergy.legs import convergence_warning

    print_result(f"solvation free energy in {settings.solvent.label}, kcal/mol")
    width = max(len(row.molecule.name) for row in rows)
    for row in rows:
        values = [
            f"{name} {found.value:8.2f} ± {found.error:.2f}" for name, found in row.values.items()
        ]
        if row.molecule.experiment is not None:
            values.append(f"experiment {row.molecule.experiment:8.2f}")
        text = "   ".join(values) if row.values else f"no result; {row.failure}".rstrip("; ")
        print_result(f"  {row.molecule.name:<{width}} {text}")
    warning = convergence_warning(settings.ladder)
    if warning is not None:
        print_result(warning)

"""The results of a campaign as CSV, JSON and a page with a parity plot."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnpmm.campaigns import Job, Store
from nnpmm.core.files import write_atomically
from nnpmm.freeenergy.estimators import Estimate
from nnpmm.freeenergy.legs import POTENTIALS, convergence_warning
from nnpmm.freeenergy.solvation.campaign import QUANTITIES, Molecule
from nnpmm.freeenergy.solvation.settings import SolvationSettings
from nnpmm.learning.metrics import compare
from nnpmm.plots import Pairs, plot_parity
from nnpmm.plots.page import Page

__all__ = ["SummaryRow", "summarize", "write_summary"]

_CSV, _JSON, _PAGE, _PICTURE = "summary.csv", "summary.json", "summary.html", "parity.png"


@dataclass(frozen=True)
class SummaryRow:
    """The result of one molecule.

    Attributes:
        molecule: of the table.
        values: free energies by name, out of `QUANTITIES`, kcal/mol; empty without a result.
        failure: the reason of the failure in one line; empty if there is none.
    """

    molecule: Molecule
    values: dict[str, Estimate]
    failure: str = ""


def summarize(molecules: Sequence[Molecule], jobs: Sequence[Job], store: Store) -> list[SummaryRow]:
    """Return the results of a campaign so far.

    Args:
        molecules: of the table.
        jobs: of the molecules, in the same order.
        store: of their results.

    Raises:
        InputFileError: a result is damaged.
    """
    rows = []
    for molecule, job in zip(molecules, jobs, strict=True):
        values: dict[str, Estimate] = {}
        failure = store.reasons(job)[-1] if store.is_given_up(job) else ""
        if store.is_done(job):
            record = store.record(job)
            for name in QUANTITIES:
                if name in record:
                    found = record[name]
                    values[name] = Estimate(found["kcal/mol"], found["error_kcal/mol"])
        rows.append(SummaryRow(molecule, values, failure))
    return rows


def write_summary(
    directory: Path, rows: Sequence[SummaryRow], settings: SolvationSettings
) -> list[Path]:
    """Write summary.csv, summary.json, summary.html, and parity.png if experiments are known.

    Args:
        directory: of the campaign.
        rows: from `summarize`.
        settings: of the campaign.

    Returns:
        The files.

    Raises:
        UnwritableError: a file cannot be written.
    """
    agreement = {
        potential: compare(*(np.array(side) for side in (pairs.predicted, pairs.reference)))
        for potential, pairs in _pairs(rows).items()
    }
    record = {
        "unit": "kcal/mol",
        "solvent": settings.solvent.label,
        "molecules": [_record(row) for row in rows],
        "agreement": {name: found.model_dump() for name, found in agreement.items()},
    }
    paths = [directory / name for name in (_CSV, _JSON, _PAGE)]
    page = Page(f"Solvation free energies in {settings.solvent.label}")
    warning = convergence_warning(settings.ladder)
    if warning is not None:
        page.paragraph(warning, note=True)
    names = _names(rows)
    header = ["molecule", *names, "experiment", ""]
    page.table(header, ([*_cells(row, names)] for row in rows))
    if agreement:
        figure = plot_parity(
            _pairs(rows),
            xlabel="experiment / (kcal/mol)",
            ylabel="calculated / (kcal/mol)",
        )
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
        write_atomically(directory / _PICTURE, picture.getvalue())
        paths.append(directory / _PICTURE)
        page.figure(figure, "Calculated against measured. Bars are standard errors.")
        for name, found in agreement.items():
            page.paragraph(
                f"{name}: mean absolute error {found.mae:.2f}, root mean square {found.rmse:.2f} "
                f"kcal/mol for {found.samples} molecules."
            )
    write_atomically(paths[0], _table(rows))
    write_atomically(paths[1], json.dumps(record, indent=1) + "\n")
    write_atomically(paths[2], page.text())
    return paths


def _names(rows: Sequence[SummaryRow]) -> list[str]:
    """Return the quantities that at least one molecule has."""
    return [name for name in QUANTITIES if any(name in row.values for row in rows)]


def _pairs(rows: Sequence[SummaryRow]) -> dict[str, Pairs]:
    """Return calculated and measured values of each potential, where there are both."""
    found: dict[str, Pairs] = {}
    for potential in POTENTIALS:
        known = [
            (row.molecule.experiment, row.values[potential].value, row.values[potential].error)
            for row in rows
            if row.molecule.experiment is not None and potential in row.values
        ]
        if known:
            measured, values, errors = np.array(known).T
            found[potential] = Pairs(measured, values, predicted_error=errors)
    return found


def _record(row: SummaryRow) -> dict[str, Any]:
    values = {name: asdict(estimate) for name, estimate in row.values.items()}
    return {**asdict(row.molecule), **values, "failure": row.failure or None}


def _table(rows: Sequence[SummaryRow]) -> str:
    names, text = _names(rows), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{name}{what}" for name in names for what in ("", " error")]
    writer.writerow(["name", "smiles", *columns, "experiment", "failure"])
    for row in rows:
        cells = [row.molecule.name, row.molecule.smiles]
        for name in names:
            estimate = row.values.get(name)
            cells += (
                ["", ""] if estimate is None else [f"{x:.3f}" for x in asdict(estimate).values()]
            )
        measured = row.molecule.experiment
        writer.writerow([*cells, "" if measured is None else f"{measured:g}", row.failure])
    return text.getvalue()


def _cells(row: SummaryRow, names: Sequence[str]) -> list[str]:
    values = [
        f"{row.values[name].value:.2f} ± {row.values[name].error:.2f}"
        if name in row.values
        else "-"
        for name in names
    ]
    measured = row.molecule.experiment
    return [
        row.molecule.name,
        *values,
        "" if measured is None else f"{measured:.2f}",
        row.failure,
    ]

"""The report of an evaluation: tables on the screen and in files, and plots."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from nnpmm.core.files import write_atomically
from nnpmm.learning import Report
from nnpmm.permeation.files import save_figure
from nnpmm.permeation.networks import figures
from nnpmm.permeation.networks.evaluation import Evaluation, frames_study, polarity
from nnpmm.permeation.networks.published import PUBLISHED, Published
from nnpmm.permeation.networks.regressor import Regressor

__all__ = ["REPORT_FILE", "predictions_table", "report_tables", "reports_by_group", "write_report"]

REPORT_FILE = "evaluation.json"
_SCORES = ("mae", "rmse", "largest", "r2", "pearson", "spearman")
_HEADERS = ("MAE", "RMSE", "largest", "R2", "Pearson", "Spearman")
_NARROW: dict[str, Any] = {"box": box.HORIZONTALS, "padding": (0, 1, 0, 0)}  # for 80 columns
_FRAME_COUNTS = (5, 10, 20, 35, 50, 75, 100, 150, 200, 250, 300, 350)

#: Reports of the groups of samples, by the property that defines the groups, such as ``lipid``.
Reports = Mapping[str, Mapping[str, Report]]


def reports_by_group(found: Evaluation) -> Reports:
    """Return metrics by part and, of samples not used for training, by lipid and polarity."""
    groups = {"part": found.by_part()}
    unseen = found.unseen()
    groups["lipid"] = unseen.grouped(unseen.data.lipids)
    groups["polarity"] = unseen.grouped([polarity(solute) for solute in unseen.data.solutes])
    return {
        by: {name: group.report() for name, group in members.items()}
        for by, members in groups.items()
    }


def report_tables(reports: Reports, beads: Collection[int] = ()) -> list[Table]:
    """Return the metrics of all groups, and what was published of solutes of that size.

    Args:
        reports: of the groups.
        beads: numbers of beads of the solutes.
    """
    table = Table(title="kcal/mol; errors: rms over predicted error, ideally 1", **_NARROW)
    table.add_column("samples")
    for name in ("n", *_HEADERS, "errors"):
        table.add_column(name, justify="right")
    for groups in reports.values():
        for name, report in groups.items():
            m = report.metrics
            numbers = (*(getattr(m, score) for score in _SCORES), report.calibration.rms)
            cells = ["-" if number is None else f"{number:.3f}" for number in numbers]
            table.add_row(name, str(m.samples), *cells)
        table.add_section()
    published = [row for row in PUBLISHED if row.beads in beads]
    return [table, _published_table(published)] if published else [table]


def _published_table(rows: Sequence[Published]) -> Table:
    table = Table(title="published: Dutta et al., Digital Discovery 2023", **_NARROW)
    for name in ("network", "beads", "ns", *_HEADERS):
        table.add_column(name, justify="left" if name == "network" else "right")
    for row in rows:
        cells = [row.scores.get(score, "-") for score in _SCORES]
        table.add_row(", ".join(row.networks), str(row.beads), str(row.nanoseconds), *cells)
    return table


def write_report(model: Regressor, found: Evaluation, folder: Path, interval: float) -> None:
    """Write metrics and predictions as JSON and CSV, and the plots.

    Args:
        model: the evaluated model.
        found: its predictions.
        folder: output folder, created if necessary.
        interval: time between frames, ps.
    """
    drawn = {
        "parity": figures.parity_figure(found),
        "errors": figures.errors_figure(found),
        "frames": figures.frames_figure(_errors_by_length(model, found), interval),
    }
    if model.card.network.kind == "model-la":
        weights = model.attention(found.data.features, found.data.feature_names)
        drawn["attention"] = figures.attention_figure(weights, interval)
    for name, figure in drawn.items():
        save_figure(figure, folder / f"{name}.png")
    write_atomically(folder / "predictions.csv", predictions_table(found))
    record = {
        by: {name: report.model_dump() for name, report in groups.items()}
        for by, groups in reports_by_group(found).items()
    }
    write_atomically(folder / REPORT_FILE, json.dumps(record, indent=1) + "\n")


def _errors_by_length(model: Regressor, found: Evaluation) -> dict[str, dict[int, float]]:
    """Return the mean absolute error of each part by number of frames."""
    frames = found.data.features.shape[1]
    counts = [*(count for count in _FRAME_COUNTS if count < frames), frames]
    return {
        part: {n: m.mae for n, m in frames_study(model, group.data, counts).items()}
        for part, group in found.by_part().items()
    }


def predictions_table(found: Evaluation) -> str:
    """Return predictions and labels as CSV, all in kcal/mol."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["lipid", "solute", "part", "label", "label_error", "predicted", "error"])
    data = found.data
    numbers = (data.labels, data.label_errors, found.predicted, found.errors)
    for n, part in enumerate(found.parts):
        row = [f"{column[n]:.4f}" for column in numbers]
        writer.writerow([data.lipids[n], data.solutes[n], part, *row])
    return text.getvalue()

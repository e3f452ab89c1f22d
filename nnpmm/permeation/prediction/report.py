"""Predictions as a table on the screen, as CSV and JSON, and with a picture for each molecule."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from nnpmm._version import __version__
from nnpmm.core.files import write_atomically
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.files import save_figure
from nnpmm.permeation.mapping.drawing import mapping_png
from nnpmm.permeation.networks.regressor import Regressor
from nnpmm.permeation.prediction.figures import prediction_figure
from nnpmm.permeation.prediction.molecules import MAPPING_ERROR
from nnpmm.permeation.prediction.predictor import Prediction

__all__ = ["predictions_table", "remarks", "write_reports"]

_ERRORS = (
    "errors: standard deviations, (model^2 + mapping^2)^(1/2); model: from the network and the "
    "finite trajectories; mapping: from the representation of a molecule by beads, "
    f"{MAPPING_ERROR:.2f} kcal/mol (rms in octanol/water), none if the beads were given"
)


def predictions_table(predictions: Sequence[Prediction]) -> Table:
    """Return a table with a row for each prediction."""
    table = Table(
        *("molecule", "beads", "lipid", "dG, kcal/mol", "model", "mapping", "model's range")
    )
    for found in predictions:
        value, model, mapping = "-", "-", "-"
        if found.free_energy is not None:
            value = f"{found.free_energy:.2f} ± {found.error:.2f}"
            model, mapping = f"{found.model_error:.2f}", _mapping_error(found)
        row = (escape(found.molecule.name), escape(found.molecule.graph), found.lipid)
        table.add_row(*row, value, model, mapping, found.verdict.level)
    return table


def remarks(predictions: Sequence[Prediction]) -> list[str]:
    """Return the lines below the table: the meaning of errors, and warnings."""
    lines = []
    if any(found.free_energy is not None for found in predictions):
        lines.append(_ERRORS)
    for found in predictions:
        for reason in found.verdict.refusals:
            lines.append(f"{found.molecule.name} refused: {reason}")
        for reason in found.verdict.warnings:
            lines.append(f"{found.molecule.name} warning: {reason}")
    return lines


def _mapping_error(found: Prediction) -> str:
    """Return the error of the mapping as text; "-" where the beads were given."""
    return "-" if found.molecule.mapping is None else f"{found.molecule.mapping_error:.2f}"


def write_reports(predictions: Sequence[Prediction], model: Regressor, folder: Path) -> Path:
    """Write predictions.json, predictions.csv and a picture of each; return the JSON file.

    Pictures are NAME-LIPID.png, and NAME-mapping.png where atoms were mapped to beads.
    """
    for found in predictions:
        name = found.molecule.file_name
        if found.molecule.mapping is not None:
            write_atomically(folder / f"{name}-mapping.png", mapping_png(found.molecule.mapping))
        save_figure(prediction_figure(found, model.card), folder / f"{name}-{found.lipid}.png")
    path = folder / "predictions.json"
    records: list[dict[str, Any]] = [_record(found) for found in predictions]
    record = {
        "quantity": "G(midplane) - G(water), kcal/mol",
        "errors": _ERRORS,
        "predictions": records,
        "model": {
            "network": model.card.network.kind,
            "trained_on": model.card.data.sha256,
            "nnpmm": model.card.nnpmm,
        },
        "nnpmm": __version__,
    }
    write_atomically(path, json.dumps(record, indent=1) + "\n")
    write_atomically(path.with_suffix(".csv"), _csv(records))
    return path


def _csv(records: Sequence[dict[str, Any]]) -> str:
    """Return a table with a line for each prediction; what is None is left empty."""
    columns = [
        *("name", "smiles", "beads", "lipid", "dg_kcal", "error_kcal"),
        *("model_error_kcal", "mapping_error_kcal", "applicability", "reasons"),
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow(record | {"reasons": "; ".join(record["reasons"])})
    return text.getvalue()


def _record(found: Prediction) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": found.molecule.name,
        "beads": found.molecule.graph,
        "lipid": found.lipid,
        "dg_kcal": found.free_energy,
        "error_kcal": found.error,
        "model_error_kcal": found.model_error,
        "mapping_error_kcal": None if found.error is None else found.molecule.mapping_error,
        "applicability": found.verdict.level,
        "reasons": list(found.verdict.reasons),
    }
    if found.features is not None:
        means = found.features.mean(axis=0, dtype=float).tolist()
        record["mean_features"] = dict(zip(FEATURE_NAMES, means, strict=True))
        record["frames"] = len(found.features)
    mapping = found.molecule.mapping
    if mapping is not None:
        record["smiles"] = mapping.smiles
        record["log_p"] = mapping.log_p
        record["log_p_error"] = mapping.log_p_error
        record["log_p_of_beads"] = mapping.bead_log_p
        record["fragments"] = [
            {"bead": bead.type, "atoms": list(bead.atoms), "published": bead.published}
            for bead in mapping.beads
        ]
    return record

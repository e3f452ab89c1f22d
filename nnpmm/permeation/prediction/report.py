"""Predictions as a table on the screen, as JSON, and with a picture for each molecule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nnpmm._version import __version__
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.files import write_atomically
from nnpmm.permeation.mapping.drawing import draw_mapping
from nnpmm.permeation.prediction.figures import draw_prediction
from nnpmm.permeation.prediction.predictor import Prediction
from nnpmm.permeation.regressor import Regressor

__all__ = ["print_predictions", "write_reports"]


def print_predictions(predictions: Sequence[Prediction]) -> None:
    """Print a row for each prediction, and below the table every reason for doubt."""
    table = Table("molecule", "beads", "lipid", "dG, kcal/mol", "model's range")
    for found in predictions:
        value = "-"
        if found.free_energy is not None:
            value = f"{found.free_energy:.2f} +- {found.error:.2f}"
        row = (found.molecule.name, found.molecule.graph, found.lipid, value, found.verdict.level)
        table.add_row(*row)
    console = Console()
    console.print(table)
    for found in predictions:
        for reason in found.verdict.refusals:
            _print_plainly(console, f"{found.molecule.name} refused: {reason}")
        for reason in found.verdict.warnings:
            _print_plainly(console, f"{found.molecule.name} warning: {reason}")


def _print_plainly(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def write_reports(predictions: Sequence[Prediction], model: Regressor, folder: Path) -> Path:
    """Write all predictions to predictions.json and a picture of each; return the JSON file.

    Pictures are NAME-LIPID.png, and NAME-mapping.png where atoms were mapped to beads.
    """
    for found in predictions:
        name = found.molecule.file_name
        if found.molecule.mapping is not None:
            draw_mapping(found.molecule.mapping, folder / f"{name}-mapping.png")
        draw_prediction(found, model.card, folder / f"{name}-{found.lipid}.png")
    path = folder / "predictions.json"
    record = {
        "quantity": "G(midplane) - G(water), kcal/mol",
        "predictions": [_record(found) for found in predictions],
        "model": {
            "network": model.card.network.kind,
            "trained_on": model.card.data.sha256,
            "nnpmm": model.card.nnpmm,
        },
        "nnpmm": __version__,
    }
    write_atomically(path, json.dumps(record, indent=1) + "\n")
    return path


def _record(found: Prediction) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": found.molecule.name,
        "beads": found.molecule.graph,
        "lipid": found.lipid,
        "dg_kcal": found.free_energy,
        "error_kcal": found.error,
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
        record["log_p_of_beads"] = mapping.bead_log_p
        record["fragments"] = [
            {"bead": bead.type, "atoms": list(bead.atoms), "published": bead.published}
            for bead in mapping.beads
        ]
    return record

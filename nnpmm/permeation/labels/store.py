"""The table of labels of a lipid in the folder of a data set.

Layout::

    labels/DOPC.csv     dG of every solute, with errors
    labels/DOPC.json    overlap and residuals of the anchors by shape of solute, provenance

A data set may contain solutes of several shapes. Labels are calculated for one shape at a time.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnpmm._version import __version__
from nnpmm.core.errors import InputFileError
from nnpmm.core.files import write_atomically
from nnpmm.core.locks import locked
from nnpmm.permeation.dataset.folder import WATER, read_settings
from nnpmm.permeation.labels.anchored import (
    Label,
    anchor_residuals,
    anchored_labels,
    error_scale,
)
from nnpmm.permeation.labels.direct import read_anchors
from nnpmm.permeation.labels.linear import read_samples, relative_free_energies
from nnpmm.permeation.martini.solute import parse_solute

__all__ = ["label_linear", "read_label_record", "read_labels"]

_COLUMNS = ["solute", "dg_kcal", "error_kcal", "effective_samples"]


def label_linear(
    folder: Path, lipid: str, targets: Sequence[str]
) -> tuple[list[Label], dict[str, Any]]:
    """Write labels of one shape of solute, from the phi of its runs and its anchors.

    Args:
        folder: of the data set.
        lipid: of the bilayer.
        targets: solutes of one shape; the simulated ones and the anchors are added.

    Returns:
        The labels, and their record in the JSON file.

    Raises:
        ConfigError: nothing was simulated, there is no anchor, or another process writes labels
            at the same time.
        SimulationError: MBAR has no solution.
        InputFileError: existing labels of other shapes cannot be read.
    """
    temperature = read_settings(folder).protocol.temperature
    anchors = read_anchors(folder, lipid, targets[0])
    names = list(dict.fromkeys([*targets, *anchors]))
    membrane, water = (
        relative_free_energies(read_samples(folder, place, targets[0]), names, temperature)
        for place in (lipid, WATER)
    )
    labels = anchored_labels(membrane, water, anchors)
    record = {
        "simulated": {"membrane": membrane.simulated, "water": water.simulated},
        "overlap": {"membrane": membrane.overlap, "water": water.overlap},
        "error_scale": error_scale(membrane, water, anchors),
        "anchors": {name: [a.free_energy, a.error] for name, a in anchors.items()},
        "residuals": {
            r.solute: [r.difference, r.error] for r in anchor_residuals(membrane, water, anchors)
        },
    }
    busy = f"{folder}: another process is writing labels; wait for it or stop it"
    with locked(folder / "labels" / ".lock", busy):
        shapes = _read_shapes(folder, lipid) | {_shape(targets[0]): record}
        _write_table(folder, lipid, labels)
        text = {
            "quantity": "G(midplane) - G(water), kcal/mol",
            "temperature_k": temperature,
            "shapes": shapes,
            "nnpmm": __version__,
        }
        write_atomically(_record_path(folder, lipid), json.dumps(text, indent=1) + "\n")
    return labels, record


def _write_table(folder: Path, lipid: str, labels: Sequence[Label]) -> None:
    """Replace the labels of one shape in the table, and keep those of other shapes."""
    shape = _shape(labels[0].solute)
    path = _table_path(folder, lipid)
    stored = _read_rows(path) if path.exists() else []
    others = [row for row in stored if _shape(row["solute"]) != shape]
    rows = [[row[column] for column in _COLUMNS] for row in others]
    for label in labels:
        numbers = (label.free_energy, label.error, label.effective_samples)
        rows.append([label.solute, *map("{:{}}".format, numbers, (".4f", ".4f", ".1f"))])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_COLUMNS, *rows])
    write_atomically(path, text.getvalue())


def _shape(solute: str) -> str:
    """Return a description of how the beads of a solute are bonded, such as "2 beads, 1-2"."""
    graph = parse_solute(solute)
    return ", ".join([f"{len(graph.beads)} beads", *(f"{b.i + 1}-{b.j + 1}" for b in graph.bonds)])


def read_labels(folder: Path, lipid: str) -> dict[str, tuple[float, float]]:
    """Return dG and its standard deviation, kcal/mol, of every labelled solute in a lipid.

    Raises:
        InputFileError: there is no table of this lipid.
    """
    path = _table_path(folder, lipid)
    try:
        rows = _read_rows(path)
        return {row["solute"]: (float(row["dg_kcal"]), float(row["error_kcal"])) for row in rows}
    except ValueError as error:
        raise _unreadable(path, error) from error


def read_label_record(folder: Path, lipid: str, like: str) -> dict[str, Any]:
    """Return the record of the labels of solutes of one shape, as ``label_linear`` does.

    Raises:
        InputFileError: there are none.
    """
    path = _record_path(folder, lipid)
    try:
        return dict(_read_shapes(folder, lipid)[_shape(like)])
    except KeyError as error:
        raise _unreadable(path, error) from error


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    if any(row.get(column) is None for row in rows for column in _COLUMNS):
        raise _unreadable(path, f"a line without {', '.join(_COLUMNS)}")
    return rows


def _read_shapes(folder: Path, lipid: str) -> dict[str, Any]:
    """Return the record of the labels of each shape."""
    path = _record_path(folder, lipid)
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["shapes"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from error


def _table_path(folder: Path, lipid: str) -> Path:
    return folder / "labels" / f"{lipid}.csv"


def _record_path(folder: Path, lipid: str) -> Path:
    return folder / "labels" / f"{lipid}.json"


def _unreadable(path: Path, reason: object) -> InputFileError:
    return InputFileError(
        f"{path}: cannot read labels ({reason}); remove what is damaged, and make them with nnpmm "
        "permeation label linear"
    )

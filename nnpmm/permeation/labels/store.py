"""The table of labels of a lipid in the folder of a data set.

Layout::

    labels/DOPC.csv     dG of every solute, with errors
    labels/DOPC.json    overlap, residuals of the anchors, provenance
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from nnpmm._version import __version__
from nnpmm.errors import InputFileError
from nnpmm.permeation.dataset import WATER, read_settings
from nnpmm.permeation.files import write_atomically
from nnpmm.permeation.labels.anchored import Label, anchor_residuals, anchored_labels
from nnpmm.permeation.labels.direct import read_anchors
from nnpmm.permeation.labels.linear import read_samples, relative_free_energies

__all__ = ["label_linear", "read_labels"]


def label_linear(folder: Path, lipid: str, targets: Sequence[str]) -> list[Label]:
    """Write the table of a lipid from the phi of its runs and its anchors; return the labels.

    Args:
        folder: of the data set.
        lipid: of the bilayer.
        targets: solutes of one shape; the simulated ones and the anchors are added.

    Raises:
        ConfigError: nothing was simulated, or there is no anchor.
        SimulationError: MBAR has no solution.
    """
    settings = read_settings(folder)
    temperature = settings.protocol.temperature
    anchors = read_anchors(folder, lipid, targets[0])
    names = list(dict.fromkeys([*targets, *anchors]))
    membrane, water = (
        relative_free_energies(read_samples(folder, place, targets[0]), names, temperature)
        for place in (lipid, WATER)
    )
    labels = anchored_labels(membrane, water, anchors)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["solute", "dg_kcal", "error_kcal", "effective_samples"])
    for label in labels:
        row = (label.free_energy, label.error, label.effective_samples)
        writer.writerow([label.solute, f"{row[0]:.4f}", f"{row[1]:.4f}", f"{row[2]:.1f}"])
    write_atomically(folder / "labels" / f"{lipid}.csv", text.getvalue())
    record = {
        "quantity": "G(midplane) - G(water), kcal/mol",
        "temperature_k": temperature,
        "simulated": {"membrane": membrane.simulated, "water": water.simulated},
        "overlap": {"membrane": membrane.overlap, "water": water.overlap},
        "anchors": {name: [a.free_energy, a.error] for name, a in anchors.items()},
        "residuals": {
            r.solute: [r.difference, r.error] for r in anchor_residuals(membrane, water, anchors)
        },
        "nnpmm": __version__,
    }
    write_atomically(folder / "labels" / f"{lipid}.json", json.dumps(record, indent=1) + "\n")
    return labels


def read_labels(folder: Path, lipid: str) -> dict[str, tuple[float, float]]:
    """Return dG and its standard deviation, kcal/mol, of every labelled solute in a lipid.

    Raises:
        InputFileError: there is no table of this lipid.
    """
    path = folder / "labels" / f"{lipid}.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {row["solute"]: (float(row["dg_kcal"]), float(row["error_kcal"])) for row in rows}
    except (OSError, KeyError, ValueError) as error:
        raise InputFileError(
            f"{path}: cannot read labels ({error}); make them with nnpmm permeation label linear"
        ) from error

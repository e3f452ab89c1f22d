"""Describe data sets: dG by lipid, traces of features, errors of labels, and cost.

Run: python benchmarks/permeation_dataset.py data/permeation*
The traces are those of two solutes of the first data set: --polar P4-P5 --apolar C1-C1.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import save_image, write_results
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from nnpmm.permeation.dataset.folder import (
    DatasetSettings,
    FeatureSet,
    load_features,
    read_settings,
)
from nnpmm.permeation.features import FEATURES
from nnpmm.permeation.labels.store import read_labels
from nnpmm.permeation.runs.status import dataset_status
from nnpmm.plots import style

Labels = dict[str, tuple[float, float]]  # dG and its error by solute, kcal/mol


def labels_by_lipid(folder: Path) -> dict[str, Labels]:
    """Return the labels of every lipid that has a table."""
    tables = [path.stem for path in sorted((folder / "labels").glob("*.csv"))]
    return {lipid: read_labels(folder, lipid) for lipid in tables}


def direct_cost(folder: Path) -> dict[str, float]:
    """Return the number and core hours of the direct calculations."""
    records = [json.loads(path.read_text()) for path in (folder / "labels").glob("*/*/*.json")]
    hours = sum(r["seconds"] * r["threads"] for r in records) / 3600.0
    return {"calculations": len(records), "core_hours": hours}


def spread(values: NDArray[np.float64]) -> list[float]:
    """Return the lowest, median and highest value."""
    return [float(values.min()), float(np.median(values)), float(values.max())]


def draw_labels(labels: Mapping[str, Labels]) -> Path:
    """Draw box plots of dG and of the errors of the labels."""
    figure, (values, errors) = style.create_panels(1, 2, width=9.5, height=3.4)
    columns = [np.array(list(table.values())).T for table in labels.values()]
    values.boxplot([c[0] for c in columns], tick_labels=list(labels))
    errors.boxplot([c[1] for c in columns], tick_labels=list(labels))
    values.axhline(0.0, color=style.LIGHT_GREY, linewidth=0.8, zorder=0)
    style.dress(values, ylabel="water to midplane / (kcal/mol)", title="dG of all solutes")
    style.dress(errors, ylabel="standard deviation / (kcal/mol)", title="errors of the labels")
    errors.set_ylim(bottom=0.0)
    return save_image(figure, "permeation_labels_by_lipid")


def draw_traces(
    features: FeatureSet, settings: DatasetSettings, chosen: Sequence[str], lipid: str
) -> Path:
    """Draw the eight features of a polar and an apolar solute in one lipid."""
    figure, panels = style.create_panels(2, 4, width=11.0, height=5.0)
    time = settings.protocol.frame_interval / 1000.0 * np.arange(1, settings.protocol.n_frames + 1)
    for solute in chosen:
        keys = list(zip(features.lipids, features.solutes, strict=True))
        table = features.features[keys.index((lipid, solute))]
        for panel, column in zip(panels, table.T, strict=True):
            panel.plot(time, column, linewidth=0.8, label=solute)
    for panel, feature in zip(panels, FEATURES, strict=True):
        label = style.axis_label(feature.name, feature.unit)
        style.dress(panel, xlabel="time / ns", ylabel=label)
    style.legend(panels[0])
    return save_image(figure, "permeation_traces")


def describe(folder: Path) -> dict[str, Any]:
    """Print and return the runs, labels and cost of a data set."""
    places, _ = dataset_status(folder)
    table = Table("place", "done", "failed", "retried", "ns", "core hours", title=folder.name)
    for p in places:
        counts = map(str, (p.counts.done, p.counts.failed, p.counts.retried))
        table.add_row(p.place, *counts, f"{p.simulated_ns:.0f}", f"{p.counts.core_hours:.2f}")
    Console().print(table)
    summary = {}
    for lipid, rows in labels_by_lipid(folder).items():
        values, errors = np.array(list(rows.values())).T
        summary[lipid] = {
            "count": len(rows),
            "dg_kcal": dict(zip(("lowest", "median", "highest"), spread(values), strict=True)),
            "error_kcal": dict(zip(("lowest", "median", "highest"), spread(errors), strict=True)),
        }
        print(lipid, summary[lipid])
    direct = direct_cost(folder)
    print("direct calculations:", direct)
    runs = [{"place": p.place, "simulated_ns": p.simulated_ns, **vars(p.counts)} for p in places]
    return {"runs": runs, "labels": summary, "direct": direct}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--polar", default="P4-P5")
    parser.add_argument("--apolar", default="C1-C1")
    parser.add_argument("--lipid", default="DOPC")
    options = parser.parse_args()
    first = options.folders[0]
    results = {folder.name: describe(folder) for folder in options.folders}
    labels = {
        lipid if folder == first else f"{lipid},\n{folder.name.rpartition('-')[2]}": rows
        for folder in options.folders
        for lipid, rows in labels_by_lipid(folder).items()
    }
    if labels:
        print(draw_labels(labels))
    features, settings = load_features(first), read_settings(first)
    print(draw_traces(features, settings, (options.apolar, options.polar), options.lipid))
    print(write_results("permeation_dataset", results))


if __name__ == "__main__":
    main()

"""Compare labels by MBAR over the well depths with decoupling, umbrella sampling and octanol.

The script needs a data set with labels from nnpmm permeation dataset build, label decouple,
label umbrella and label linear.

Run: python benchmarks/permeation_labels.py data/permeation [--lipids DOPC]
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from common import data_folder, save_image, write_results
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.permeation.labels.direct import read_umbrella
from nnpmm.permeation.labels.store import read_label_record, read_labels
from nnpmm.plots import style

Labels = dict[str, tuple[float, float]]  # dG and its error by solute, kcal/mol
# The results of a lipid, its labels, and the values of octanol if they are known.
Comparison = tuple[dict[str, Any], Labels, NDArray[np.float64] | None]


def octanol(solutes: Iterable[str]) -> NDArray[np.float64] | None:
    """Return free energies from water to octanol as sums over beads, kcal/mol, if known."""
    path = data_folder() / "martini2" / "martini2_octanol_water_dG_kJmol.csv"
    if not path.exists():
        return None
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    beads = {row["bead"]: -float(row["dG_ow_kJmol"]) for row in csv.DictReader(lines)}
    return np.array([sum(beads[b] for b in name.split("-")) for name in solutes]) / KJ_PER_KCAL


def compare(folder: Path, lipid: str) -> Comparison:
    """Return results, labels and octanol values of one lipid, comparing all methods."""
    labels = read_labels(folder, lipid)
    record = read_label_record(folder, lipid, next(iter(labels)))
    decoupling = {
        name: {
            "direct": record["anchors"][name],
            "linear": [record["anchors"][name][0] - difference, error],
            "sigmas": difference / error,
        }
        for name, (difference, error) in record["residuals"].items()
    }
    umbrella = {}
    for name, found in read_umbrella(folder, lipid).items():
        value, error = labels[name]
        umbrella[name] = {
            "direct": [found["dg_kcal"], found["error_kcal"]],
            "linear": [value, error],
            "sigmas": (found["dg_kcal"] - value) / np.hypot(found["error_kcal"], error),
        }
    values = np.array([value for value, _ in labels.values()])
    errors = np.array([error for _, error in labels.values()])
    results = {
        "overlap": record["overlap"],
        "simulated": record["simulated"],
        "label_errors_kcal": {"median": float(np.median(errors)), "largest": float(errors.max())},
        "decoupling": decoupling,
        "umbrella": umbrella,
    }
    transfer = octanol(labels)
    if transfer is not None:
        results["octanol"] = {
            "pearson": float(stats.pearsonr(transfer, values)[0]),
            "spearman": float(stats.spearmanr(transfer, values)[0]),
        }
    return results, labels, transfer


def print_table(lipid: str, results: Mapping[str, Any]) -> None:
    """Print the comparison of one lipid."""
    table = Table("solute", "method", "direct", "linear", "sigmas", title=f"{lipid}, kcal/mol")
    for method in ("decoupling", "umbrella"):
        for name, row in results[method].items():
            cells = [
                f"{value:.2f} ± {error:.2f}" for value, error in (row["direct"], row["linear"])
            ]
            table.add_row(name, method, *cells, f"{row['sigmas']:+.1f}")
    Console().print(table)
    rest = {k: v for k, v in results.items() if k not in ("decoupling", "umbrella")}
    print(json.dumps(rest, indent=1))


def draw(folder: Path, found: Mapping[str, Comparison]) -> Path:
    """Draw one row per lipid: agreement, octanol, profiles."""
    figure, panels = style.create_panels(len(found), 3, width=11.0, height=3.6 * len(found))
    for number, (lipid, (results, labels, transfer)) in enumerate(found.items()):
        row = panels[3 * number : 3 * number + 3]
        for method, marker in (("decoupling", "o"), ("umbrella", "s")):
            pairs = results[method].values()
            if pairs:
                x, dx = np.array([p["direct"] for p in pairs]).T
                y, dy = np.array([p["linear"] for p in pairs]).T
                row[0].errorbar(x, y, 2 * dy, 2 * dx, fmt=marker, mfc="none", label=method)
        ends = row[0].get_xlim()
        row[0].plot(ends, ends, color=style.LIGHT_GREY, linewidth=0.8)
        style.dress(
            row[0],
            xlabel="direct dG / (kcal/mol)",
            ylabel="from well depths / (kcal/mol)",
            title=lipid,
        )
        style.legend(row[0])
        values, errors = np.array(list(labels.values())).T
        if transfer is not None:
            row[1].errorbar(transfer, values, 2 * errors, fmt=".", markersize=4)
            style.dress(
                row[1],
                xlabel="water to octanol / (kcal/mol)",
                ylabel="water to midplane / (kcal/mol)",
                title=f"r = {results['octanol']['pearson']:.3f}",
            )
        for name, profile in read_umbrella(folder, lipid).items():
            scale = 1.0 / KJ_PER_KCAL
            row[2].errorbar(
                profile["heights_nm"],
                np.array(profile["profile_kj"]) * scale,
                2 * np.array(profile["errors_kj"]) * scale,
                fmt=".-",
                label=name,
            )
        if results["umbrella"]:
            style.dress(
                row[2], xlabel="height / nm", ylabel="free energy / (kcal/mol)", title="profiles"
            )
            style.legend(row[2])
        else:
            row[2].set_axis_off()
    return save_image(figure, "permeation_labels")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lipids", default="DOPC")
    options = parser.parse_args()
    found = {lipid: compare(options.folder, lipid) for lipid in options.lipids.split(",")}
    for lipid, (results, _, _) in found.items():
        print_table(lipid, results)
    print(draw(options.folder, found))
    print(write_results("permeation_labels", {k: v[0] for k, v in found.items()}))


if __name__ == "__main__":
    main()

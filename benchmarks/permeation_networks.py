"""Compare all kinds of networks on the same data: seeds, ablations, splits and solute lengths.

Run: python benchmarks/permeation_networks.py data/permeation
     python benchmarks/permeation_networks.py data/permeation --only "dnn; response" --report

The script can be interrupted at any time and called again. It keeps finished trainings below
--work, by the data that they were trained on. --report summarizes them without further training.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import ROOT, save_image, write_results
from rich.console import Console
from rich.table import Table

from nnpmm.cli.progress import count_bar
from nnpmm.core.files import write_atomically
from nnpmm.learning import MODEL_FILE, NetworkSettings, TrainingSettings
from nnpmm.learning.metrics import Report
from nnpmm.permeation.dataset.folder import read_settings
from nnpmm.permeation.dataset.training_data import TrainingData, load_training_data
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.martini.tables import NEUTRAL_BEADS
from nnpmm.permeation.networks.ablations import without_bead_normalisation
from nnpmm.permeation.networks.evaluation import Evaluation, evaluate, frames_study
from nnpmm.permeation.networks.figures import (
    attention_figure,
    errors_figure,
    frames_figure,
    learning_figure,
    parity_figure,
)
from nnpmm.permeation.networks.published import PUBLISHED
from nnpmm.permeation.networks.recipes import recipe
from nnpmm.permeation.networks.regressor import load_regressor, save_regressor
from nnpmm.permeation.networks.training import train

KINDS = ("dnn", "response", "model-la", "model-l")
PARTS = {"test": 2, "trimers": 3, "monomers": 1}  # and the number of beads of their solutes
SCORES = ("mae", "rmse", "largest", "r2", "pearson", "spearman")
Changes = tuple[tuple[str, object], ...]  # names and values of settings
# Mean and spread of each score of each part.
Summary = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Variant:
    """A network with changed settings, training or data."""

    kind: str
    network: Changes = ()
    training: Changes = ()
    per_molecule: bool = False

    def settings(self, split: str, seed: int) -> tuple[NetworkSettings, TrainingSettings]:
        """Return the settings of network and training."""
        network, training = recipe(self.kind)
        changes = {**dict(self.training), "split": split, "seed": seed}
        return network.model_copy(update=dict(self.network)), training.model_copy(update=changes)

    def samples(self, data: TrainingData) -> TrainingData:
        """Return the samples for training and testing."""
        return without_bead_normalisation(data) if self.per_molecule else data


def without(name: str) -> Changes:
    """Return the setting of a network without one feature."""
    return (("features", tuple(other for other in FEATURE_NAMES if other != name)),)


def variants() -> dict[str, Variant]:
    """Return all networks of the study by name; ablations use those that train quickly."""
    found = {kind: Variant(kind) for kind in KINDS}
    total, every = (("extensive", False),), (("features", FEATURE_NAMES),)
    found["response, all features"] = Variant("response", every)
    found["response, dG of the molecule"] = Variant("response", total)
    found["response, without per-bead normalisation"] = Variant("response", total, (), True)
    found["model-la, dG per bead"] = Variant("model-la", (("extensive", True),))
    found["model-la, without per-bead normalisation"] = Variant("model-la", (), (), True)
    found["dnn, without dropout"] = Variant("dnn", (("dnn_dropout", 0.0),))
    for name in FEATURE_NAMES:
        found[f"dnn, without {name}"] = Variant("dnn", without(name))
    return found


def splits(data: TrainingData) -> list[str]:
    """Return the random split, and those that leave out solutes, each lipid, or kinds of beads."""
    lipids = sorted(set(data.lipids))
    by_lipid = [f"lipid:{name}" for name in lipids] if len(lipids) > 1 else []
    return ["random", "solute", *by_lipid, "beads:C1", "beads:P5"]


def run_folder(work: Path, data: TrainingData, name: str, split: str, seed: int) -> Path:
    """Return the folder of a training."""
    plain = "".join(c if c.isalnum() or c in "-." else "_" for c in f"{name}-{split}-{seed}")
    return work / data.digest()[:12] / plain


def train_once(variant: Variant, data: TrainingData, split: str, seed: int, folder: Path) -> None:
    """Train a network unless it is finished already."""
    if (folder / MODEL_FILE).exists():
        return
    network, training = variant.settings(split, seed)
    began = time.process_time()
    with count_bar(folder.name) as progress:
        result = train(variant.samples(data), network, training, progress=progress)
    record = {"cpu_seconds": time.process_time() - began, "curves": result.curves.tolist()}
    write_atomically(folder / "training.json", json.dumps(record))
    save_regressor(result.model, folder)  # last, because it marks the training as finished


def scores(report: Report) -> dict[str, float | None]:
    """Return metrics and calibration of a report in one flat record."""
    errors = report.calibration.model_dump().items()
    return report.metrics.model_dump() | {f"errors_{name}": value for name, value in errors}


def bias_by_bead(found: Evaluation) -> dict[str, float]:
    """Return the mean of prediction minus label over the dimers with each bead, kcal/mol."""
    differences = found.predicted - found.data.labels
    solutes = [solute.split("-") for solute in found.data.solutes]
    return {
        bead: float(
            np.mean([d for d, beads in zip(differences, solutes, strict=True) if bead in beads])
        )
        for bead in sorted({bead for beads in solutes for bead in beads})
    }


def measure(
    variant: Variant,
    folder: Path,
    data: TrainingData,
    others: Mapping[str, TrainingData],
    split: str,
) -> dict[str, Any]:
    """Return the scores of one trained network; ``others`` are solutes of other lengths."""
    model = load_regressor(folder)
    everything = evaluate(model, variant.samples(data))
    found = everything.by_part()
    record: dict[str, Any] = {part: scores(p.report()) for part, p in found.items()}
    record["bias_by_bead"] = bias_by_bead(everything)
    record["cpu_seconds"] = json.loads((folder / "training.json").read_text())["cpu_seconds"]
    if split == "random":
        counts = [n for n in (5, 10, 20, 35, 50, 75) if n < data.features.shape[1]]
        counts.append(data.features.shape[1])
        by_count = frames_study(model, found["test"].data, counts)
        record["mae_by_frames"] = {count: m.mae for count, m in by_count.items()}
        for name, other in others.items():
            record[name] = scores(evaluate(model, variant.samples(other)).report())
    return record


def summary(records: Sequence[dict[str, Any]]) -> Summary:
    """Return mean and spread (standard deviation) of every score over the seeds."""
    found = {}
    for part in ("train", "validation", *PARTS):
        of_part = [record[part] for record in records if part in record]
        rows = {
            score: [float(one[score]) for one in of_part if one[score] is not None]
            for score in (of_part[0] if of_part else ())
        }
        found[part] = {
            score: {
                "mean": float(np.mean(row)),
                "spread": float(np.std(row, ddof=min(1, len(row) - 1))),
            }
            for score, row in rows.items()
            if row
        }
    return {part: table for part, table in found.items() if table}


def print_table(title: str, part: str, summaries: Mapping[str, tuple[int, Summary]]) -> None:
    """Print one row per network, with published figures below."""
    table = Table(title=f"{title}: {part}; mean ± spread over the seeds")
    table.add_column("network", no_wrap=True)
    table.add_column("seeds")
    for name in (*SCORES, "errors_rms", "errors_within_one", "errors_within_two"):
        table.add_column(name, justify="right")
    for name, (count, found) in summaries.items():
        if part in found:
            cells = [
                f"{found[part][s]['mean']:.3f} ± {found[part][s]['spread']:.3f}"
                if s in found[part]
                else "-"
                for s in [column.header for column in table.columns[2:]]
            ]
            table.add_row(name, str(count), *cells)
        for row in PUBLISHED if title == "random" else ():
            if name in row.networks and row.beads == PARTS[part]:
                cells = [row.scores.get(score, "-") for score in SCORES]
                table.add_row(f"  published, {row.nanoseconds} ns", "", *cells)
    Console(width=190).print(table)


def print_biases(found: Mapping[str, dict[str, Any]]) -> None:
    """Print one row per network: differences by bead, mean over the seeds."""
    table = Table(title="mean difference of the dimers with a bead, kcal/mol")
    for name in ("network", *NEUTRAL_BEADS):
        table.add_column(name, no_wrap=True)
    for name in [name for name in KINDS if name in found]:
        rows = [record["bias_by_bead"] for record in found[name]["seeds"].values()]
        means = [np.mean([row[bead] for row in rows]) for bead in NEUTRAL_BEADS]
        table.add_row(name, *[f"{mean:+.2f}" for mean in means])
    Console(width=190).print(table)


def draw(
    work: Path, data: TrainingData, others: Mapping[str, TrainingData], interval: float, seed: int
) -> None:
    """Draw the best network and the best published one, trained with one seed."""
    pictures = {}
    for kind in ("response", "model-la"):
        folder = run_folder(work, data, kind, "random", seed)
        if not (folder / MODEL_FILE).exists():
            continue
        model = load_regressor(folder)
        found = evaluate(model, data)
        curves = np.array(json.loads((folder / "training.json").read_text())["curves"])
        pictures[f"learning_{kind}"] = learning_figure(curves, model.card.kept_epochs)
        pictures[f"parity_{kind}"] = parity_figure(found)
        pictures[f"errors_{kind}"] = errors_figure(found)
        if kind == "model-la":
            pictures["attention"] = attention_figure(model.attention(data.features), interval)
        if "trimers" in others:
            pictures[f"trimers_{kind}"] = parity_figure(evaluate(model, others["trimers"]))
    for name, figure in pictures.items():
        save_image(figure, f"permeation_networks_{name}")


def draw_lengths(results: Mapping[str, dict[str, Any]], interval: float) -> None:
    """Draw the test error by length of the trajectories, mean over the seeds."""
    curves = {}
    for kind in KINDS:
        rows = [r["mae_by_frames"] for r in results.get(kind, {}).get("seeds", {}).values()]
        if rows:
            curves[kind] = {count: float(np.mean([r[count] for r in rows])) for count in rows[0]}
    if curves:
        save_image(frames_figure(curves, interval), "permeation_networks_frames")


def study(
    options: argparse.Namespace,
    data: TrainingData,
    others: Mapping[str, TrainingData],
    split: str,
) -> dict[str, dict[str, Any]]:
    """Train and measure the chosen networks on one split."""
    found: dict[str, dict[str, Any]] = {}
    for name, variant in chosen_variants(options.only).items():
        if split != "random" and name not in KINDS:
            continue
        if options.epochs:
            variant = replace(variant, training=(("epochs", options.epochs),))
        records = {}
        for seed in range(1, options.seeds + 1):
            folder = run_folder(options.work, data, name, split, seed)
            if not options.report:
                train_once(variant, data, split, seed, folder)
            if (folder / MODEL_FILE).exists():
                records[seed] = measure(variant, folder, data, others, split)
        if records:
            found[name] = {"seeds": records, "summary": summary(list(records.values()))}
    if split == "random":
        print_biases(found)
    for part in PARTS:
        rows = {name: (len(r["seeds"]), r["summary"]) for name, r in found.items()}
        if any(part in summaries for _, summaries in rows.values()):
            print_table(split, part, rows)
    return found


def chosen_variants(names: str | None) -> dict[str, Variant]:
    """Return all variants, or those with the given names."""
    known = variants()
    return {n.strip(): known[n.strip()] for n in names.split(";")} if names else known


def parse_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trimers", type=Path, default=ROOT / "data" / "permeation-trimers")
    parser.add_argument("--monomers", type=Path, default=ROOT / "data" / "permeation-monomers")
    parser.add_argument("--work", type=Path, default=ROOT / "permeation-study")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--epochs", type=int, help="use a few to try the script in another --work folder"
    )
    parser.add_argument("--only", help="names separated by semicolons, such as 'dnn; response'")
    parser.add_argument("--splits", help="separated by semicolons, such as 'random; lipid:DOPC'")
    parser.add_argument("--report", action="store_true", help="train nothing")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    data, _ = load_training_data(options.folder)
    folders = {"trimers": options.trimers, "monomers": options.monomers}
    others = {
        name: load_training_data(folder)[0]
        for name, folder in folders.items()
        if (folder / "labels").exists()
    }
    wanted = [s.strip() for s in options.splits.split(";")] if options.splits else splits(data)
    results = {split: study(options, data, others, split) for split in wanted}
    if options.epochs:
        return
    interval = read_settings(options.folder).protocol.frame_interval
    draw(options.work, data, others, interval, seed=1)
    draw_lengths(results.get("random", {}), interval)
    record = {
        "samples": len(data.labels),
        "by_lipid": {lipid: data.lipids.count(lipid) for lipid in sorted(set(data.lipids))},
        **{name: len(other.labels) for name, other in others.items()},
        "data_sha256": data.digest(),
        "published": [row._asdict() for row in PUBLISHED],
        "splits": {split: found for split, found in results.items() if found},
    }
    print(write_results("permeation_networks", record))


if __name__ == "__main__":
    main()

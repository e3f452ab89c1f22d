"""Test predictions from SMILES for molecules that the model has not seen: accuracy and cost.

The reference is a direct free energy of the same beads, so that the comparison excludes the error
of the mapping. It is the label of the data set, from well depths and anchors, or else decoupling
(nnpmm permeation label decouple). The script continues an interrupted run.

Run: python benchmarks/permeation_predict.py --data data/permeation --folder permeation-data/unseen
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, save_image, write_results
from rich.console import Console
from rich.table import Table

from nnpmm.campaigns import ClusterSettings
from nnpmm.core.arrays import load_arrays
from nnpmm.permeation.dataset.folder import WATER, SoluteJob, read_settings
from nnpmm.permeation.labels.decoupling import DecouplingSettings
from nnpmm.permeation.labels.direct import read_anchors, read_umbrella, run_direct
from nnpmm.permeation.labels.store import read_labels
from nnpmm.permeation.labels.umbrella import UmbrellaSettings
from nnpmm.permeation.martini import lipid
from nnpmm.permeation.networks.model_card import PermeationCard
from nnpmm.permeation.networks.regressor import load_default_regressor
from nnpmm.permeation.prediction import (
    Molecule,
    Prediction,
    molecule_from_smiles,
    predict_molecules,
)
from nnpmm.permeation.runs.protocol import ProtocolSettings, changed_settings, parse_changes
from nnpmm.plots import style

LIPID = "DOPC"
#: In each group, the first molecule is used whose beads are not in training or validation.
GROUPS = {
    "hydrophobic": [
        *(("octane", "CCCCCCCC"), ("hexane", "CCCCCC"), ("cyclohexane", "C1CCCCC1")),
        *(("benzene", "c1ccccc1"), ("1-chlorohexane", "CCCCCCCl"), ("1-octene", "CCCCCCC=C")),
        *(("diethyl disulfide", "CCSSCC"), ("dipropyl ether", "CCCOCCC")),
        ("1-chloroheptane", "CCCCCCCCl"),
    ],
    "polar": [
        *(("1,6-hexanediol", "OCCCCCCO"), ("succinic acid", "OC(=O)CCC(=O)O")),
        *(("adipic acid", "OC(=O)CCCCC(=O)O"), ("diglycine amide", "NCC(=O)NCC(N)=O")),
        *(("triethylene glycol", "OCCOCCOCCO"), ("hexanamide", "CCCCCC(N)=O")),
        *(("hexanol", "CCCCCCO"), ("octanol", "CCCCCCCCO")),
        *(("4-methoxybutanol", "COCCCCO"), ("dimethyl succinate", "COC(=O)CCC(=O)OC")),
    ],
    "three beads": [("paracetamol", "CC(=O)Nc1ccc(O)cc1"), ("dodecanol", "CCCCCCCCCCCCO")],
}


def choose(card: PermeationCard) -> list[Molecule]:
    """Return the first molecule of each group that is new to the model."""
    known = {name.partition("/")[2] for name in (*card.data.train, *card.data.validation)}
    chosen = []
    for group, candidates in GROUPS.items():
        molecules = [molecule_from_smiles(smiles, name) for name, smiles in candidates]
        new = [molecule for molecule in molecules if molecule.graph not in known]
        if new:
            chosen.append(new[0])
        else:
            print(f"{group}: the model has seen all of {', '.join(m.graph for m in molecules)}")
    return chosen


def reference(
    graph: str, data: Path, folder: Path, scratch: Path, changes: Sequence[str]
) -> dict[str, Any]:
    """Return the reference dG with its error, kcal/mol, its method, and the time it took."""
    labels = read_labels(data, LIPID)
    if graph in labels:
        return {"dg_kcal": labels[graph][0], "error_kcal": labels[graph][1], "by": "well depths"}
    settings = read_settings(folder)
    lengths = changed_settings(DecouplingSettings(), **parse_changes(changes))
    seconds = 0.0
    for place in (WATER, LIPID):
        record = run_direct(SoluteJob(place, graph), settings, folder, scratch, decoupling=lengths)
        seconds += record["seconds"]
    found = read_anchors(folder, LIPID, graph)[graph]
    return {
        "dg_kcal": found.free_energy,
        "error_kcal": found.error,
        "by": "decoupling",
        "seconds": seconds,
    }


def beads_in(record: Mapping[str, Any]) -> int:
    """Return the number of beads of a run, from the molecules in its record."""
    sizes = {"W": 1, "WF": 1, LIPID: len(lipid(LIPID).beads)}
    counts = record["molecules"].items()
    return sum(n * sizes.get(name, len(record["beads"])) for name, n in counts)


def prediction_cost(folder: Path, graph: str) -> dict[str, float]:
    """Return seconds of one thread, and steps times beads, of the two runs of a molecule."""
    seconds, bead_steps = 0.0, 0.0
    for place in (WATER, LIPID):
        record = load_arrays(SoluteJob(place, graph).result(folder))[1]
        protocol = ProtocolSettings.model_validate(record["protocol"])
        steps = (protocol.nvt + protocol.npt) / protocol.equilibration_timestep
        steps += protocol.production / protocol.production_timestep
        seconds += record["seconds"] * record["threads"]
        bead_steps += steps * beads_in(record)
    return {"seconds": seconds, "bead_steps": bead_steps}


def usual_cost(data: Path) -> dict[str, float]:
    """Return the median cost over all molecules of a data set."""
    solutes = [p.stem for p in (data / LIPID).glob("*.safetensors")]
    both = [s for s in solutes if SoluteJob(WATER, s).result(data).exists()]
    costs = [prediction_cost(data, solute) for solute in both]
    return {key: float(np.median([cost[key] for cost in costs])) for key in costs[0]}


def umbrella_cost(data: Path) -> dict[str, dict[str, Any]]:
    """Return the cost of the umbrella profiles as run, and extrapolated to the default windows."""
    timestep = read_settings(data).protocol.equilibration_timestep
    costs = {}
    for name, record in read_umbrella(data, LIPID).items():
        membrane = beads_in(load_arrays(SoluteJob(LIPID, name).result(data))[1])
        windows = UmbrellaSettings.model_validate(record["settings"])
        steps, full = (
            len(w.centers) * (1.25 * w.equilibration + w.production) / timestep
            for w in (windows, UmbrellaSettings())
        )
        seconds = record["seconds"] * record["threads"]
        costs[name] = {
            "error_kcal": record["error_kcal"],
            "as_run": {"seconds": seconds, "bead_steps": steps * membrane},
            "default_windows": {
                "seconds": seconds * full / steps,
                "bead_steps": full * membrane,
            },
        }
    return costs


def compare(
    found: Sequence[Prediction], references: Sequence[Mapping[str, Any]], folder: Path
) -> list[dict[str, Any]]:
    """Return the rows that compare predictions with their references."""
    rows: list[dict[str, Any]] = []
    for prediction, direct in zip(found, references, strict=True):
        molecule = prediction.molecule
        assert molecule.mapping is not None  # its beads are from SMILES
        row: dict[str, Any] = {
            "name": molecule.name,
            "smiles": molecule.mapping.smiles,
            "beads": molecule.graph,
            "predicted": {"dg_kcal": prediction.free_energy, "error_kcal": prediction.model_error},
            "direct": direct,
            "applicability": prediction.verdict.level,
            "reasons": list(prediction.verdict.reasons),
        }
        if prediction.features is not None:
            row["cost"] = prediction_cost(folder, molecule.graph)
        if prediction.free_energy is not None and prediction.model_error is not None:
            row["difference_kcal"] = prediction.free_energy - direct["dg_kcal"]
            row["sigmas"] = row["difference_kcal"] / math.hypot(
                prediction.model_error, direct["error_kcal"]
            )
        rows.append(row)
    return rows


def written(value: Mapping[str, Any]) -> str:
    """Return a value and its error as text."""
    if value["dg_kcal"] is None:
        return "-"
    return f"{value['dg_kcal']:.2f} ± {value['error_kcal']:.2f}"


def print_results(
    rows: Sequence[Mapping[str, Any]],
    umbrella: Mapping[str, Mapping[str, Any]],
    usual: Mapping[str, float],
) -> None:
    """Print the table of molecules, and the cost of umbrella sampling."""
    table = Table("molecule", "beads", "predicted", "direct", "difference", "seconds", "range")
    for row in rows:
        cells = [written(row["predicted"]), written(row["direct"])]
        difference = f"{row['difference_kcal']:+.2f}" if "difference_kcal" in row else "-"
        seconds = f"{row['cost']['seconds']:.0f}" if "cost" in row else "-"
        table.add_row(row["name"], row["beads"], *cells, difference, seconds, row["applicability"])
    Console(width=110).print(table)
    for name, cost in umbrella.items():
        for kind in ("as_run", "default_windows"):
            ratios = ", ".join(f"{cost[kind][u] / usual[u]:.1f} in {u}" for u in usual)
            print(f"umbrella sampling of {name} {kind} / median prediction: {ratios}")


def draw(rows: Sequence[Mapping[str, Any]]) -> Path:
    """Draw predicted against direct values, with error bars of two standard deviations."""
    figure, (axes,) = style.create_panels(width=4.6, height=4.2)
    shown = [row for row in rows if row["predicted"]["dg_kcal"] is not None]
    for row in shown:
        x, y = row["direct"], row["predicted"]
        axes.errorbar(
            x["dg_kcal"],
            y["dg_kcal"],
            2 * y["error_kcal"],
            2 * x["error_kcal"],
            fmt="o",
            capsize=3,
            label=f"{row['name']} ({row['beads']}), by {x['by']}",
        )
    values = [row[key]["dg_kcal"] for row in shown for key in ("direct", "predicted")]
    ends = [min(values) - 1.0, max(values) + 1.0]
    axes.plot(ends, ends, color=style.LIGHT_GREY, linewidth=0.8, zorder=0)
    style.dress(
        axes,
        xlabel="direct dG / (kcal/mol)",
        ylabel="predicted dG / (kcal/mol)",
        title=f"unseen, {LIPID}",
    )
    style.legend(axes)
    return save_image(figure, "permeation_predict")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "permeation")
    parser.add_argument("--folder", type=Path, default=Path("permeation-data") / "unseen")
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--set", action="append", default=[], help="decoupling: production=1 ns")
    options = parser.parse_args()
    model = load_default_regressor()
    molecules = choose(model.card)
    found = predict_molecules(
        molecules,
        LIPID,
        model,
        options.folder,
        engine=options.engine,
        cluster=ClusterSettings(kind="serial"),
        scratch=options.scratch,
        report=lambda job, n, total: print(f"[{n}/{total}] {job.name} {job.seconds:.0f} s"),
    )
    scratch = options.scratch or options.folder / "scratch-direct"
    references = [
        reference(m.graph, options.data, options.folder, scratch, options.set) for m in molecules
    ]
    rows = compare(found, references, options.folder)
    umbrella, usual = umbrella_cost(options.data), usual_cost(options.data)
    print_results(rows, umbrella, usual)
    print(draw(rows))
    results = {
        "molecules": rows,
        "umbrella": umbrella,
        "median_prediction": usual,
        "model": model.card.data.sha256,
    }
    print(write_results("permeation_predict", results))


if __name__ == "__main__":
    main()

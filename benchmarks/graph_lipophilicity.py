"""Compare octanol/water logP of small molecules from networks with `nnpmm permeation map`.

    python benchmarks/graph_lipophilicity.py --folder FOLDER

FOLDER is the one of graph_pretraining.py. Its models of lipophilicity (log D at pH 7.4) are used in
three ways: as they are, with a fitted straight line, and as the start of models of logP. Each split
of the 154 measured molecules tests on a tenth of them. Everything else is fitted to the rest,
including the three coefficients of `octanol.atomic_log_p`. The script prints a table and writes
results/graph_lipophilicity.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import ROOT, write_results, write_section
from graph_pretraining import PAGE, STARTS, rms, standard_error
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcCrippenDescriptors

from nnpmm.graphs.features import graph_of
from nnpmm.graphs.finetuning import finetune
from nnpmm.graphs.molecules import merged, read_molecules
from nnpmm.graphs.properties import PropertyModel, load_property_model
from nnpmm.graphs.settings import FinetuningSettings
from nnpmm.graphs.splits import drawn_for_test
from nnpmm.learning import calibrate, compare_errors
from nnpmm.permeation.mapping import map_smiles
from nnpmm.permeation.mapping.molecules import MAX_ATOMS

DATA = ROOT / "benchmarks" / "data" / "octanol_water.csv"
CURRENT = "Crippen and three coefficients"
LIPOPHILICITY = "networks of log D, as they are"
LINE = "networks of log D, straight line"
LOGP = "networks, from lipophilicity"
MEAN = "mean of the two (nnpmm)"
MEASURED = "measured"
EPOCHS = 60
MEMBERS = 4
SHIPPED = ROOT / "nnpmm" / "permeation" / "mapping" / "logp.json"
# Groups that may ionize at pH 7.4, and some that do not: acids, amines, amidines, azoles with N-H,
# phenols and alcohols, sulfonamides, imides, charges and nitrogen in aromatic rings.
IONIZABLE = (
    *("[CX3](=O)[OX2H1]", "[OH]", "[SX4](=O)(=O)[NX3;H1,H2]", "[#7]S(=O)(=O)", "P", "[+,-]"),
    "[NX3;!$(N-[C,S,P]=[O,S,N]);!$(N-a);!$(N-C=[C,N]);!$(N-[N,O])]",
    *("[$([NX3]C=[NX2]),$([NX2]=C[NX3])]", "[CX3](=O)[NX3;H1][CX3](=O)", "n"),
)


def descriptors(smiles: str) -> list[float]:
    """Return the descriptors of nnpmm's estimate: 1, number of sp3 carbons, presence of N or O."""
    atoms = list(Chem.MolFromSmiles(smiles).GetAtoms())
    sp3 = Chem.HybridizationType.SP3
    carbons = sum(a.GetAtomicNum() == 6 and a.GetHybridization() == sp3 for a in atoms)
    return [1.0, float(carbons), float(any(a.GetAtomicNum() in (7, 8) for a in atoms))]


def merged_model(folder: Path, paths: list[Path]) -> Path:
    """Merge models of one member each into one model, write it, and return its path."""
    models = [load_property_model(path) for path in paths]
    settings = models[0].card.settings.model_copy(update={"members": len(models)})
    card = models[0].card.model_copy(
        update={"settings": settings, "curves": tuple(m.card.curves[0] for m in models)}
    )
    path = folder / "lipophilicity.json"
    PropertyModel(card, tuple(model.networks[0] for model in models)).save(path)
    return path


def from_lipophilicity(folder: Path, model: Path, split: int) -> PropertyModel:
    """Return networks of logP that are trained from those of lipophilicity."""
    settings = FinetuningSettings(
        data=DATA,
        value="logp",
        pretrained=model,
        split_seed=split,
        members=MEMBERS,
        epochs=EPOCHS,
        batch=32,
    )
    return finetune(settings, folder / "logp" / f"split-{split}")


def beads_log_p(smiles: str, log_p: float) -> float:
    """Return the logP of the beads that represent a molecule of a given logP."""
    return map_smiles(smiles, log_p=log_p).bead_log_p


def current_log_p(smiles: list[str], fitted_to: tuple[list[str], np.ndarray]) -> np.ndarray:
    """Return Crippen's sum corrected by three coefficients fitted to known molecules."""
    known, values = fitted_to
    residual = values - crippen_log_p(known)
    coefficients, *_ = np.linalg.lstsq(
        np.array([descriptors(text) for text in known]), residual, rcond=None
    )
    return crippen_log_p(smiles) + np.array([descriptors(text) for text in smiles]) @ coefficients


def crippen_log_p(smiles: list[str]) -> np.ndarray:
    """Return the sum of Crippen's contributions."""
    return np.array([CalcCrippenDescriptors(Chem.MolFromSmiles(text))[0] for text in smiles])


def small_molecules(folder: Path, start: Path, splits: int) -> tuple[dict[str, Any], float]:
    """Return errors of the tested molecules and their beads, and the scale of the spreads."""
    molecules = merged(read_molecules(DATA, value="logp"))
    smiles = [molecule.smiles for molecule in molecules]
    values = np.array([molecule.value for molecule in molecules])
    lipophilicity = load_property_model(start).predict(smiles)[0]
    errors: dict[str, list[list[float]]] = {}
    apart, deviations = [], []
    for split in range(splits):
        model = from_lipophilicity(folder, start, split)
        test = drawn_for_test(smiles, "random", seed=split)
        tested = [text for text, is_tested in zip(smiles, test, strict=True) if is_tested]
        others = [text for text, is_tested in zip(smiles, test, strict=True) if not is_tested]
        members = model.members([graph_of(text) for text in tested])
        slope, offset = np.polyfit(lipophilicity[~test], values[~test], 1)
        current = current_log_p(tested, (others, values[~test]))
        estimates = {
            "Crippen": crippen_log_p(tested),
            CURRENT: current,
            LIPOPHILICITY: lipophilicity[test],
            LINE: slope * lipophilicity[test] + offset,
            LOGP: members.mean(axis=0),
            MEAN: 0.5 * (current + members.mean(axis=0)),
            MEASURED: values[test],
        }
        for name, estimate in estimates.items():
            beads = [
                map_smiles(text, log_p=float(value)).bead_log_p
                for text, value in zip(tested, estimate, strict=True)
            ]
            both = np.array([estimate, beads])
            errors.setdefault(name, []).append(rms(both, values[test]).tolist())
        apart.append(estimates[MEAN] - values[test])
        deviations.append(members.std(axis=0, ddof=1))
        print(split, {name: np.round(each[-1], 3).tolist() for name, each in errors.items()})
    differences, spreads = np.concatenate(apart), np.concatenate(deviations)
    scale = calibrate(differences, spreads, np.zeros(len(spreads)))
    rows = {
        name: row_of(np.array(each), np.array(errors[CURRENT])) for name, each in errors.items()
    }
    return {
        "molecules": len(smiles),
        "tested in each split": len(tested),
        "splits": splits,
        "estimates": rows,
        "calibration": compare_errors(
            differences, scale * spreads, np.zeros(len(spreads))
        ).model_dump(),
    }, scale


def row_of(each: np.ndarray, current: np.ndarray) -> dict[str, Any]:
    """Return means and differences of the errors (splits, 2) of molecules and their beads."""
    change = each - current
    return {
        what: {
            "rmse": float(each[:, n].mean()),
            "error": standard_error(each[:, n]),
            "difference": float(change[:, n].mean()),
            "difference_error": standard_error(change[:, n]),
            "splits": each[:, n].tolist(),
        }
        for n, what in enumerate(("molecules", "beads"))
    }


def large_molecules(folder: Path, start: Path) -> dict[str, Any]:
    """Return errors of drug-like molecules without acidic or basic groups.

    Their log D at pH 7.4 equals their logP. No network has seen them, because they belong to the
    test part of the lipophilicity data, which is the same for all seeds.
    """
    model = load_property_model(start)
    table = merged(read_molecules(folder / "lipophilicity.csv", value="value"))
    groups = [Chem.MolFromSmarts(text) for text in IONIZABLE]
    chosen = []
    for molecule in table:
        found = Chem.MolFromSmiles(molecule.smiles)
        if molecule.smiles in model.card.test and found.GetNumHeavyAtoms() <= MAX_ATOMS:
            if not any(found.HasSubstructMatch(group) for group in groups):
                chosen.append(molecule)
    smiles, values = [m.smiles for m in chosen], np.array([m.value for m in chosen])
    measured = merged(read_molecules(DATA, value="logp"))
    current = current_log_p(
        smiles, ([m.smiles for m in measured], np.array([m.value for m in measured]))
    )
    networks = from_lipophilicity(folder, start, 0).predict(smiles)[0]
    estimates = {
        "Crippen": crippen_log_p(smiles),
        CURRENT: current,
        LOGP: networks,
        MEAN: 0.5 * (current + networks),
    }
    drawn = np.random.default_rng(1).integers(len(values), size=(2000, len(values)))
    resampled = {
        name: np.array([rms(each[None, rows], values[rows])[0] for rows in drawn])
        for name, each in estimates.items()
    }
    return {
        "molecules": len(smiles),
        "estimates": {
            name: {
                "rmse": float(rms(each[None], values)[0]),
                "error": float(resampled[name].std()),
                "bias": float((each - values).mean()),
                "difference": float((rms(each[None], values) - rms(current[None], values))[0]),
                "difference_error": float((resampled[name] - resampled[CURRENT]).std()),
            }
            for name, each in estimates.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument(
        "--start", choices=STARTS, default="random", help="start of the lipophilicity models"
    )
    parser.add_argument("--seeds", type=int, default=2, help="number of lipophilicity models")
    parser.add_argument("--ship", action="store_true", help="also write the model of the package")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.folder.absolute()
    names = [f"lipophilicity-random-{options.start}-{n + 1}" for n in range(options.seeds)]
    start = merged_model(folder, [folder / "runs" / name / "model.json" for name in names])
    small, scale = small_molecules(folder, start, options.splits)
    record = {
        "networks": names,
        "members": MEMBERS,
        "epochs": EPOCHS,
        "error_scale": scale,
        "small molecules": small,
        "large molecules": large_molecules(folder, start),
    }
    print(write_results("graph_lipophilicity", record))
    show(record)
    if options.ship:
        ship(from_lipophilicity(folder, start, 0), scale)


def ship(model: PropertyModel, scale: float) -> None:
    """Write the model of the package, without local paths."""
    settings = model.card.settings.model_copy(
        update={"data": Path(DATA.name), "pretrained": Path("lipophilicity.json")}
    )
    changes = {"settings": settings, "error_scale": scale}
    PropertyModel(model.card.model_copy(update=changes), model.networks).save(SHIPPED)
    print(SHIPPED, SHIPPED.with_suffix(".safetensors").stat().st_size, "bytes")


def show(record: dict[str, Any]) -> None:
    """Print both tables and write them into the documentation."""
    lines = [
        "| RMS error of logP | molecules | difference | their beads | difference |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in record["small molecules"]["estimates"].items():
        cells = [cell for found in row.values() for cell in cells_of(name, found)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    large = record["large molecules"]
    lines += ["", f"{large['molecules']} drug-like molecules without acidic or basic groups:", ""]
    lines += ["| RMS error of logP | molecules | difference |", "| --- | --- | --- |"]
    for name, found in large["estimates"].items():
        lines.append(f"| {name} | {' | '.join(cells_of(name, found))} |")
    print("\n".join(lines))
    write_section(PAGE, "graph-lipophilicity", ["", *lines])


def cells_of(name: str, found: dict[str, float]) -> list[str]:
    """Return an error and its difference from the current estimate, as text."""
    value = f"{found['rmse']:.3f} ± {found['error']:.3f}"
    change = f"{found['difference']:+.3f} ± {found['difference_error']:.3f}"
    if name == MEASURED:
        value = "0" if found["rmse"] == 0.0 else value
    return [value, "" if name == CURRENT else change]


if __name__ == "__main__":
    main()

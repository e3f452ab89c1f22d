"""Compare property networks for molecular graphs with and without pre-training on geometries.

    python benchmarks/graph_pretraining.py prepare --folder FOLDER
    nnpmm graphs pretrain FOLDER/pretraining.yaml -o FOLDER/pretraining
    python benchmarks/graph_pretraining.py run --folder FOLDER
    python benchmarks/graph_pretraining.py forests --folder FOLDER   # needs scikit-learn
    python benchmarks/graph_pretraining.py report --folder FOLDER

The properties are solubility and lipophilicity. ``run`` continues an interrupted run, and adds
seeds to finished ones. All seeds use the same test molecules; the pre-training excludes these in
every stereoisomer.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import ROOT, data_folder, write_results, write_section
from rdkit import Chem

from nnpmm.core.errors import InputFileError
from nnpmm.core.files import write_atomically
from nnpmm.core.settings.reading import parse_settings
from nnpmm.graphs.bonds import BondNetwork
from nnpmm.graphs.features import collate, graph_of
from nnpmm.graphs.finetuning import finetune
from nnpmm.graphs.molecules import Molecule, flat_smiles, merged, parse_molecule, read_molecules
from nnpmm.graphs.pretraining import load_pretrained
from nnpmm.graphs.properties import load_property_model
from nnpmm.graphs.settings import FinetuningSettings, GraphSettings
from nnpmm.graphs.splits import SplitKind, drawn_for_test

PAGE = ROOT / "docs" / "validation" / "graphs.md"
DATA = {"solubility": "esol.csv", "lipophilicity": "lipophilicity.csv"}
COLUMN = {"solubility": "measured log solubility in mols per litre", "lipophilicity": "lipo"}
SPLITS: tuple[SplitKind, ...] = ("random", "scaffold")
STARTS = ("random", "pretrained")
METHODS = ("forest", *STARTS)
EPOCHS = {"solubility": 50, "lipophilicity": 25}
NETWORK = {"width": 40, "layers": 3}
PRETRAINING = """\
molecules: [seen.csv]
leave_out: [tested.csv]
recombined: {recombined}
most_atoms: 40
conformers: 4
conformer_folder: conformers
network: {network}
epochs: {epochs}
"""


def readable_lines(name: str) -> tuple[list[tuple[str, str]], int]:
    """Return SMILES and values of a data set, and the number of damaged lines.

    In esol.csv, names with commas shift the SMILES out of their column.
    """
    lines = (data_folder() / "moleculenet" / DATA[name]).read_text().splitlines()
    columns = lines[0].split(",")
    smiles, value = columns.index("smiles"), columns.index(COLUMN[name])
    found, damaged = [], 0
    for line in lines[1:]:
        cells = line.split(",")
        try:
            molecule = parse_molecule(cells[smiles].strip(), name)
        except InputFileError:
            damaged += 1
            continue
        found.append((Chem.MolToSmiles(molecule), cells[value]))
    return found, damaged


def prepare(folder: Path, most: int, epochs: int) -> None:
    """Write clean tables, the test molecules, and the settings of the pre-training."""
    tested: set[str] = set()
    every: list[str] = []
    for name in DATA:
        rows, damaged = readable_lines(name)
        path = folder / f"{name}.csv"
        write_table(path, [("smiles", "value"), *rows])
        molecules = molecules_of(path)
        print(f"{name}: {len(rows)} lines, {damaged} damaged, {len(molecules)} molecules")
        smiles = [molecule.smiles for molecule in molecules]
        every += smiles
        for split in SPLITS:
            test = drawn_for_test(smiles, split)
            tested |= {text for text, is_tested in zip(smiles, test, strict=True) if is_tested}
    write_table(folder / "tested.csv", [("smiles",), *((text,) for text in sorted(tested))])
    hidden = {flat_smiles(text) for text in tested}
    seen = [text for text in every if flat_smiles(text) not in hidden][:most]
    write_table(folder / "seen.csv", [("smiles",), *((text,) for text in seen)])
    settings = PRETRAINING.format(recombined=len(seen) // 6, network=NETWORK, epochs=epochs)
    write_atomically(folder / "pretraining.yaml", settings)
    print(f"{len(tested)} test molecules; the pre-training uses {len(seen)} of the others")


def molecules_of(path: Path) -> list[Molecule]:
    """Return each molecule of a clean table once, with the mean of its values."""
    return merged(read_molecules(path, value="value"))


def run(
    folder: Path,
    seeds: int,
    starts: tuple[str, ...],
    names: tuple[str, ...],
    splits: tuple[SplitKind, ...],
) -> None:
    """Train all networks that are missing, seed by seed."""
    torch.set_num_threads(1)
    for seed in range(1, seeds + 1):
        for name, split, start in itertools.product(names, splits, starts):
            output = folder / "runs" / f"{name}-{split}-{start}-{seed}"
            if (output / "model.json").exists():
                continue
            began = time.perf_counter()
            model = finetune(settings_of(folder, name, split, start, seed), output)
            rmse = model.card.metrics["test"].rmse
            print(f"{output.name}: {rmse:.3f}, {time.perf_counter() - began:.0f} s", flush=True)


def run_forests(folder: Path, seeds: int) -> None:
    """Fit random forests to fingerprints, and store their predictions for the test molecules.

    They learn from the training and validation molecules of the networks.
    """
    from rdkit.Chem import rdFingerprintGenerator
    from sklearn.ensemble import RandomForestRegressor

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    for name in DATA:
        molecules = molecules_of(folder / f"{name}.csv")
        smiles = [molecule.smiles for molecule in molecules]
        values = np.array([molecule.value for molecule in molecules])
        prints = np.array(
            [generator.GetCountFingerprintAsNumPy(Chem.MolFromSmiles(text)) for text in smiles]
        ).astype(np.float32)
        for split, seed in itertools.product(SPLITS, range(1, seeds + 1)):
            path = folder / "forests" / f"{name}-{split}-{seed}.json"
            if path.exists():
                continue
            test = drawn_for_test(smiles, split)
            forest = RandomForestRegressor(100, max_features=1 / 3, random_state=seed)
            forest.fit(prints[~test], values[~test])
            predicted = forest.predict(prints[test])
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, json.dumps(predicted.tolist()) + "\n")
            rmse = np.sqrt(((predicted - values[test]) ** 2).mean())
            print(f"{path.stem}: {rmse:.3f}", flush=True)


def report(folder: Path, seeds: int) -> None:
    """Print the table of all seeds that every method has, and write it with the results."""
    cases = []
    for name, split in itertools.product(DATA, SPLITS):
        values = {
            molecule.smiles: molecule.value for molecule in molecules_of(folder / f"{name}.csv")
        }
        test = drawn_for_test(list(values), split)
        labels = np.array(list(values.values()))[test]
        tested = [text for text, is_tested in zip(values, test, strict=True) if is_tested]
        done = [
            n for n in range(1, seeds + 1) if all(p.exists() for p in paths(folder, name, split, n))
        ]
        if len(done) < 2:
            continue
        found = {
            method: np.array([predictions(folder, name, split, method, n, tested) for n in done])
            for method in METHODS
        }
        case = case_record(name, split, done, labels, found)
        cases.append({**case, "frozen": frozen(folder, name, split)})
    pretraining, _ = load_pretrained(folder / "pretraining" / "model.json")
    record = {
        "cases": cases,
        "pretraining": {
            "molecules": pretraining.molecules,
            "recombined": pretraining.settings.recombined,
            "conformers": pretraining.settings.conformers,
            "without conformers": len(pretraining.without_conformers),
            "epochs": len(pretraining.training),
            "loss": [pretraining.training[-1], pretraining.validation[-1]],
            "agreement": pretraining.agreement[-1],
            "settings": pretraining.settings.model_dump(
                mode="json", exclude={"molecules", "leave_out", "conformer_folder"}
            ),
        },
        "network": NETWORK,
        "epochs": EPOCHS,
    }
    print(write_results("graph_pretraining", record))
    lines = table_of(cases)
    print("\n".join(lines))
    write_section(PAGE, "graph-pretraining", ["", *lines])


def frozen(folder: Path, name: str, split: SplitKind, draws: int = 5) -> dict[str, Any]:
    """Return RMS errors of a linear fit to the states of molecules, without training a network.

    The batch normalization of random networks is adapted to the molecules. A tenth of the training
    molecules is set aside to choose the ridge parameter.
    """
    molecules = molecules_of(folder / f"{name}.csv")
    smiles = [molecule.smiles for molecule in molecules]
    values = np.array([molecule.value for molecule in molecules])
    graphs = [graph_of(text) for text in smiles]
    batches = [collate(graphs[n : n + 256]) for n in range(0, len(graphs), 256)]
    test = drawn_for_test(smiles, split)
    late = np.random.default_rng(0).permutation(np.flatnonzero(~test))[: round(0.1 * len(smiles))]
    train = np.setdiff1d(np.flatnonzero(~test), late)

    def error(network: BondNetwork) -> float:
        with torch.no_grad():
            network.eval()
            states = torch.cat([network(batch) for batch in batches]).double().numpy()
        x = (states - states[train].mean(axis=0)) / (states[train].std(axis=0) + 1e-6)
        y = values - values[train].mean()
        found = []
        for ridge in np.geomspace(0.1, 1e4, 12):
            matrix = x[train].T @ x[train] + ridge * np.eye(x.shape[1])
            predicted = x @ np.linalg.solve(matrix, x[train].T @ y[train])
            squares = (predicted - y) ** 2
            found.append((squares[late].mean(), np.sqrt(squares[test].mean())))
        return float(min(found)[1])

    random = []
    for seed in range(draws):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            network = BondNetwork(GraphSettings(**NETWORK))
            for batch in batches:
                network(batch)
        random.append(error(network))
    pretrained = error(load_pretrained(folder / "pretraining" / "model.json")[1])
    mean, spread = float(np.mean(random)), standard_error(np.array(random))
    return {"pretrained": pretrained, "random": {"mean": mean, "error": spread, "draws": random}}


def paths(folder: Path, name: str, split: str, seed: int) -> list[Path]:
    """Return the files of all methods for one seed."""
    runs = [folder / "runs" / f"{name}-{split}-{start}-{seed}" / "model.json" for start in STARTS]
    return [*runs, folder / "forests" / f"{name}-{split}-{seed}.json"]


def predictions(
    folder: Path, name: str, split: str, method: str, seed: int, tested: list[str]
) -> np.ndarray:
    """Return the predictions of a method for the test molecules."""
    *runs, forest = paths(folder, name, split, seed)
    if method == "forest":
        return np.array(json.loads(forest.read_text()))
    model = load_property_model(runs[STARTS.index(method)])
    if sorted(model.card.test) != sorted(tested):
        raise SystemExit(f"{runs[0].parent} was tested on other molecules")
    return model.predict(tested)[0]


def case_record(
    name: str, split: str, seeds: list[int], labels: np.ndarray, found: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return RMS errors of every seed and method, and differences with their errors.

    Differences are paired over the seeds. Their second error is a bootstrap over the test
    molecules, with the same draws for both methods.
    """
    errors = {method: rms(values, labels) for method, values in found.items()}
    rng = np.random.default_rng(1)
    drawn = rng.integers(len(labels), size=(2000, len(labels)))
    resampled = {
        method: np.array([rms(values[:, rows], labels[rows]).mean() for rows in drawn])
        for method, values in found.items()
    }
    return {
        "property": name,
        "split": split,
        "seeds": seeds,
        "tested": len(labels),
        "rmse": {
            method: {
                "mean": float(each.mean()),
                "error": standard_error(each),
                "seeds": each.tolist(),
            }
            for method, each in errors.items()
        },
        "differences": {
            other: {
                "mean": float((errors["pretrained"] - errors[other]).mean()),
                "error over seeds": standard_error(errors["pretrained"] - errors[other]),
                "error over molecules": float((resampled["pretrained"] - resampled[other]).std()),
            }
            for other in ("random", "forest")
        },
        "ensemble": {
            method: float(rms(values.mean(axis=0)[None], labels)[0])
            for method, values in found.items()
        },
    }


def rms(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the RMS error of each row."""
    return np.sqrt(((values - labels) ** 2).mean(axis=1))


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def table_of(cases: list[dict[str, Any]]) -> list[str]:
    """Return the table of RMS errors and differences as Markdown."""
    lines = [
        "| RMS error of the test | fingerprints, random forest | random weights | pre-trained | "
        "pre-trained - random weights |",
        "| --- | --- | --- | --- | --- |",
    ]
    for case in cases:
        cells = [
            f"{case['rmse'][method]['mean']:.3f} ± {case['rmse'][method]['error']:.3f}"
            for method in METHODS
        ]
        change = case["differences"]["random"]
        lines.append(
            f"| {case['property']}, {case['split']} ({case['tested']} molecules) | "
            f"{' | '.join(cells)} | {change['mean']:+.3f} ± {change['error over seeds']:.3f} ± "
            f"{change['error over molecules']:.3f} |"
        )
    counts = ", ".join(f"{c['property']} ({c['split']}) {len(c['seeds'])}" for c in cases)
    lines += ["", f"Seeds: {counts}.", ""]
    lines += ["A linear fit to the states of molecules, the network not trained any further:", ""]
    lines += ["| RMS error of the test | random weights | pre-trained |", "| --- | --- | --- |"]
    for case in cases:
        random = case["frozen"]["random"]
        lines.append(
            f"| {case['property']}, {case['split']} | {random['mean']:.2f} ± {random['error']:.2f} "
            f"| {case['frozen']['pretrained']:.2f} |"
        )
    return lines


def settings_of(
    folder: Path, name: str, split: SplitKind, start: str, seed: int
) -> FinetuningSettings:
    """Return the settings of one training, the same for both starts."""
    data = {
        "data": f"{name}.csv",
        "value": "value",
        "split": split,
        "epochs": EPOCHS[name],
        "seed": seed,
        **({"network": NETWORK} if start == "random" else {"pretrained": "pretraining/model.json"}),
    }
    return parse_settings(FinetuningSettings, data, source="benchmark", base=folder)


def write_table(path: Path, rows: list[tuple[str, ...]]) -> None:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def main() -> None:
    """Run one part of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("prepare", "run", "forests", "report"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--molecules", type=int, default=6000, help="maximum for the pre-training")
    parser.add_argument("--epochs", type=int, default=200, help="epochs of the pre-training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--start", choices=STARTS, help="run only this start; default: both")
    parser.add_argument("--split", choices=SPLITS, help="run only this split; default: both")
    parser.add_argument(
        "--property", choices=tuple(DATA), help="run only this property; default: both"
    )
    options = parser.parse_args()
    if options.part == "prepare":
        prepare(options.folder, options.molecules, options.epochs)
    elif options.part == "report":
        report(options.folder, options.seeds)
    elif options.part == "forests":
        run_forests(options.folder, options.seeds)
    else:
        starts = (options.start,) if options.start else STARTS
        names = (options.property,) if options.property else tuple(DATA)
        splits = (options.split,) if options.split else SPLITS
        run(options.folder, options.seeds, starts, names, splits)


if __name__ == "__main__":
    main()

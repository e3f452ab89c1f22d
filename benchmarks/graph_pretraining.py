"""Solubility and lipophilicity from graphs of molecules: pre-trained on geometries, or not.

    python benchmarks/graph_pretraining.py prepare --folder FOLDER
    nnpmm graphs pretrain FOLDER/pretraining.yaml -o FOLDER/pretraining
    python benchmarks/graph_pretraining.py run --folder FOLDER
    python benchmarks/graph_pretraining.py report --folder FOLDER

``run`` goes on where it stopped, and adds seeds to those that are there. The molecules that are
tested on are the same for all seeds and are left out of the pre-training, in every stereoisomer.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from pathlib import Path

import torch
from common import data_folder
from rdkit import Chem

from nnpmm.core.errors import InputFileError
from nnpmm.core.files import write_atomically
from nnpmm.core.settings.reading import parse_settings
from nnpmm.graphs.finetuning import finetune
from nnpmm.graphs.molecules import Molecule, flat_smiles, merged, parse_molecule, read_molecules
from nnpmm.graphs.settings import FinetuningSettings
from nnpmm.graphs.splits import SplitKind, drawn_for_test

DATA = {"solubility": "esol.csv", "lipophilicity": "lipophilicity.csv"}
COLUMN = {"solubility": "measured log solubility in mols per litre", "lipophilicity": "lipo"}
SPLITS: tuple[SplitKind, ...] = ("random", "scaffold")
STARTS = ("random", "pretrained")
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
    """Return SMILES and values of a data set, and how many lines are damaged.

    In esol.csv, names with commas have pushed the SMILES out of their column.
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
    """Write clean tables, the molecules that are tested on, and settings of the pre-training."""
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
    print(f"{len(tested)} molecules are tested on; the pre-training sees {len(seen)} of the others")


def molecules_of(path: Path) -> list[Molecule]:
    """Return each molecule of a clean table once, with the mean of its values."""
    return merged(read_molecules(path, value="value"))


def run(folder: Path, seeds: int, starts: tuple[str, ...]) -> None:
    """Train all that is not there yet, seed by seed."""
    torch.set_num_threads(1)
    for seed in range(1, seeds + 1):
        for name, split, start in itertools.product(DATA, SPLITS, starts):
            output = folder / "runs" / f"{name}-{split}-{start}-{seed}"
            if (output / "model.json").exists():
                continue
            began = time.perf_counter()
            model = finetune(settings_of(folder, name, split, start, seed), output)
            rmse = model.card.metrics["test"].rmse
            print(f"{output.name}: {rmse:.3f}, {time.perf_counter() - began:.0f} s", flush=True)


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
    """Do a part of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("prepare", "run"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--molecules", type=int, default=6000, help="of the pre-training, at most")
    parser.add_argument("--epochs", type=int, default=200, help="of the pre-training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--start", choices=STARTS, help="of 'run'; both if left out")
    options = parser.parse_args()
    if options.part == "prepare":
        prepare(options.folder, options.molecules, options.epochs)
    else:
        run(options.folder, options.seeds, (options.start,) if options.start else STARTS)


if __name__ == "__main__":
    main()

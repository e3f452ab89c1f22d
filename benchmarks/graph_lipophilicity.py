"""Octanol/water logP of small molecules: networks against the estimate of `nnpmm permeation map`.

    python benchmarks/graph_lipophilicity.py --folder FOLDER

FOLDER is that of graph_pretraining.py, whose models of lipophilicity (log D at pH 7.4) are used as
they are, with a straight line fitted, and as the start of models of logP. Every split of the 154
measured molecules tests on a tenth of them; all that is fitted is fitted to the others, the three
coefficients of nnpmm's estimate among them. Prints a table, and writes
results/graph_lipophilicity.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from common import ROOT, write_results
from graph_pretraining import replace_section, rms, standard_error
from rdkit import Chem
from rdkit.Chem import Crippen

from nnpmm.graphs.finetuning import finetune
from nnpmm.graphs.molecules import flat_smiles, merged, read_molecules
from nnpmm.graphs.properties import PropertyModel, load_property_model
from nnpmm.graphs.settings import FinetuningSettings
from nnpmm.graphs.splits import drawn_for_test

DATA = ROOT / "benchmarks" / "data" / "octanol_water.csv"
CURRENT = "Crippen and three coefficients (nnpmm)"
LIPOPHILICITY = "lipophilicity, as it is"
LINE = "lipophilicity, straight line"
LOGP = "logP, from lipophilicity"
EPOCHS = 60


def descriptors(smiles: str) -> list[float]:
    """Return what the estimate of nnpmm multiplies: 1, sp3 carbons, whether there is N or O."""
    atoms = list(Chem.MolFromSmiles(smiles).GetAtoms())
    sp3 = Chem.HybridizationType.SP3
    carbons = sum(a.GetAtomicNum() == 6 and a.GetHybridization() == sp3 for a in atoms)
    return [1.0, float(carbons), float(any(a.GetAtomicNum() in (7, 8) for a in atoms))]


def fitted(columns: np.ndarray, values: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return a least-squares fit to what is not tested, of all molecules."""
    coefficients, *_ = np.linalg.lstsq(columns[~test], values[~test], rcond=None)
    return columns @ coefficients


def from_lipophilicity(
    folder: Path, model: Path, split: int, smiles: list[str], number: int
) -> np.ndarray:
    """Return logP by a network that begins as one of lipophilicity."""
    settings = FinetuningSettings(
        data=DATA,
        value="logp",
        pretrained=model,
        split_seed=split,
        epochs=EPOCHS,
        batch=32,
        seed=number,
    )
    trained = finetune(settings, folder / "logp" / f"split-{split}-{number}")
    return trained.predict(smiles)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    molecules = merged(read_molecules(DATA, value="logp"))
    smiles = [molecule.smiles for molecule in molecules]
    values = np.array([molecule.value for molecule in molecules])
    folder = options.folder.absolute()
    paths = sorted(folder.glob("runs/lipophilicity-random-pretrained-*/model.json"))
    models = [load_property_model(path) for path in paths]
    lipophilicity = np.mean([model.predict(smiles)[0] for model in models], axis=0)
    crippen = np.array([Crippen.MolLogP(Chem.MolFromSmiles(text)) for text in smiles])
    known = np.array([descriptors(text) for text in smiles])
    line = np.stack([np.ones(len(smiles)), lipophilicity], axis=1)
    errors: dict[str, list[float]] = {}
    for split in range(options.splits):
        test = drawn_for_test(smiles, "random", seed=split)
        networks = [
            from_lipophilicity(folder, path, split, smiles, n + 1) for n, path in enumerate(paths)
        ]
        estimates = {
            "Crippen": crippen,
            CURRENT: crippen + fitted(known, values - crippen, test),
            LIPOPHILICITY: lipophilicity,
            LINE: fitted(line, values, test),
            LOGP: np.mean(networks, axis=0),
        }
        for name, estimate in estimates.items():
            errors.setdefault(name, []).append(float(rms(estimate[None, test], values[test])[0]))
        print(split, {name: round(each[-1], 3) for name, each in errors.items()}, flush=True)
    show(errors, models, smiles, len(drawn_for_test(smiles, "random").nonzero()[0]))


def show(
    errors: dict[str, list[float]], models: list[PropertyModel], smiles: list[str], tested: int
) -> None:
    """Write the table and the JSON file."""
    seen = {flat_smiles(text) for model in models for text in model.card.train}
    current = np.array(errors[CURRENT])
    rows = {
        name: {
            "rmse": float(np.mean(each)),
            "error": standard_error(np.array(each)),
            "difference": float((np.array(each) - current).mean()),
            "difference_error": 0.0
            if name == CURRENT
            else standard_error(np.array(each) - current),
            "splits": each,
        }
        for name, each in errors.items()
    }
    record = {
        "molecules": len(smiles),
        "tested": tested,
        "models": len(models),
        "epochs": EPOCHS,
        "molecules in the lipophilicity data": sum(flat_smiles(text) in seen for text in smiles),
        "estimates": rows,
    }
    print(write_results("graph_lipophilicity", record))
    lines = [
        "| logP of small molecules | RMS error | difference from nnpmm's |",
        "| --- | --- | --- |",
    ]
    for name, row in rows.items():
        change = (
            "" if name == CURRENT else f"{row['difference']:+.2f} ± {row['difference_error']:.2f}"
        )
        lines.append(f"| {name} | {row['rmse']:.2f} ± {row['error']:.2f} | {change} |")
    print("\n".join(lines))
    replace_section("graph-lipophilicity", lines)


if __name__ == "__main__":
    main()

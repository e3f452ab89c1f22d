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
from graph_pretraining import STARTS, replace_section, rms, standard_error
from rdkit import Chem
from rdkit.Chem import Crippen

from nnpmm.graphs.finetuning import finetune
from nnpmm.graphs.molecules import flat_smiles, merged, read_molecules
from nnpmm.graphs.properties import load_property_model
from nnpmm.graphs.settings import FinetuningSettings
from nnpmm.graphs.splits import drawn_for_test
from nnpmm.permeation.mapping import map_smiles

DATA = ROOT / "benchmarks" / "data" / "octanol_water.csv"
CURRENT = "Crippen and three coefficients (nnpmm)"
LIPOPHILICITY = "networks of log D, as they are"
LINE = "networks of log D, straight line"
LOGP = "networks, from lipophilicity"
MEAN = "mean of nnpmm's and the networks'"
MEASURED = "measured"
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
    trained = finetune(settings, folder / "logp" / f"{model.parent.name}-split-{split}")
    return trained.predict(smiles)[0]


def beads_log_p(smiles: str, log_p: float) -> float:
    """Return the logP of the beads of a molecule whose own logP is given."""
    return map_smiles(smiles, log_p=log_p).bead_log_p


def estimates_of(
    folder: Path, paths: list[Path], split: int, smiles: list[str], values: np.ndarray
) -> dict[str, np.ndarray]:
    """Return logP of all molecules, fitted to those that the split does not test."""
    test = drawn_for_test(smiles, "random", seed=split)
    crippen = np.array([Crippen.MolLogP(Chem.MolFromSmiles(text)) for text in smiles])
    known = np.array([descriptors(text) for text in smiles])
    models = [load_property_model(path) for path in paths]
    lipophilicity = np.mean([model.predict(smiles)[0] for model in models], axis=0)
    line = np.stack([np.ones(len(smiles)), lipophilicity], axis=1)
    current = crippen + fitted(known, values - crippen, test)
    networks = np.mean(
        [from_lipophilicity(folder, path, split, smiles, n + 1) for n, path in enumerate(paths)],
        axis=0,
    )
    return {
        "Crippen": crippen,
        CURRENT: current,
        LIPOPHILICITY: lipophilicity,
        LINE: fitted(line, values, test),
        LOGP: networks,
        MEAN: 0.5 * (current + networks),
        MEASURED: values,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--start", choices=STARTS, default="pretrained", help="of lipophilicity")
    options = parser.parse_args()
    torch.set_num_threads(1)
    molecules = merged(read_molecules(DATA, value="logp"))
    smiles = [molecule.smiles for molecule in molecules]
    values = np.array([molecule.value for molecule in molecules])
    folder = options.folder.absolute()
    paths = sorted(folder.glob(f"runs/lipophilicity-random-{options.start}-*/model.json"))
    errors: dict[str, list[list[float]]] = {}
    for split in range(options.splits):
        test = np.flatnonzero(drawn_for_test(smiles, "random", seed=split))
        found = estimates_of(folder, paths, split, smiles, values)
        for name, estimate in found.items():
            beads = [beads_log_p(smiles[n], float(estimate[n])) for n in test]
            both = np.array([estimate[test], beads])
            errors.setdefault(name, []).append(rms(both, values[test]).tolist())
        print(split, {name: np.round(each[-1], 3).tolist() for name, each in errors.items()})
    show({name: np.array(each) for name, each in errors.items()}, paths, smiles, len(test))


def show(errors: dict[str, np.ndarray], paths: list[Path], smiles: list[str], tested: int) -> None:
    """Write the table and the JSON file; errors are (splits, 2) of molecules and their beads."""
    seen = {flat_smiles(text) for path in paths for text in load_property_model(path).card.train}
    rows = {}
    for name, each in errors.items():
        change = each - errors[CURRENT]
        rows[name] = {
            what: {
                "rmse": float(each[:, n].mean()),
                "error": standard_error(each[:, n]),
                "difference": float(change[:, n].mean()),
                "difference_error": standard_error(change[:, n]),
                "splits": each[:, n].tolist(),
            }
            for n, what in enumerate(("molecules", "beads"))
        }
    record = {
        "molecules": len(smiles),
        "tested in each split": tested,
        "networks": [path.parent.name for path in paths],
        "epochs": EPOCHS,
        "molecules that networks learned lipophilicity of": sum(
            flat_smiles(text) in seen for text in smiles
        ),
        "estimates": rows,
    }
    print(write_results("graph_lipophilicity", record))
    lines = [
        "| RMS error of logP | molecules | difference | their beads | difference |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in rows.items():
        cells = []
        for found in row.values():
            cells.append(f"{found['rmse']:.3f} ± {found['error']:.3f}")
            change = f"{found['difference']:+.3f} ± {found['difference_error']:.3f}"
            cells.append("" if name == CURRENT else change)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(lines))
    replace_section("graph-lipophilicity", lines)


if __name__ == "__main__":
    main()

"""Calculate the strain of the 13 TYK2 ligand poses with ANI-2x, in vacuum and in implicit water.

The ligands are those of openforcefield/protein-ligand-benchmark in their poses in the protein, with
AM1-BCC charges for the implicit water. There are no reference values for the strain. The figures
show the effects of the restraint, of the medium and of the spread of the networks.

python benchmarks/conformers_strain.py --image
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from common import data_folder, save_image, write_results
from rdkit import Chem

from nnpmm.conformers import ConformerResult, ConformerSettings, run_conformers
from nnpmm.conformers.report import conformer_figure, superimposed
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.settings.reading import parse_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ANI-2x")
    parser.add_argument("--first", type=int, default=13, help="number of ligands")
    parser.add_argument("--image", action="store_true", help="draw the first ligand in water")
    arguments = parser.parse_args()
    rows: dict[str, Any] = {}
    supplier = Chem.SDMolSupplier(str(data_folder() / "tyk2" / "ligands.sdf"), removeHs=False)
    for molecule in list(supplier)[: arguments.first]:
        name = molecule.GetProp("_Name")
        media = ("vacuum", "water")
        results = {medium: search(molecule, medium, arguments.model) for medium in media}
        rows[name] = {medium: summary(result) for medium, result in results.items()}
        if arguments.image and len(rows) == 1:
            result = results["water"]
            save_image(conformer_figure(result, superimposed(result)), "conformers")
        print(name, rows[name], flush=True)
        path = write_results("conformers_strain", {"settings": vars(arguments), "ligands": rows})
    print(path)


def search(molecule: Chem.Mol, medium: str, model: str) -> ConformerResult:
    """Return the conformers of a posed ligand, with the strain of its pose."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "ligand.sdf"
        Chem.MolToMolFile(molecule, str(file))
        data = {
            "molecule": {"file": str(file), "parameters": "amber"},
            "model": model,
            "solvent": medium,
            "pose": str(file),
            "selection": "all",
        }
        settings = parse_settings(ConformerSettings, data)
        return run_conformers(settings, Path(name) / "found")


def summary(result: ConformerResult) -> dict[str, float]:
    """Return the strain and related values, in kcal/mol and angstrom."""
    assert result.strain is not None and result.pose is not None
    return {
        "strain": round(result.strain.restrained / KJ_PER_KCAL, 2),
        "spread": round(result.strain.spread / KJ_PER_KCAL, 2),
        "strain_of_minimum": round(result.strain.minimum / KJ_PER_KCAL, 2),
        "moved": round(10 * result.pose.moved, 3),
        "minimum_moved": round(10 * result.pose.minimum_moved, 3),
        "conformers": len(result.ensemble.energies),
    }


if __name__ == "__main__":
    main()

"""Scan the torsions of the ligands of ligand_dynamics.py in vacuum with the different potentials.

The scans are relaxed like those of `nnpmm scan`. They cover the N-ethyl bonds of HSP90's ligand 3
with GAFF2, ANI-2x and ANI-1ccx, which was trained on coupled-cluster data, and all rotatable bonds
of Tyk2's ejm_31 with nnpmm's fallback parameters and ANI-2x. The script prints the energies at some
angles and writes results/ligand_dynamics_torsions.json. It takes two minutes on one core.

python benchmarks/ligand_dynamics_torsions.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import parmed
from common import data_folder, write_results
from rdkit import Chem

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.freeenergy.relative.box import read_ligands
from nnpmm.structures.ligands.source import MoleculeSource
from nnpmm.torsions import ScanSettings, run_scan

ETHYLS = {"10-3-9-8": "C12-N3-C10-C9", "9-3-10-11": "C10-N3-C12-C13"}
AMIDES = {
    "3-4-9-10": "C3-C4-C7-O1",
    "10-9-11-13": "O1-C7-N1-C8",
    "9-11-13-14": "C7-N1-C8-C9",
    "16-17-20-22": "N2-C11-N3-C13",
    "17-20-22-23": "C11-N3-C13-O2",
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    systems = {
        "HSP90 ligand 3": (gaff_files(folder), ETHYLS, ("ANI-2x", "ANI-1ccx")),
        "Tyk2 ejm_31": (sdf_file(folder), AMIDES, ("ANI-2x",)),
    }
    rows = []
    for name, (source, torsions, models) in systems.items():
        settings = ScanSettings(molecule=source, bonds=tuple(torsions), models=models)
        found = run_scan(settings, folder / name.replace(" ", "-"))
        rows.append({"ligand": name, "torsions": profiles(found, tuple(torsions.values()))})
        report(rows[-1])
    print(write_results("ligand_dynamics_torsions", rows))


def gaff_files(folder: Path) -> MoleculeSource:
    """Write the ligand of the GROMACS files of HSP90 as Amber files."""
    files = data_folder() / "hsp90/ligand-3/ligand"
    for path in files.glob("*.itp"):
        (folder / path.name).write_text(path.read_text())
    (folder / "ligand.top").write_text((files / "ligand.top").read_text())
    parmed.gromacs.GROMACS_TOPDIR = str(data_folder() / "amber99sb-ildn")
    whole = parmed.load_file(
        str(folder / "ligand.top"), xyz=str(files / "ligand.gro"), defines={"HEAVY_H": ""}
    )
    ligand = whole[":LIG"]
    ligand.box = None
    amber = parmed.amber.AmberParm.from_structure(ligand)
    paths = folder / "ligand.prmtop", folder / "ligand.inpcrd"
    amber.save(str(paths[0]), overwrite=True)
    amber.save(str(paths[1]), format="rst7", overwrite=True)
    return MoleculeSource(topology=paths[0], coordinates=paths[1])


def sdf_file(folder: Path) -> MoleculeSource:
    """Write the ligand of Tyk2 as an SDF file."""
    path = folder / "ejm_31.sdf"
    names = ("lig_ejm_31",)
    ligand = read_ligands(data_folder() / "tyk2/ligands.sdf", names)[names[0]]
    with Chem.SDWriter(str(path)) as writer:
        writer.write(ligand)
    return MoleculeSource(file=path, parameters="fallback")


def profiles(found: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return angles and energies relative to the minimum of each potential, kcal/mol."""
    angles = found.scan.angles
    rows = []
    for n, name in enumerate(names):
        energies = {
            potential: (values[n] - np.nanmin(values[n])) / KJ_PER_KCAL
            for potential, values in found.profiles.items()
        }
        rows.append({"torsion": name, "angles_deg": np.ravel(angles).tolist()})
        rows[-1]["kcal/mol"] = {key: value.round(3).tolist() for key, value in energies.items()}
    return rows


def report(row: dict[str, Any]) -> None:
    """Print the highest energy of each torsion and the energies every 30 degrees."""
    print(row["ligand"])
    for torsion in row["torsions"]:
        for potential, energies in torsion["kcal/mol"].items():
            pairs = zip(torsion["angles_deg"], energies, strict=True)
            values = " ".join(f"{energy:5.1f}" for angle, energy in pairs if round(angle) % 30 == 0)
            print(f"  {torsion['torsion']:16s} {potential:42s} {max(energies):5.1f}: {values}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

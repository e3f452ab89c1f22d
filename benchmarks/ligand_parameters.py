"""Compare the ligand fallback with AM1-BCC charges and GAFF Lennard-Jones of published files.

The script prints a table, and writes results/ligand_parameters.json and
docs/images/ligand_charges.png.
Usage: python benchmarks/ligand_parameters.py [--data FOLDER] (FOLDER contains freesolv, cb7-b2,
nnpops-ligands).
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from common import data_folder, save_image, write_results
from openmm import app, unit
from rdkit import Chem

from nnpmm.plots import style
from nnpmm.structures import molecule_from_file, molecule_from_smiles, parameterize
from nnpmm.structures.providers import Provider

DEBYE_PER_E_ANGSTROM = 4.80320
GAFF_HYDROGENS = {"h1", "h2", "h3", "h4", "h5", "ha", "hc", "hn", "ho", "hp", "hs", "hx"}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Charges in e, coordinates in angstrom and Lennard-Jones mismatches of one molecule."""

    name: str
    charges: np.ndarray
    reference: np.ndarray
    positions: np.ndarray
    lj_compared: int
    lj_mismatches: list[str]

    def dipoles(self) -> tuple[float, float]:
        """Return the dipole moments in debye with the fallback's and the reference charges."""
        ours, reference = (
            DEBYE_PER_E_ANGSTROM * float(np.linalg.norm(q @ self.positions))
            for q in (self.charges, self.reference)
        )
        return ours, reference


def skeleton(elements: list[int], bonds: list[tuple[int, int]]) -> Chem.Mol:
    """Return a molecule of elements and bonds, without bond orders."""
    molecule = Chem.RWMol()
    for atomic_number in elements:
        atom = Chem.Atom(atomic_number)
        atom.SetNoImplicit(True)
        molecule.AddAtom(atom)
    for i, j in bonds:
        molecule.AddBond(i, j, Chem.BondType.SINGLE)
    return molecule.GetMol()


def compare_with_amber(
    name: str, smiles: str, prmtop_path: Path, provider: Provider = "fallback"
) -> Comparison:
    """Compare charges and Lennard-Jones of a SMILES with an Amber gas-phase topology."""
    prmtop = app.AmberPrmtopFile(str(prmtop_path))
    coordinates = app.AmberInpcrdFile(str(prmtop_path.with_suffix(".inpcrd")))
    atoms = list(prmtop.topology.atoms())
    reference = skeleton(
        [atom.element.atomic_number for atom in atoms],
        [(a.index, b.index) for a, b in prmtop.topology.bonds()],
    )
    molecule = molecule_from_smiles(smiles)
    parameters = parameterize(molecule, provider=provider)
    match = reference.GetSubstructMatch(
        skeleton(
            [atom.GetAtomicNum() for atom in molecule.GetAtoms()],
            [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in molecule.GetBonds()],
        )
    )
    if len(match) != len(atoms):
        raise SystemExit(f"{name}: SMILES and prmtop are different molecules")
    system = prmtop.createSystem()
    force = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    rows = np.array([[x._value for x in force.getParticleParameters(i)] for i in match])
    wrong = (np.abs(parameters.epsilon - rows[:, 2]) > 1e-5) | (
        (rows[:, 2] > 0) & (np.abs(parameters.sigma - rows[:, 1]) > 1e-6)
    )
    types = prmtop._prmtop.getAtomTypes()
    mismatches = [
        f"{name} atom {i}: {parameters.lj_types[i]} but {types[match[i]]}"
        for i in np.where(wrong)[0]
    ]
    positions = np.array(coordinates.positions.value_in_unit(unit.angstrom))[list(match)]
    return Comparison(name, parameters.charges, rows[:, 0], positions, len(match), mismatches)


def compare_with_mol2(path: Path) -> Comparison:
    """Compare with the charges and GAFF hydrogen types of a MOL2 file."""
    molecule = molecule_from_file(path)
    parameters = parameterize(molecule, provider="fallback")
    section = path.read_text().split("@<TRIPOS>ATOM")[1].split("@<TRIPOS>")[0]
    types = [line.split()[5] for line in section.splitlines() if line.strip()]
    compared = [i for i, name in enumerate(types) if name in GAFF_HYDROGENS]
    mismatches = [
        f"{path.stem} atom {i}: {parameters.lj_types[i]} but {types[i]}"
        for i in compared
        if parameters.lj_types[i] != types[i]
    ]
    reference = [atom.GetDoubleProp("_TriposPartialCharge") for atom in molecule.GetAtoms()]
    positions = molecule.GetConformer().GetPositions()
    return Comparison(
        path.stem, parameters.charges, np.array(reference), positions, len(compared), mismatches
    )


def summary(label: str, comparisons: list[Comparison]) -> dict[str, object]:
    """Return statistics of charges, dipole moments and Lennard-Jones types of a set."""
    charges = np.concatenate([c.charges for c in comparisons])
    reference = np.concatenate([c.reference for c in comparisons])
    difference = charges - reference
    dipoles = np.array([c.dipoles() for c in comparisons])
    worst = max(comparisons, key=lambda c: np.abs(c.charges - c.reference).max())
    return {
        "set": label,
        "molecules": len(comparisons),
        "atoms": len(charges),
        "charge_mad_e": round(float(np.abs(difference).mean()), 4),
        "charge_rms_e": round(float(np.sqrt((difference**2).mean())), 4),
        "charge_max_e": round(float(np.abs(difference).max()), 4),
        "charge_max_molecule": worst.name,
        "charge_correlation": round(float(np.corrcoef(charges, reference)[0, 1]), 3),
        "dipole_mad_debye": round(float(np.abs(dipoles[:, 0] - dipoles[:, 1]).mean()), 3),
        "dipole_correlation": (
            round(float(np.corrcoef(dipoles.T)[0, 1]), 3) if len(dipoles) > 2 else None
        ),
        "lj_atoms_compared": sum(c.lj_compared for c in comparisons),
        "lj_mismatches": [text for c in comparisons for text in c.lj_mismatches],
    }


def plot(comparisons: list[Comparison]) -> None:
    """Draw the charges and the dipole moments against the reference."""
    figure, (left, right) = style.create_panels(1, 2, width=9, height=4.4)
    charges = np.concatenate([c.charges for c in comparisons])
    reference = np.concatenate([c.reference for c in comparisons])
    dipoles = np.array([c.dipoles() for c in comparisons])
    for axes, x, y, what in (
        (left, reference, charges, "charge / e"),
        (right, dipoles[:, 1], dipoles[:, 0], "dipole moment / D"),
    ):
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        axes.plot([low, high], [low, high], color=style.GREY, linewidth=1, zorder=0)
        axes.scatter(x, y, s=12, alpha=0.6, linewidths=0)
        style.dress(axes, xlabel=f"AM1-BCC {what}", ylabel=f"MMFF94 increments {what}")
        axes.set_aspect("equal")
    title = f"FreeSolv, {len(comparisons)} molecules, {len(charges)} atoms"
    figure.suptitle(title, fontsize=style.TEXT)
    save_image(figure, "ligand_charges")


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the table of the sets."""
    header = ("set", "molecules", "atoms", "MAD/e", "RMS/e", "max/e", "r", "dipole MAD/D", "LJ")
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    keys = ("set", "molecules", "atoms", "charge_mad_e", "charge_rms_e", "charge_max_e")
    for row in rows:
        cells = [str(row[key]) for key in (*keys, "charge_correlation", "dipole_mad_debye")]
        wrong = row["lj_mismatches"]
        cells.append(f"{row['lj_atoms_compared'] - len(wrong)}/{row['lj_atoms_compared']}")
        print("| " + " | ".join(cells) + " |")
        for text in wrong:
            print("  mismatch:", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=data_folder())
    data = parser.parse_args().data
    if not (data / "freesolv").is_dir():
        raise SystemExit(f"found no folder freesolv in {data}; give the data folder with --data")
    logging.getLogger("nnpmm.structures.ligands").setLevel(logging.ERROR)
    database = json.loads((data / "freesolv/database-subset.json").read_text())
    freesolv = [
        compare_with_amber(name, entry["smiles"], data / f"freesolv/amber/{name}.prmtop")
        for name, entry in sorted(database.items())
    ]
    rows = [summary("FreeSolv (AM1-BCC)", freesolv)]
    for stem in ("b2", "cb7"):
        found = compare_with_mol2(data / f"cb7-b2/{stem}_am1-bcc.mol2")
        rows.append(summary(f"{stem} (AM1-BCC)", [found]))
    for path in sorted((data / "nnpops-ligands").glob("*.mol2")):
        found = compare_with_mol2(path)
        rows.append(summary(f"{path.stem} (file's charges)", [found]))
    print_table(rows)
    print(write_results("ligand_parameters", rows))
    plot(freesolv)


if __name__ == "__main__":
    main()

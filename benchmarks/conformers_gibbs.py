"""Gibbs scores of ETKDG and Confab on TorsionNet's two alkanes, 200 conformers each.

The protocol of the published evaluation (T. Gogineni et al., NeurIPS 2020, and the code published
with it): conformers relaxed by rdkit's MMFF94 with its default number of steps, those with a
torsion fingerprint deviation below 0.05 left out, kT = 1 kcal/mol, and the published E_0 and Z_0
of each molecule. Confab starts from the geometry that Open Babel builds of the SMILES (--gen3d
--fast); neither takes a seed, so that it runs once.

python benchmarks/conformers_gibbs.py --seeds 10
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np
from common import write_results
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from nnpmm.conformers import GibbsReference, etkdg_conformers, gibbs_score
from nnpmm.conformers.confab import confab_conformers
from nnpmm.conformers.screening import with_conformers
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.structures import molecule_from_smiles
from nnpmm.structures.ligands.programs import find_program

COUNT = 200


class Alkane(NamedTuple):
    """SMILES, and E_0 (kcal/mol) and Z_0 as published."""

    smiles: str
    energy: float
    normalization: float


METHYL, METHYLENE = "C([H])([H])[H]", "C([H])([H])"
# As published, hydrogens and order included: Confab's first 200 combinations depend on the order.
ALKANES = {
    "11 torsions": Alkane(
        f"[H]{METHYLENE * 4}C([H])({METHYL}){METHYLENE * 3}C([H])({METHYLENE}{METHYL})"
        f"{METHYLENE * 3}{METHYL}",
        *(7.840935037731404, 13.066560104213275),
    ),
    "22 torsions": Alkane(
        f"[H]{METHYLENE * 6}[C@]([H])({METHYLENE}{METHYL}){METHYLENE * 2}"
        f"[C@@]([H])({METHYLENE * 5}{METHYL}){METHYLENE * 2}"
        f"[C@]([H])({METHYL}){METHYLENE * 5}{METHYL}",
        *(14.88278294332602, 1.2363186365185044),
    ),
}
PUBLISHED = {
    "11 torsions": {"etkdg": "1.14 +- 0.16", "confab": "0.10"},
    "22 torsions": {"etkdg": "1.22 +- 0.43", "confab": "below 1e-4"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name, alkane in ALKANES.items():
        for generator in ("etkdg", "confab"):
            seeds = range(arguments.seeds if generator == "etkdg" else 1)
            found = [score(alkane, generator, seed) for seed in seeds]
            scores, walls, processors = zip(*found, strict=True)
            row = {
                "molecule": name,
                "generator": generator,
                "score": float(np.mean(scores)),
                "deviation": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
                "published": PUBLISHED[name][generator],
                "wall_s": float(np.mean(walls)),
                "processor_s": float(np.mean(processors)),
                "scores": scores,
            }
            rows.append(row)
            print({key: value for key, value in row.items() if key != "scores"}, flush=True)
            path = write_results("conformers_gibbs", {"settings": vars(arguments), "rows": rows})
    print(path)


def score(alkane: Alkane, generator: str, seed: int) -> tuple[float, float, float]:
    """Return the Gibbs score of one set of conformers, and wall and processor time in s."""
    began, spent = time.perf_counter(), processor_time()
    if generator == "etkdg":
        molecule = molecule_from_smiles(alkane.smiles, seed=seed)
        positions = etkdg_conformers(molecule, COUNT, seed=seed)
    else:
        molecule = built_by_open_babel(alkane.smiles)
        positions = confab_conformers(molecule, COUNT)
    relaxed, energies = relaxed_as_published(molecule, positions)
    reference = GibbsReference(KJ_PER_KCAL * alkane.energy, alkane.normalization)
    found = gibbs_score(relaxed, energies, reference)
    return found, time.perf_counter() - began, processor_time() - spent


def processor_time() -> float:
    """Return the processor time of this process and its children so far, s."""
    return sum(os.times()[:4])


def built_by_open_babel(smiles: str) -> Chem.Mol:
    """Return a molecule with the geometry that Open Babel's builder gives it."""
    with tempfile.TemporaryDirectory() as folder:
        program = find_program("obabel")
        command = [program, f"-:{smiles}", "-O", "built.sdf", "--gen3d", "--fast"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        (molecule,) = Chem.SDMolSupplier(f"{folder}/built.sdf", removeHs=False)
    return molecule


def relaxed_as_published(
    molecule: Chem.Mol, positions: NDArray[np.float64]
) -> tuple[Chem.Mol, NDArray[np.float64]]:
    """Return conformers after 200 steps of rdkit's MMFF94, and their energies, kJ/mol."""
    copy = with_conformers(molecule, positions)
    found = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(copy)
    return copy, KJ_PER_KCAL * np.array([energy for _, energy in found])


if __name__ == "__main__":
    main()

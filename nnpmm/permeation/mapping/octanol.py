"""Octanol/water free energies: contributions of each atom, and values of each bead type.

Positive free energies prefer octanol: dG = RT ln(10) logP.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from nnpmm.core.constants import GAS_CONSTANT

__all__ = ["BEAD_FREE_ENERGIES", "BEAD_LOG_P_ERROR", "KJ_PER_LOGP", "atomic_log_p"]

#: RT ln(10) at 298.15 K, kJ/mol.
KJ_PER_LOGP = GAS_CONSTANT * 298.15 * math.log(10.0)

#: kJ/mol, by thermodynamic integration in the Martini force field: Bereau and Kremer, J. Chem.
#: Theory Comput. 2015, 11, 2783, as tabulated in their program auto_martini.
BEAD_FREE_ENERGIES: dict[str, float] = {
    "P5": -8.88,
    "P4": -9.30,
    "P3": -8.81,
    "P2": -3.85,
    "P1": -2.26,
    "Nda": 2.49,
    "Nd": 2.49,
    "Na": 2.49,
    "N0": 4.22,
    "C5": 6.93,
    "C4": 10.14,
    "C3": 12.26,
    "C2": 13.74,
    "C1": 14.20,
}

#: Estimate of the error of a mapping: root mean square difference between the logP of a molecule's
#: beads and the measured one, over molecules of benchmarks/data/octanol_water.csv to which the
#: estimate was not fitted (benchmarks/graph_lipophilicity.py).
BEAD_LOG_P_ERROR = 0.47

# Least squares over benchmarks/data/octanol_water.csv, in units of logP. Crippen's contributions
# were fitted to larger molecules, and underestimate the differences between small ones.
PER_MOLECULE, PER_SP3_CARBON, WITH_NITROGEN_OR_OXYGEN = 0.342, 0.111, -0.800


def atomic_log_p(molecule: Chem.Mol) -> NDArray[np.float64]:
    """Return the (atoms,) contributions of heavy atoms, including their hydrogens, to logP.

    logP = sum of Crippen's contributions (Wildman and Crippen, J. Chem. Inf. Comput. Sci. 1999, 39,
    868) + a + b (number of sp3 carbons) + c [there is nitrogen or oxygen]

    with a spread over all heavy atoms and c over nitrogen and oxygen.

    Args:
        molecule: hydrogens implicit.
    """
    shares = np.zeros(molecule.GetNumAtoms())
    explicit = Chem.AddHs(molecule)
    # rdkit has no public name for the contributions of single atoms.
    contributions = [found[0] for found in rdMolDescriptors._CalcCrippenContribs(explicit)]
    for atom, contribution in zip(explicit.GetAtoms(), contributions, strict=True):
        heavy = atom.GetNeighbors()[0] if atom.GetAtomicNum() == 1 else atom
        shares[heavy.GetIdx()] += contribution
    atoms = list(molecule.GetAtoms())
    shares += PER_MOLECULE / len(atoms)
    for atom in atoms:
        if atom.GetAtomicNum() == 6 and atom.GetHybridization() == Chem.HybridizationType.SP3:
            shares[atom.GetIdx()] += PER_SP3_CARBON
    polar = [atom.GetIdx() for atom in atoms if atom.GetAtomicNum() in (7, 8)]
    if polar:
        shares[polar] += WITH_NITROGEN_OR_OXYGEN / len(polar)
    return shares

"""The type of bead of a fragment: published, or the nearest in octanol/water.

A fragment that is one of the building blocks of the Martini 2 paper gets its published type. Any
other gets the type whose octanol/water free energy is nearest to that of the fragment. Types with
nearly the same free energy are distinguished by hydrogen bonds.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from rdkit import Chem

from nnpmm.permeation.mapping.octanol import BEAD_FREE_ENERGIES

__all__ = ["PUBLISHED", "HydrogenBonds", "count_hydrogen_bonds", "nearest_type", "published_type"]

#: Neutral building blocks of S. J. Marrink et al., J. Phys. Chem. B 2007, 111, 7812, table 3.
PUBLISHED: dict[str, str] = {
    "CC(N)=O": "P5",
    "OCCO": "P4",
    "CC(=O)O": "P3",
    "CNC=O": "P3",
    "CCO": "P2",
    "CCCO": "P1",
    "CC(C)O": "P1",
    "CCCCO": "Nda",
    "CCCN": "Nd",
    "CC(C)=O": "Na",
    "C[N+](=O)[O-]": "Na",
    "CCC#N": "Na",
    "COC=O": "Na",
    "CCC=O": "Na",
    "CCOC": "N0",
    "CCCS": "C5",
    "CCSC": "C5",
    "CC#CC": "C4",
    "C=CC=C": "C4",
    "ClC(Cl)Cl": "C4",
    "CC=CC": "C3",
    "CCCCl": "C3",
    "CC(C)Br": "C3",
    "CCC": "C2",
    "CCCC": "C1",
    "CC(C)C": "C1",
}

# As in the published types, ethers neither donate nor accept, and amines donate.
_DONORS = Chem.MolFromSmarts("[O,N,n;!H0]")
_ACCEPTORS = Chem.MolFromSmarts("[OX1,OX2H,NX1,NX2,nX2,$([NX3;H0;!$(N[C,S]=[O,S]);!$(N=O)])]")


class HydrogenBonds(NamedTuple):
    """Hydrogen bonds that a fragment can donate and accept."""

    hydrogens: int
    """N-H and O-H."""
    on_nitrogen: bool
    """Whether one of them is on nitrogen."""
    accepts: bool


def count_hydrogen_bonds(molecule: Chem.Mol, atoms: Collection[int]) -> HydrogenBonds:
    """Return the hydrogen bonds of a fragment, given by its atoms' indices."""
    donors = [n for (n,) in molecule.GetSubstructMatches(_DONORS) if n in atoms]
    donor_atoms = [molecule.GetAtomWithIdx(n) for n in donors]
    return HydrogenBonds(
        sum(atom.GetTotalNumHs() for atom in donor_atoms),
        any(atom.GetAtomicNum() == 7 for atom in donor_atoms),
        any(n in atoms for (n,) in molecule.GetSubstructMatches(_ACCEPTORS)),
    )


def nearest_type(free_energy: float, bonds: HydrogenBonds) -> str:
    """Return the type of bead that is nearest in octanol/water.

    Nda, Nd, Na and N0 are distinguished by donors and acceptors. So are P3, P4 and P5, within 0.5
    kJ/mol of each other, as their published examples are: acetic acid has one N-H or O-H,
    ethanediol two, acetamide two on nitrogen.

    Args:
        free_energy: of the fragment, octanol/water, kJ/mol.
        bonds: of the fragment.
    """
    if bonds.hydrogens < 2:
        polar = "P3"
    else:
        polar = "P5" if bonds.on_nitrogen else "P4"
    donates = bonds.hydrogens > 0
    intermediate = {(True, True): "Nda", (True, False): "Nd", (False, True): "Na"}
    allowed = {polar, "P2", "P1", intermediate.get((donates, bonds.accepts), "N0")}
    allowed |= {name for name in BEAD_FREE_ENERGIES if name.startswith("C")}
    return min(sorted(allowed), key=lambda name: abs(BEAD_FREE_ENERGIES[name] - free_energy))


def published_type(molecule: Chem.Mol, atoms: Collection[int]) -> str | None:
    """Return the published type of a fragment whose cut bonds are capped by hydrogens, or None.

    Fragments with ring atoms have none: a part of a ring differs from the open-chain molecule.
    """
    chosen = [molecule.GetAtomWithIdx(n) for n in atoms]
    if any(atom.IsInRing() for atom in chosen):
        return None
    alone = Chem.RWMol(molecule)
    alone.BeginBatchEdit()
    for atom in molecule.GetAtoms():
        if atom.GetIdx() not in atoms:
            alone.RemoveAtom(atom.GetIdx())
    alone.CommitBatchEdit()
    return _published().get(Chem.MolToSmiles(alone))


@lru_cache(maxsize=1)
def _published() -> dict[str, str]:
    return {Chem.CanonSmiles(smiles): bead for smiles, bead in PUBLISHED.items()}

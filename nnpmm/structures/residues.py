"""Classify the residues of a system: amino acids, lipids, possible ligands."""

from __future__ import annotations

from openmm import app
from openmm.app.topology import Residue

from nnpmm.structures.selection import is_water

__all__ = ["LIPIDS", "candidate_ligands", "is_amino_acid"]

#: Of CHARMM36, Lipid21 and Slipids.
LIPIDS = frozenset(
    "CHL CHL1 CHOL CLOL DLPC DLPE DMPC DMPE DMPG DOPC DOPE DOPG DOPS DPPC DPPE DPPG DSPC POPC POPE "
    "POPG POPS PSM SDPC AR DHA LAL MY OL PA PC PE PGR PH- PS SA SPM ST".split()
)


def candidate_ligands(topology: app.Topology) -> list[Residue]:
    """Return the residues that may be a ligand.

    They are not bonded to another residue, and neither an amino acid, a lipid, water nor an ion.

    Args:
        topology: of the system.
    """
    joined = set()
    for bond in topology.bonds():
        first, second = bond.atom1.residue.index, bond.atom2.residue.index
        if first != second:
            joined |= {first, second}
    return [
        residue
        for residue in topology.residues()
        if len(residue) > 1
        and residue.index not in joined
        and residue.name not in LIPIDS
        and not (is_amino_acid(residue) or is_water(residue))
    ]


def is_amino_acid(residue: Residue) -> bool:
    """Return whether a residue has a peptide backbone; names alone would take in some ligands."""
    return {"N", "CA", "C", "O"} <= {atom.name for atom in residue.atoms()}

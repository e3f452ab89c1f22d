"""Reading of molecules that can be mapped to neutral beads, with their atoms in canonical order."""

from __future__ import annotations

from rdkit import Chem, rdBase

from nnpmm.core.errors import InputFileError
from nnpmm.core.tables import excerpt
from nnpmm.structures.ligands.molecules import refuse_radicals

__all__ = ["MAX_ATOMS", "read_molecule"]

#: Bounds the search for fragments; the networks are trained on much smaller molecules.
MAX_ATOMS = 30
_ELEMENTS = ("H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I")


def read_molecule(smiles: str) -> Chem.Mol:
    """Return a molecule with implicit hydrogens, its atoms in canonical order.

    Two SMILES of one molecule give the same result. Stereochemistry is removed, since beads have
    none.

    Raises:
        InputFileError: not a SMILES, several fragments, a charge, an unpaired electron, an element
            that beads do not represent, or too few or too many atoms.
    """
    molecule = _parse(smiles.strip())
    origin = f"SMILES {excerpt(smiles)!r}"
    fragments = Chem.GetMolFrags(molecule)
    if len(fragments) > 1:
        raise InputFileError(
            f"{origin}: found {len(fragments)} fragments, expected one molecule: remove "
            "salts and solvents"
        )
    _check_charges(molecule, origin)
    refuse_radicals(molecule, origin)
    for atom in molecule.GetAtoms():
        if atom.GetSymbol() not in _ELEMENTS:
            raise InputFileError(
                f"{origin}: found the element {atom.GetSymbol()}, allowed: {', '.join(_ELEMENTS)}"
            )
    if not 2 <= molecule.GetNumHeavyAtoms() <= MAX_ATOMS:
        raise InputFileError(
            f"{origin}: found {molecule.GetNumHeavyAtoms()} heavy atoms, allowed 2 to "
            f"{MAX_ATOMS}: a bead stands for about four"
        )
    Chem.RemoveStereochemistry(molecule)
    return Chem.MolFromSmiles(Chem.MolToSmiles(molecule))


def _parse(smiles: str) -> Chem.Mol:
    """Return the molecule of a SMILES string, without messages from rdkit on stderr."""
    origin = f"SMILES {excerpt(smiles)!r}"
    if len(smiles.split()) > 1:  # rdkit would read the rest as a name
        raise InputFileError(f"{origin}: found a space in it; give only the SMILES, such as CCO")
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles) if smiles else None
    if molecule is None:
        raise InputFileError(f"{origin}: rdkit cannot read it; expected a molecule such as CCO")
    return molecule


def _check_charges(molecule: Chem.Mol, origin: str) -> None:
    """Refuse ions and zwitterions, but not formal charges that neighbours cancel, as in nitro."""
    total = Chem.GetFormalCharge(molecule)
    if total != 0:
        raise InputFileError(
            f"{origin}: found a charge of {total:+d}, beads are neutral: give the neutral form"
        )
    for atom in molecule.GetAtoms():
        near = sum(other.GetFormalCharge() for other in atom.GetNeighbors())
        if atom.GetFormalCharge() * near >= 0 and atom.GetFormalCharge() != 0:
            raise InputFileError(
                f"{origin}: found a charge of {atom.GetFormalCharge():+d} on "
                f"{atom.GetSymbol()}, beads are neutral: give the neutral form of the zwitterion"
            )

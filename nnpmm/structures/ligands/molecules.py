"""Molecules with all hydrogens and one 3D conformer, from SMILES or from a structure file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from nnpmm.core.errors import InputFileError
from nnpmm.structures.elements import covalent_radius
from nnpmm.structures.ligands.mol2 import read_mol2
from nnpmm.structures.ligands.sdf import read_sdf
from nnpmm.structures.ligands.stereo import count_open_stereocenters

__all__ = [
    "add_conformer",
    "check_molecule",
    "molecule_from_file",
    "molecule_from_smiles",
    "refuse_radicals",
]

logger = logging.getLogger(__name__)

# Bond lengths in units of the sum of the covalent radii. For comparison: 0.77 in N2, 1.19 in H2.
_SHORTEST_BOND, _LONGEST_BOND = 0.72, 1.25


def molecule_from_smiles(smiles: str, *, seed: int = 0) -> Chem.Mol:
    """Build a molecule with explicit hydrogens and one relaxed 3D conformer.

    The conformer comes from ETKDGv3 distance geometry and is relaxed with MMFF94 (with UFF where
    MMFF94 lacks an atom type).

    Args:
        smiles: one molecule, protonated and charged as it is to be simulated.
        seed: seed of the distance geometry; the same seed gives the same conformer.

    Returns:
        The molecule, atoms in SMILES order followed by the hydrogens, coordinates in angstrom.

    Raises:
        InputFileError: the SMILES cannot be parsed, has several molecules or unpaired electrons,
            or no conformer can be built.

    References:
        S. Wang et al., J. Chem. Inf. Model. 2020, 60, 2044 (ETKDGv3).
    """
    with rdBase.BlockLogs():
        # rdkit would read what follows a blank as the name of the molecule.
        one_word = len(smiles.split()) == 1
        parsed = Chem.MolFromSmiles(smiles.strip()) if one_word else None
    if parsed is None or parsed.GetNumAtoms() == 0:
        raise InputFileError(
            f"found {smiles!r}, which is not a valid SMILES string; check its brackets, ring "
            "closures, valences and blanks"
        )
    molecule = Chem.AddHs(parsed)
    origin = f"the SMILES {smiles!r}"
    check_molecule(molecule, origin, needs_conformer=False)
    _warn_about_open_stereo(molecule, origin)
    add_conformer(molecule, seed, origin)
    return molecule


def molecule_from_file(path: str | Path) -> Chem.Mol:
    """Read one molecule with all hydrogens and 3D coordinates from an SDF or MOL2 file.

    MOL2 files may have Tripos or GAFF atom types; see ``nnpmm.structures.ligands.mol2``.

    Args:
        path: a file that ends in ``.sdf``, ``.mol`` or ``.mol2`` and contains one molecule.

    Returns:
        The molecule in the file's atom order, coordinates in angstrom.

    Raises:
        InputFileError: the file is missing, of another format, unreadable, has several molecules,
            lacks hydrogens or 3D coordinates, or its charges disagree with its bonds.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".sdf", ".mol", ".mol2"):
        raise InputFileError(
            f"found the file type {suffix!r} of {path.name}, allowed: .sdf, .mol and .mol2; "
            "convert the file, keeping hydrogens and bond orders"
        )
    if not path.is_file():
        raise InputFileError(f"found no file {path}; check the path")
    molecule = read_mol2(path) if suffix == ".mol2" else read_sdf(path)
    check_molecule(molecule, path.name, needs_conformer=True)
    molecule.GetConformer().Set3D(True)  # also if z = 0 for all atoms of a planar molecule
    Chem.AssignStereochemistryFrom3D(molecule)
    return molecule


def check_molecule(molecule: Chem.Mol, origin: str, *, needs_conformer: bool) -> None:
    """Refuse molecules that cannot be ligands: fragments, missing hydrogens, radicals, drawings.

    Args:
        molecule: a sanitised molecule.
        origin: name of the molecule in error messages.
        needs_conformer: also demand one conformer with finite 3D coordinates.

    Raises:
        InputFileError: one of these was found.
    """
    _refuse_placeholders(molecule, origin)
    fragments = Chem.GetMolFrags(molecule)
    if len(fragments) != 1:
        raise InputFileError(
            f"found {len(fragments)} separate molecules in {origin}, allowed: one; remove "
            "counter-ions and solvent"
        )
    missing = sum(atom.GetTotalNumHs() for atom in molecule.GetAtoms())
    if missing:
        raise InputFileError(
            f"found {missing} hydrogens missing in {origin}; add all hydrogens with coordinates "
            "(for an rdkit molecule: Chem.AddHs(molecule, addCoords=True))"
        )
    refuse_radicals(molecule, origin)
    if needs_conformer:
        _check_conformer(molecule, origin)


def refuse_radicals(molecule: Chem.Mol, origin: str) -> None:
    """Refuse unpaired electrons.

    Args:
        molecule: a sanitised molecule.
        origin: name of the molecule in error messages.

    Raises:
        InputFileError: an atom has unpaired electrons.
    """
    radicals = [a.GetIdx() for a in molecule.GetAtoms() if a.GetNumRadicalElectrons()]
    if radicals:
        raise InputFileError(
            f"found unpaired electrons on atoms {radicals} of {origin}, allowed: closed-shell "
            "molecules; add the missing hydrogens or formal charges"
        )


def _check_conformer(molecule: Chem.Mol, origin: str) -> None:
    if molecule.GetNumConformers() == 0:
        raise InputFileError(
            f"found no 3D coordinates in {origin}; generate a conformer first, or give the SMILES "
            "to molecule_from_smiles"
        )
    positions = molecule.GetConformer().GetPositions()
    if not np.all(np.isfinite(positions)):
        raise InputFileError(
            f"found coordinates that are not numbers in {origin}; correct the file"
        )
    if not positions[:, 2].any() and not _may_be_planar(molecule, positions):
        raise InputFileError(
            f"found z = 0 for all atoms of {origin}, and bond lengths or angles that no planar "
            "molecule has: this is a drawing without 3D coordinates; generate a conformer first, "
            "or give the SMILES to molecule_from_smiles"
        )
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    first, second = np.where(np.triu(distances < 0.4, k=1))
    if len(first):
        raise InputFileError(
            f"found atoms {first[0]} and {second[0]} of {origin} closer than 0.4 angstrom; "
            "correct the coordinates"
        )


def _may_be_planar(molecule: Chem.Mol, positions: NDArray[np.float64]) -> bool:
    """Return whether coordinates with z = 0 are those of a planar molecule and not of a drawing.

    In drawings all bonds, also those to hydrogen, have one length, and atoms with four neighbours
    are flat.
    """
    for bond in molecule.GetBonds():
        ends = bond.GetBeginAtom(), bond.GetEndAtom()
        radii = sum(covalent_radius(atom.GetAtomicNum()) for atom in ends)  # nm
        length = 0.1 * np.linalg.norm(np.subtract(*(positions[atom.GetIdx()] for atom in ends)))
        if not _SHORTEST_BOND < length / radii < _LONGEST_BOND:
            return False
    return all(atom.GetDegree() < 4 for atom in molecule.GetAtoms())


def _refuse_placeholders(molecule: Chem.Mol, origin: str) -> None:
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() == 0 or atom.HasQuery():
            raise InputFileError(
                f"found {atom.GetSymbol()!r} for atom {atom.GetIdx() + 1} of {origin}, which is "
                "not an element; put an atom in its place"
            )
    for bond in molecule.GetBonds():
        if bond.HasQuery() or bond.GetBondType() == Chem.BondType.UNSPECIFIED:
            raise InputFileError(
                f"found a bond without an order between atoms {bond.GetBeginAtomIdx() + 1} and "
                f"{bond.GetEndAtomIdx() + 1} of {origin}; state its order"
            )


def _warn_about_open_stereo(molecule: Chem.Mol, origin: str) -> None:
    count = count_open_stereocenters(molecule)
    if count:
        logger.warning(
            "%s leaves %d stereocentres open; the conformer's seed chooses them", origin, count
        )


def add_conformer(molecule: Chem.Mol, seed: int, origin: str) -> None:
    """Give a molecule one conformer by ETKDGv3, relaxed with MMFF94 or else UFF, in place.

    Args:
        molecule: with all hydrogens.
        seed: of the distance geometry.
        origin: name of the molecule in error messages.

    Raises:
        InputFileError: no conformer can be built.
    """
    settings: Any = rdDistGeom.ETKDGv3()
    settings.randomSeed = seed
    with rdBase.BlockLogs():
        failed = rdDistGeom.EmbedMolecule(molecule, settings) < 0
        if failed:
            settings.useRandomCoords = True
            failed = rdDistGeom.EmbedMolecule(molecule, settings) < 0
        if failed:
            raise InputFileError(
                f"found no 3D conformer for {origin}; check its stereochemistry and ring strain, "
                "or give a file with coordinates"
            )
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
            rdForceFieldHelpers.MMFFOptimizeMolecule(molecule, maxIters=5000)
        elif rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule):
            rdForceFieldHelpers.UFFOptimizeMolecule(molecule, maxIters=5000)
        else:
            logger.warning("neither MMFF94 nor UFF describes all atoms of %s; not relaxed", origin)

"""The pose of a ligand in a complex, with the bond orders of the ligand."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.core.errors import InputFileError, RegionError
from nnpmm.core.geometry import make_whole
from nnpmm.structures import read_structure, select_atoms
from nnpmm.structures.formula import hill_formula
from nnpmm.structures.region_bonds import find_bonds

__all__ = ["Pose", "match_pose", "read_pose"]

# nm. Bonds of different orders differ by more; a bond in a sound structure differs by less from
# that in a force field.
_LARGEST_MISFIT = 0.016
_MOST_MATCHES = 10_000

_Array = NDArray[np.float64]


class Pose(NamedTuple):
    """Atoms of a ligand in a structure, without bond orders.

    Attributes:
        name: of the file and the selection, for messages.
        numbers: atomic numbers, (p,).
        bonds: pairs of rows.
        positions: nm, (p, 3), whole.
    """

    name: str
    numbers: tuple[int, ...]
    bonds: tuple[tuple[int, int], ...]
    positions: _Array


def read_pose(path: str | os.PathLike[str], selection: str) -> Pose:
    """Read a ligand from a complex: PDB, mmCIF, GRO, SDF or MOL2.

    Args:
        path: of the complex.
        selection: the ligand in mdtraj's language.

    Raises:
        InputFileError: the file cannot be read, or has no coordinates.
        SelectionError: the selection matches nothing.
        RegionError: a bond joins the ligand to other atoms.
    """
    structure = read_structure(path)
    atoms = select_atoms(structure.topology, selection)
    if structure.positions is None:
        raise InputFileError(f"{path}: found no coordinates; give a structure that has them")
    bonds = find_bonds(structure, atoms)
    if bonds.cut:
        raise RegionError(
            f"found {len(bonds.cut)} bonds between the selection {selection!r} and other atoms, "
            "the strain of a ligand is defined for a complete molecule; select all of it"
        )
    every = list(structure.topology.atoms())
    numbers = tuple(
        0 if every[i].element is None else every[i].element.atomic_number for i in atoms
    )
    rows = {int(atom): row for row, atom in enumerate(atoms)}
    pairs = tuple((rows[i], rows[j]) for i, j in bonds.inside)
    positions = make_whole(structure.positions[atoms], structure.box, pairs)
    return Pose(f"{os.fspath(path)}, {selection}", numbers, pairs, positions)


def match_pose(molecule: Chem.Mol, pose: Pose) -> Chem.Mol:
    """Return the molecule with the pose as its only conformer, and with the pose's stereochemistry.

    Atoms are matched by elements and bonds. Among several matches with the stereochemistry that the
    molecule specifies, the one with the best bond lengths is used. Stereochemistry that the
    molecule leaves open comes from the pose. Hydrogens that the pose lacks are added to it.

    Args:
        molecule: n atoms, hydrogens explicit, with a conformer.
        pose: with all hydrogens, or without any.

    Raises:
        InputFileError: other atoms or bonds, some hydrogens missing, bond lengths that do not fit
            the bond orders, or another stereoisomer.
    """
    with_hydrogens = _check_composition(molecule, pose)
    template = molecule if with_hydrogens else Chem.RemoveAllHs(molecule)
    query, target = _skeleton(template), _graph(pose)
    matches = np.array(
        target.GetSubstructMatches(query, uniquify=False, maxMatches=_MOST_MATCHES), dtype=np.int64
    )
    if len(matches) == 0 or target.GetNumBonds() != query.GetNumBonds():
        raise InputFileError(
            f"{pose.name}: found {target.GetNumBonds()} bonds between {target.GetNumAtoms()} atoms "
            f"that do not fit the {query.GetNumBonds()} of the ligand; give the ligand of this "
            "pose"
        )
    misfits = _misfits(template, pose.positions, matches)
    best = matches[int(np.argsort(misfits.max(axis=1), kind="stable")[0])]
    worst = float(misfits.max(axis=1).min())
    if worst > _LARGEST_MISFIT:
        raise InputFileError(_misfit_message(template, pose, best))
    for match in matches[np.argsort(misfits.sum(axis=1), kind="stable")]:
        found = _placed(template, pose.positions[match])
        if found.HasSubstructMatch(template, useChirality=True):
            return found if with_hydrogens else _with_hydrogens(molecule, found)
    names = [
        Chem.MolToSmiles(Chem.RemoveHs(m))
        for m in (_placed(template, pose.positions[best]), template)
    ]
    raise InputFileError(
        f"{pose.name}: found the stereoisomer {names[0]}, the ligand is {names[1]}; give the "
        "ligand of this pose"
    )


def _check_composition(molecule: Chem.Mol, pose: Pose) -> bool:
    """Return whether the pose has its hydrogens.

    Raises:
        InputFileError: another composition.
    """
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    present, wanted = (sorted(n for n in each if n != 1) for each in (pose.numbers, numbers))
    hydrogens = pose.numbers.count(1)
    if present != wanted or hydrogens not in (0, numbers.count(1)):
        found, expected = (_formula(each) for each in (pose.numbers, numbers))
        raise InputFileError(
            f"{pose.name}: found {found}, the ligand is {expected}; give the ligand of this pose "
            "in its protonation state, and the pose with all hydrogens or with none"
        )
    return hydrogens > 0 or numbers.count(1) == 0


def _formula(numbers: list[int] | tuple[int, ...]) -> str:
    table = Chem.GetPeriodicTable()
    return hill_formula([table.GetElementSymbol(number) for number in numbers])


def _skeleton(molecule: Chem.Mol) -> Chem.Mol:
    """Return the molecule with single bonds only, for a match by elements and bonds."""
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
    return _plain([atom.GetAtomicNum() for atom in molecule.GetAtoms()], bonds)


def _graph(pose: Pose) -> Chem.Mol:
    return _plain(pose.numbers, pose.bonds)


def _plain(
    numbers: list[int] | tuple[int, ...], bonds: list[tuple[int, int]] | tuple[tuple[int, int], ...]
) -> Chem.Mol:
    graph = Chem.RWMol()
    for number in numbers:
        atom = Chem.Atom(number)
        atom.SetNoImplicit(True)
        graph.AddAtom(atom)
    for i, j in bonds:
        graph.AddBond(int(i), int(j), Chem.BondType.SINGLE)
    return graph.GetMol()


def _misfits(template: Chem.Mol, positions: _Array, matches: NDArray[np.int64]) -> _Array:
    """Return for each match how far each heavy bond is from its length in the template, nm."""
    own = 0.1 * np.array(template.GetConformer().GetPositions())
    bonds = _heavy_bonds(template)
    if not bonds:
        return np.zeros((len(matches), 1))
    pairs = np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in bonds], dtype=np.int64)
    expected = np.linalg.norm(own[pairs[:, 0]] - own[pairs[:, 1]], axis=1)
    placed = positions[matches]  # (m, n, 3)
    found = np.linalg.norm(placed[:, pairs[:, 0]] - placed[:, pairs[:, 1]], axis=2)
    return np.asarray(np.abs(found - expected))


def _misfit_message(template: Chem.Mol, pose: Pose, match: NDArray[np.int64]) -> str:
    misfits = _misfits(template, pose.positions, match[None])[0]
    bond = _heavy_bonds(template)[int(misfits.argmax())]
    i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
    length = float(np.linalg.norm(pose.positions[match[i]] - pose.positions[match[j]]))
    order = bond.GetBondType().name.lower()
    ends = "-".join(
        f"{a.GetSymbol()}{a.GetIdx()}" for a in (bond.GetBeginAtom(), bond.GetEndAtom())
    )
    return (
        f"{pose.name}: found a length of {length:.3f} nm for the {order} bond {ends} of the "
        f"ligand, allowed: within {_LARGEST_MISFIT:g} nm of the usual; its bond orders do not fit "
        "this pose, or the pose is distorted"
    )


def _heavy_bonds(molecule: Chem.Mol) -> list[Chem.Bond]:
    """Return the bonds between heavy atoms, in a fixed order."""
    return [
        bond
        for bond in molecule.GetBonds()
        if bond.GetBeginAtom().GetAtomicNum() > 1 and bond.GetEndAtom().GetAtomicNum() > 1
    ]


def _placed(template: Chem.Mol, positions: _Array) -> Chem.Mol:
    """Return the template at positions (n, 3), nm, with the stereochemistry that they have."""
    found = Chem.Mol(template)
    found.GetConformer().SetPositions(np.ascontiguousarray(10.0 * positions))
    Chem.AssignStereochemistryFrom3D(found)
    return found


def _with_hydrogens(molecule: Chem.Mol, heavy: Chem.Mol) -> Chem.Mol:
    """Return the molecule, its atoms in their order, at a pose without hydrogens."""
    added = Chem.AddHs(heavy, addCoords=True)
    order = added.GetSubstructMatch(molecule, useChirality=True)
    if len(order) != molecule.GetNumAtoms():
        raise InputFileError("the pose has other hydrogens than the ligand; add the missing ones")
    return Chem.RenumberAtoms(added, list(order))

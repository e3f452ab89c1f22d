"""Check that a ligand's coordinates can be a pose in its protein: no overlap, and not far away."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from openmm import app
from scipy.spatial import cKDTree

from nnpmm.core.errors import InputFileError
from nnpmm.structures.elements import covalent_radius
from nnpmm.structures.selection import is_water

__all__ = ["check_placement", "residue_label"]

# Atoms of different molecules are never closer than this multiple of a single bond's length. Metals
# are: their coordination is about as long as the sum of the covalent radii.
_CONTACT, _METAL_CONTACT = 1.2, 0.85
_NONMETALS = frozenset(
    app.Element.getBySymbol(symbol).atomic_number
    for symbol in ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I")
)
_BOND_RANGE = (0.5, 1.5)  # multiples of the sum of the covalent radii
_COINCIDENT = 0.05  # nm; the shortest bond, of H2, has 0.074
_LARGEST_CONTACT = 0.5  # nm, above all sums of covalent radii
_LARGEST_DISTANCE = 1.0  # nm, beyond any first shell of a binding site


def check_placement(
    topology: app.Topology, positions: NDArray[np.float64], ligand: app.topology.Residue
) -> None:
    """Refuse coordinates in which atoms overlap, or the ligand lies outside its protein.

    Args:
        topology: protein (with ions and water, if any) and ligand, or the ligand alone.
        positions: (n_atoms, 3) in nm.
        ligand: residue of the ligand.

    Raises:
        InputFileError: two atoms coincide; a bond is less than half or more than 1.5 times as long
            as the sum of the covalent radii, as over a gap in the protein; an atom of the ligand
            is nearer to another molecule's than 1.2 times that sum (0.85 times with a metal), as
            if bonded; or the whole ligand is more than 1 nm from the protein.
    """
    atoms = [atom for atom in topology.atoms() if atom.element is not None]
    own = [atom for atom in atoms if atom.residue is ligand]
    others = [atom for atom in atoms if atom.residue is not ligand]
    if others:
        _check_contacts(own, others, positions)
    _check_coincidence(atoms, positions)
    _check_bonds(topology, positions)
    if others:
        _check_distance(own, others, positions)


def _check_coincidence(atoms: list[Any], positions: NDArray[np.float64]) -> None:
    places = positions[[atom.index for atom in atoms]]
    pairs = cKDTree(places).query_pairs(_COINCIDENT)
    if pairs:
        i, j = min(pairs)
        distance = float(np.linalg.norm(places[i] - places[j]))
        raise InputFileError(
            f"found overlapping atoms: {_label(atoms[i])} and {_label(atoms[j])} are "
            f"{distance:.3f} nm apart, shorter than any bond: correct the coordinates"
        )


def _check_contacts(own: list[Any], others: list[Any], positions: NDArray[np.float64]) -> None:
    tree = cKDTree(positions[[atom.index for atom in others]])
    worst: tuple[float, Any, Any, float, float] | None = None
    for atom in own:
        place = positions[atom.index]
        for index in tree.query_ball_point(place, _LARGEST_CONTACT):
            other = others[index]
            distance = float(np.linalg.norm(place - positions[other.index]))
            least = _least_distance(atom, other)
            if distance < least and (worst is None or distance / least < worst[0]):
                worst = distance / least, atom, other, distance, least
    if worst is None:
        return
    _, atom, other, distance, least = worst
    remedy = (
        "correct the pose, or remove the ligand from the protein's file if that contains it too; a "
        "ligand bonded to the protein cannot be built here"
    )
    if is_water(other.residue, incomplete=True):
        remedy = "remove that water from the protein's file, or correct the pose"
    raise InputFileError(
        f"found overlapping atoms: {atom.name} of the ligand is {distance:.3f} nm from "
        f"{_label(other)}, allowed: {least:.3f} nm or more between molecules: {remedy}"
    )


def _least_distance(first: Any, second: Any) -> float:
    numbers = (first.element.atomic_number, second.element.atomic_number)
    factor = _CONTACT if _NONMETALS.issuperset(numbers) else _METAL_CONTACT
    return factor * _covalent_distance(first, second)


def _covalent_distance(first: Any, second: Any) -> float:
    """Return the sum of two atoms' covalent radii in nm."""
    return sum(covalent_radius(atom.element.atomic_number) for atom in (first, second))


def _check_bonds(topology: app.Topology, positions: NDArray[np.float64]) -> None:
    for first, second in topology.bonds():
        if first.element is None or second.element is None:
            continue
        length = float(np.linalg.norm(positions[first.index] - positions[second.index]))
        usual = _covalent_distance(first, second)
        if not _BOND_RANGE[0] * usual <= length <= _BOND_RANGE[1] * usual:
            reason = "correct the coordinates, which must be in the unit of their file format"
            if first.residue is not second.residue:
                reason = "add the residues that are missing there, or begin a new chain with caps"
            raise InputFileError(
                f"found a bond of {length:.3f} nm between {_label(first)} and {_label(second)}, "
                f"expected about {usual:.3f} nm: {reason}"
            )


def _check_distance(own: list[Any], others: list[Any], positions: NDArray[np.float64]) -> None:
    solid = [atom for atom in others if not is_water(atom.residue, incomplete=True)] or others
    tree = cKDTree(positions[[atom.index for atom in solid]])
    distances, nearest = tree.query(positions[[atom.index for atom in own]])
    distance = float(distances.min())
    if distance > _LARGEST_DISTANCE:
        raise InputFileError(
            f"found the ligand {distance:.2f} nm from the nearest atom of the protein "
            f"({_label(solid[nearest[distances.argmin()]])}), allowed: {_LARGEST_DISTANCE:g} nm: "
            "give both files in one frame of reference, as a docking program or a crystal "
            "structure of the complex has them"
        )


def residue_label(residue: app.topology.Residue) -> str:
    """Return the label of a residue in messages: its name, number and chain."""
    chain = residue.chain.id
    return f"{residue.name} {residue.id}" + (f" of chain {chain}" if chain.strip() else "")


def _label(atom: Any) -> str:
    return f"{atom.name} of {residue_label(atom.residue)}"

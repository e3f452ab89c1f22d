"""The molecules of a box without bonds: bonds by distance, and charges."""

from __future__ import annotations

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.errors import RegionError
from nnpmm.core.geometry import images_around, spanning_trees, wrapped
from nnpmm.structures.elements import covalent_radius
from nnpmm.structures.formal_charge import perceive_charge

__all__ = ["bonds_by_distance", "molecules_of", "refuse_charged"]

# Atoms closer than this multiple of the sum of their covalent radii are bonded: O-H at 0.12 nm, C-C
# at 0.19 nm; hydrogen bonds are longer than 0.15 nm.
_BONDED = 1.25
# Larger molecules are not checked: the integer program would take minutes.
_LARGEST_CHECKED = 400


def bonds_by_distance(
    numbers: NDArray[np.int64], positions: NDArray[np.float64], box: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return bonds (m, 2) by distance, also across the periodic boundary.

    Args:
        numbers: atomic numbers, (n,).
        positions: (n, 3), nm.
        box: rows, (3, 3), nm.
    """
    from scipy.spatial import cKDTree

    radii = np.zeros(int(numbers.max()) + 1)
    for number in np.unique(numbers):
        radii[number] = covalent_radius(int(number))
    longest = 2 * _BONDED * float(radii.max())
    inside = wrapped(positions, box)
    every = images_around(inside, box).reshape(-1, 3)
    atoms = np.tile(np.arange(len(numbers)), 27)
    # Only images close to the box can be bonded to atoms inside it.
    widths = 1 / np.linalg.norm(np.linalg.inv(box), axis=0)
    fractions = every @ np.linalg.inv(box)
    near = ((fractions > -longest / widths) & (fractions < 1 + longest / widths)).all(axis=1)
    every, atoms = every[near], atoms[near]
    pairs = cKDTree(inside).sparse_distance_matrix(cKDTree(every), longest, output_type="ndarray")
    i, j = pairs["i"], atoms[pairs["j"]]
    bonded = (i < j) & (pairs["v"] < _BONDED * (radii[numbers[i]] + radii[numbers[j]]))
    found: NDArray[np.int64] = np.unique(np.stack([i, j], axis=1)[bonded], axis=0)
    return found.astype(np.int64).reshape(-1, 2)


def molecules_of(
    numbers: NDArray[np.int64], bonds: NDArray[np.int64], box: NDArray[np.float64]
) -> app.Topology:
    """Return a Topology with a residue for each molecule; water is called HOH.

    Residues follow the order of the atoms: a molecule whose atoms are not consecutive has several.

    Args:
        numbers: atomic numbers, (n,).
        bonds: (m, 2).
        box: rows, (3, 3), nm.
    """
    topology = app.Topology()
    chain = topology.addChain()
    molecule = np.zeros(len(numbers), np.int64)
    names = []
    for k, fragment in enumerate(spanning_trees(len(numbers), bonds)[1]):
        molecule[fragment] = k
        names.append("HOH" if sorted(numbers[fragment]) == [1, 1, 8] else "MOL")
    residue, previous, atoms = None, -1, []
    counts: dict[int, int] = {}
    for number, own in zip(numbers.tolist(), molecule.tolist(), strict=True):
        if own != previous:
            residue, previous, counts = topology.addResidue(names[own], chain), own, {}
        element = app.Element.getByAtomicNumber(number)
        counts[number] = counts.get(number, 0) + 1
        name = element.symbol
        if names[own] != "HOH" or number == 1:
            name = f"{name}{counts[number]}"
        atoms.append(topology.addAtom(name, element, residue))
    for i, j in bonds.tolist():
        topology.addBond(atoms[i], atoms[j])
    topology.setPeriodicBoxVectors([openmm.Vec3(*row) for row in box] * unit.nanometer)
    return topology


def refuse_charged(
    numbers: NDArray[np.int64],
    bonds: NDArray[np.int64],
    positions: NDArray[np.float64],
    model: str,
) -> None:
    """Refuse molecules with a charge, for a network that was trained on neutral ones.

    Args:
        numbers: atomic numbers, (n,).
        bonds: (m, 2).
        positions: (n, 3), nm, molecules whole.
        model: name of the network, for the message.

    Raises:
        RegionError: a molecule is charged, or its charge cannot be determined.
    """
    by_atom: list[list[tuple[int, int]]] = [[] for _ in numbers]
    for i, j in bonds.tolist():
        by_atom[i].append((i, j))
    known: set[bytes] = set()
    for fragment in spanning_trees(len(numbers), bonds)[1]:
        fragment = np.sort(fragment)
        rows = {int(atom): row for row, atom in enumerate(fragment)}
        inner = [(rows[i], rows[j]) for atom in fragment for i, j in by_atom[atom]]
        own = np.array(inner, np.int64).reshape(-1, 2)
        key = numbers[fragment].tobytes() + b"|" + own.tobytes()
        if key in known or len(fragment) > _LARGEST_CHECKED:
            continue
        known.add(key)
        symbols = [app.Element.getByAtomicNumber(int(z)).symbol for z in numbers[fragment]]
        charge = perceive_charge(symbols, own, positions[fragment]).charge
        if charge != 0:
            what = "unclear" if charge is None else f"{charge:+d} e"
            raise RegionError(
                f"found a molecule of {len(fragment)} atoms (atoms {fragment[0]} to "
                f"{fragment[-1]}) whose charge by its bonds is {what}; {model} was trained on "
                "neutral molecules: leave it out, give a structure with sensible bond lengths, or "
                "set allow_charged=True"
            )

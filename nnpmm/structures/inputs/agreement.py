"""Whether a topology and a coordinate file list the same atoms in the same order."""

from __future__ import annotations

import logging
from pathlib import Path

from openmm import app
from openmm.app.topology import Atom, Residue

from nnpmm.core.errors import InputFileError
from nnpmm.structures.elements import guess_element
from nnpmm.structures.inputs.coordinates import Coordinates

__all__ = ["check_same_atoms"]

_LOGGER = logging.getLogger(__name__)
_SHORTEST_CUT_NAME = 4  # characters, the width of the name column of PDB; GRO has five
_ORDER = "write the coordinates in the atom order of the topology"


def check_same_atoms(topology: app.Topology, file: Path, coordinates: Coordinates) -> None:
    """Compare the number, names and elements of the atoms of a topology and its coordinates.

    Programs write some names differently, so names that differ only in spelling cause one warning.

    Args:
        topology: of the force field.
        file: that the topology was read from.
        coordinates: of the same atoms; Amber's contain no names, so only the numbers are compared.

    Raises:
        InputFileError: another number of atoms, another element, or the same names in another
            order.
    """
    atoms = list(topology.atoms())
    if len(atoms) != len(coordinates.positions):
        raise InputFileError(
            f"{file.name} has {len(atoms)} atoms and {coordinates.path.name} has "
            f"{len(coordinates.positions)}: give files of the same structure"
        )
    if coordinates.atom_names is None:
        return
    names = _renamed_as_by_openmm(coordinates)
    differing = [a.index for a in atoms if not _same_name(a.name, names[a.index])]
    wrong = [i for i in differing if not _may_be(atoms[i], _symbols(coordinates, i))]
    wrong += _other_elements(atoms, coordinates, set(differing))
    wrong += _permuted(topology, names, differing)
    wrong += _permuted_residues(atoms, coordinates)
    if wrong:
        _refuse(atoms, file, coordinates, sorted(set(wrong)))
    if differing:
        first = differing[0]
        _LOGGER.warning(
            "%d of %d atoms have other names in %s than in %s (the elements agree): the first is "
            "atom %d, %s in the one and %s in the other",
            len(differing),
            len(atoms),
            coordinates.path.name,
            file.name,
            first + 1,
            names[first],
            atoms[first].name,
        )


def _refuse(atoms: list[Atom], file: Path, coordinates: Coordinates, wrong: list[int]) -> None:
    first = wrong[0]
    atom, element = atoms[first], atoms[first].element
    symbol = "no element" if element is None else element.symbol
    names, residues = coordinates.atom_names or (), coordinates.residue_names or ()
    there = "" if coordinates.symbols is None else f" ({coordinates.symbols[first]})"
    raise InputFileError(
        f"{file.name} and {coordinates.path.name} do not list the same atoms in the same order: "
        f"atom {first + 1} is {atom.name} ({symbol}) of {atom.residue.name} in the topology and "
        f"{names[first]}{there} of {residues[first]} in the coordinates ({len(wrong)} of "
        f"{len(atoms)} atoms do not fit): {_ORDER}"
    )


def _renamed_as_by_openmm(coordinates: Coordinates) -> list[str]:
    """Return the atom names after the replacements that OpenMM makes in the topologies it reads."""
    app.PDBFile._loadNameReplacementTables()
    residues, atoms = app.PDBFile._residueNameReplacements, app.PDBFile._atomNameReplacements
    return [
        atoms.get(residues.get(residue, residue), {}).get(name, name)
        for name, residue in zip(
            coordinates.atom_names or (), coordinates.residue_names or (), strict=True
        )
    ]


def _plain(name: str) -> str:
    """Return a name in capitals, with leading digits at the end (1HB1 for HB11) and one prime."""
    text = name.strip().upper().replace("*", "'").replace('"', "''")
    letters = text.lstrip("0123456789")
    return letters + text[: len(text) - len(letters)]


def _same_name(first: str, second: str) -> bool:
    """Return whether two names are the same, apart from spelling or truncation to a column."""
    if first == second:
        return True
    short, long = sorted((_plain(first), _plain(second)), key=len)
    return short == long or (len(short) >= _SHORTEST_CUT_NAME and long.startswith(short))


def _symbols(coordinates: Coordinates, index: int) -> set[str]:
    """Return the elements (symbols) that an atom of a coordinate file may be.

    A name is ambiguous: CA is carbon or calcium, HG hydrogen or mercury.
    """
    if coordinates.symbols is not None and coordinates.symbols[index] is not None:
        return {str(coordinates.symbols[index])}
    name = (coordinates.atom_names or ())[index]
    residue = (coordinates.residue_names or ())[index]
    guessed = guess_element(name, residue)
    letters = "".join(c for c in _plain(name) if c.isalpha())
    possible = {letters[:1], letters[:2].capitalize()}
    return possible if guessed is None else {*possible, guessed.symbol}


def _may_be(atom: Atom, symbols: set[str]) -> bool:
    """Return whether an atom may have one of these elements; a virtual site fits all of them."""
    if atom.element is None:
        return True
    return _hydrogen(atom.element.symbol) in {_hydrogen(symbol) for symbol in symbols}


def _hydrogen(symbol: str) -> str:
    return "H" if symbol == "D" else symbol


def _other_elements(atoms: list[Atom], coordinates: Coordinates, skip: set[int]) -> list[int]:
    """Return the atoms for which the coordinate file states another element, except ``skip``."""
    if coordinates.symbols is None:
        return []
    return [
        atom.index
        for atom, symbol in zip(atoms, coordinates.symbols, strict=True)
        if symbol is not None and atom.index not in skip and not _may_be(atom, {symbol})
    ]


def _permuted(topology: app.Topology, names: list[str], differing: list[int]) -> list[int]:
    """Return the atoms whose names are exchanged within their residue.

    Hydrogens on the same atom may be exchanged, because they are equivalent.
    """
    neighbours: dict[int, list[int]] = {index: [] for index in differing}
    for bond in topology.bonds():
        for atom, other in ((bond[0], bond[1]), (bond[1], bond[0])):
            if atom.index in neighbours:
                neighbours[atom.index].append(other.index)
    atoms = list(topology.atoms())
    by_residue: dict[Residue, list[int]] = {}
    for index in differing:
        by_residue.setdefault(atoms[index].residue, []).append(index)
    found = []
    for residue, members in by_residue.items():
        here = {_plain(atom.name): atom.index for atom in residue.atoms()}
        there = {_plain(names[atom.index]) for atom in residue.atoms()}
        for index in members:
            other = here.get(_plain(names[index]))
            if other is None or _plain(atoms[index].name) not in there:
                continue
            equal = neighbours[index] and neighbours[index] == neighbours.get(other)
            if not (equal and _is_hydrogen(atoms[index]) and _is_hydrogen(atoms[other])):
                found.append(index)
    return found


def _is_hydrogen(atom: Atom) -> bool:
    return atom.element is not None and atom.element.atomic_number == 1


def _permuted_residues(atoms: list[Atom], coordinates: Coordinates) -> list[int]:
    """Return the atoms of residues whose names are exchanged: molecules in another order."""
    app.PDBFile._loadNameReplacementTables()
    replaced = app.PDBFile._residueNameReplacements
    there = [_plain_residue(replaced.get(n, n)) for n in coordinates.residue_names or ()]
    here = [_plain_residue(atom.residue.name) for atom in atoms]
    names_here, names_there = set(here), set(there)
    return [
        index
        for index, (mine, other) in enumerate(zip(here, there, strict=True))
        if mine != other and other in names_here and mine in names_there
    ]


def _plain_residue(name: str) -> str:
    """Return the name of a residue in capitals, without the charge of an ion (NA+, CL-)."""
    return name.strip().upper().rstrip("+-")

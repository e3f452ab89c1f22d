"""Atom selections in mdtraj's language, and how messages name an atom."""

from __future__ import annotations

import operator
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import mdtraj
import numpy as np
from numpy.typing import NDArray
from openmm.app import Topology
from openmm.app.topology import Atom, Residue

from nnpmm.core.errors import SelectionError
from nnpmm.structures import selection_language as language

__all__ = ["atom_label", "is_water", "select_atoms"]

Mask = NDArray[np.bool_]
_Key = tuple[int, str]  # number and insertion code of a residue

_COMPARE: dict[str, Callable] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LISTED = 30
_MUST_OCCUR = ("name", "index", "resid", "resi", "chainid")


class _Residue(NamedTuple):
    number: int | None  # None where the file's residue id is not a number
    code: str  # insertion code


class _Atoms(NamedTuple):
    """The properties of atoms and residues that a selection refers to."""

    selection: str
    topology: mdtraj.Topology
    residues: list[_Residue]
    has_codes: bool


def select_atoms(topology: Topology | mdtraj.Topology, selection: str) -> NDArray[np.int64]:
    """Return the sorted 0-based indices of the atoms that a selection matches.

    Names need no quotes, even ``resname 36H``, ``resname 017`` and ``name C1'``. A residue with an
    insertion code is written ``residue 60A``; ``residue 60`` means only the one without a code.
    Ranges such as ``residue 59 to 61`` include the residues with codes in between.

    Args:
        topology: an OpenMM or mdtraj topology.
        selection: mdtraj's language, for example ``"resname MOL"`` or
            ``"chainid 1 and not water"``. Write ``"all"`` to select the whole system.

    Raises:
        SelectionError: the text cannot be parsed, names a residue that does not exist (even after
            ``not``), matches nothing, or matches every atom without being ``"all"``.
    """
    node = language.parse_selection(selection)
    view = _view(topology, selection)
    atoms = np.flatnonzero(_mask(node, view)).astype(np.int64)
    shown = language.quoted(selection)
    if atoms.size == 0:
        raise SelectionError(
            f"the selection {shown} matches nothing; {_residue_names(view.topology)}"
        )
    if atoms.size == view.topology.n_atoms and selection.strip() != "all":
        raise SelectionError(
            f"the selection {shown} matches all {atoms.size} atoms; narrow it, "
            'or write "all" if the whole system is meant'
        )
    return atoms


def _view(topology: Topology | mdtraj.Topology, selection: str) -> _Atoms:
    if isinstance(topology, Topology):
        residues = [_numbered(str(r.id), r.insertionCode.strip()) for r in topology.residues()]
        return _Atoms(selection, mdtraj.Topology.from_openmm(topology), residues, True)
    residues = [_Residue(residue.resSeq, "") for residue in topology.residues]
    return _Atoms(selection, topology, residues, False)


def _numbered(residue_id: str, code: str) -> _Residue:
    match = re.fullmatch(r"\s*(-?\d+)([A-Za-z]?)\s*", residue_id)
    return _Residue(int(match.group(1)), code or match.group(2)) if match else _Residue(None, code)


def _mask(node: language.Node, atoms: _Atoms) -> Mask:
    """Return which atoms a node of the parsed selection matches, (n_atoms,)."""
    if isinstance(node, language.Not):
        return ~_mask(node.node, atoms)
    if isinstance(node, language.AllOf):
        return np.logical_and.reduce([_mask(part, atoms) for part in node.nodes])
    if isinstance(node, language.AnyOf):
        return np.logical_or.reduce([_mask(part, atoms) for part in node.nodes])
    if isinstance(node, language.Flag):
        return np.array([_FLAG[node.keyword](a) for a in atoms.topology.atoms], dtype=bool)
    if node.keyword in language.RESIDUE_NUMBERS:
        matching = _residue_numbers(node, atoms)
        return np.array([matching[a.residue.index] for a in atoms.topology.atoms], dtype=bool)
    values = _values(node.keyword, atoms.topology)
    _check_occurrence(node, values, atoms)
    if isinstance(node, language.OneOf):
        return np.isin(values, list(node.values))
    if isinstance(node, language.Range):
        return (values >= node.first) & (values <= node.last)
    if node.operator == "=~":
        pattern = re.compile(str(node.value))
        return np.isin(values, [v for v in np.unique(values) if pattern.match(v)])
    return np.asarray(_COMPARE[node.operator](values, node.value), dtype=bool)


def _values(keyword: str, topology: mdtraj.Topology) -> NDArray:
    if keyword == "n_bonds":
        counts = np.zeros(topology.n_atoms, dtype=np.int64)
        for bond in topology.bonds:
            counts[[bond[0].index, bond[1].index]] += 1
        return counts
    return np.array([_VALUE[keyword](atom) for atom in topology.atoms])


_FLAG: dict[str, Callable[[mdtraj.core.topology.Atom], bool]] = {
    **dict.fromkeys(("all", "everything"), lambda atom: True),
    **dict.fromkeys(("none", "nothing"), lambda atom: False),
    **dict.fromkeys(("backbone", "is_backbone"), lambda atom: atom.is_backbone),
    **dict.fromkeys(("sidechain", "is_sidechain"), lambda atom: atom.is_sidechain),
    **dict.fromkeys(("protein", "is_protein"), lambda atom: atom.residue.is_protein),
    **dict.fromkeys(("nucleic", "is_nucleic"), lambda atom: atom.residue.is_nucleic),
    **dict.fromkeys(("water", "waters", "is_water"), lambda atom: atom.residue.is_water),
}
_VALUE: dict[str, Callable[[mdtraj.core.topology.Atom], str | float]] = {
    "name": lambda atom: atom.name,
    **dict.fromkeys(("resname", "resn"), lambda atom: atom.residue.name),
    **dict.fromkeys(("code", "rescode", "resc"), lambda atom: atom.residue.code or ""),
    **dict.fromkeys(("segment_id", "segname"), lambda atom: atom.segment_id),
    **dict.fromkeys(("type", "element", "symbol"), lambda atom: atom.element.symbol),
    "index": lambda atom: atom.index,
    **dict.fromkeys(("resid", "resi"), lambda atom: atom.residue.index),
    "chainid": lambda atom: atom.residue.chain.index,
    "mass": lambda atom: atom.element.mass,
}


def _residue_numbers(
    node: language.OneOf | language.Range | language.Comparison, atoms: _Atoms
) -> list[bool]:
    """Return for each residue whether its number and insertion code match.

    A number comes before the same number with a code; codes are in alphabetical order.
    """
    keys = [None if r.number is None else (r.number, r.code) for r in atoms.residues]
    if isinstance(node, language.Range):
        first, last = cast(_Key, node.first), cast(_Key, node.last)
        return [key is not None and first <= key <= last for key in keys]
    if isinstance(node, language.Comparison) and node.operator not in ("==", "!="):
        compare = _COMPARE[node.operator]
        return [key is not None and compare(key, node.value) for key in keys]
    values = cast(
        tuple[_Key, ...], node.values if isinstance(node, language.OneOf) else (node.value,)
    )
    for value in values:
        _check_insertion_code(value, keys, atoms)
    if not any(value in keys for value in values):
        raise _not_found(node.keyword, [f"{n}{c}" for n, c in values], atoms)
    negated = isinstance(node, language.Comparison) and node.operator == "!="
    return [(key in values) != negated for key in keys]


def _check_insertion_code(value: _Key, keys: Sequence[_Key | None], atoms: _Atoms) -> None:
    """Refuse a residue that does not exist although others have its number."""
    number, code = value
    same = [(i, key) for i, key in enumerate(keys) if key is not None and key[0] == number]
    if value in keys or not (same or code):
        return
    here = ", ".join(f"residue {n}{c} (resid {i})" for i, (n, c) in same[:_LISTED]) or "none"
    lost = "" if atoms.has_codes else "; an mdtraj topology contains no insertion codes, use resid"
    raise SelectionError(
        f"the selection {language.quoted(atoms.selection)}: residue {number}{code} matches "
        f"nothing; residues of this number: {here}{lost}"
    )


def _check_occurrence(
    node: language.OneOf | language.Range | language.Comparison, values: NDArray, atoms: _Atoms
) -> None:
    """Refuse names and numbers that do not occur: after ``not`` they would match everything.

    Every residue name must occur. Of atom names and indices, one must occur: a list such as
    ``name N CA C O OXT`` serves for several molecules.
    """
    if isinstance(node, language.OneOf):
        wanted = node.values
    elif isinstance(node, language.Comparison) and node.operator in ("==", "!="):
        wanted = (node.value,)
    else:
        return
    here = set(values.tolist())
    missing = [str(value) for value in wanted if value not in here]
    reserved = [word for word in missing if language.is_reserved(word)]
    if reserved and node.keyword in language.TEXTS:
        raise SelectionError(
            f"the selection {language.quoted(atoms.selection)} has {reserved[0]!r} as a value of "
            f"{node.keyword!r}; write 'and', 'or' and 'not' in lower case, and one of them before "
            "the next keyword"
        )
    each = node.keyword in ("resname", "resn")
    if missing and (each or (node.keyword in _MUST_OCCUR and len(missing) == len(wanted))):
        raise _not_found(node.keyword, missing, atoms)


def _not_found(keyword: str, missing: Sequence[str], atoms: _Atoms) -> SelectionError:
    if keyword in ("resname", "resn"):
        where = (
            "OpenMM's readers rename some residues, SOL and WAT to HOH; "
            f"{_residue_names(atoms.topology)}"
        )
    elif keyword == "name":
        where = "check the atom names of the structure (OpenMM's readers rename some)"
    else:
        where = (
            f"the topology has {atoms.topology.n_atoms} atoms, {atoms.topology.n_residues} "
            f"residues and {atoms.topology.n_chains} chains; index, resid and chainid count from 0"
        )
    listed = textwrap.shorten(" ".join(missing), 100, placeholder=" ...")
    return SelectionError(
        f"the selection {language.quoted(atoms.selection)}: {keyword} {listed} matches nothing; "
        f"{where}"
    )


def _residue_names(topology: mdtraj.Topology) -> str:
    names = sorted({residue.name for residue in topology.residues})
    text = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    return f"residue names here: {text}"


def atom_label(atom: Atom) -> str:
    """Return residue name, number with insertion code, and atom name, such as ``"ALA60A:CB"``."""
    residue = atom.residue
    return f"{residue.name}{residue.id}{residue.insertionCode.strip()}:{atom.name}"


def is_water(residue: Residue, *, incomplete: bool = False) -> bool:
    """Return whether a residue is a water molecule, with or without virtual sites.

    Args:
        residue: of a topology.
        incomplete: an oxygen with less than two hydrogens is water as well, as in crystal
            structures.
    """
    numbers = [atom.element.atomic_number for atom in residue.atoms() if atom.element is not None]
    numbers.sort()
    return numbers == [1, 1, 8] or (incomplete and numbers in ([8], [1, 8]))

"""Check that the parameters of Tinker files describe every atom, without contradictions."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from nnpmm.core.errors import InputFileError
from nnpmm.structures.inputs.tinker_keywords import PARAMETERS, KeywordFile

__all__ = ["check_complete", "check_unique"]

_MOST = 4  # named in a message


def check_unique(files: Sequence[KeywordFile]) -> None:
    """Check that two files do not give one parameter different values.

    Raises:
        InputFileError: they do.
    """
    known: dict[tuple[str, ...], tuple[tuple[str, ...], KeywordFile]] = {}
    for file in files:
        for line in file.parameters:
            count = PARAMETERS[line.word]
            fields = line.fields[:-1] if count is None else line.fields[:count]
            key = (line.word, *min(fields, fields[::-1]))
            if line.word == "multipole":
                key = (line.word, *fields)
            values = (*line.fields[len(fields) :], *line.continued)
            other = known.get(key)
            if other is None:
                known[key] = (values, file)
            elif other[1] is not file and other[0] != values:
                raise InputFileError(
                    f"{other[1].path.name} and {file.path.name}: both have {' '.join(key)}, with "
                    "different values: leave one of them out"
                )


def check_complete(tinker: Any, files: Sequence[KeywordFile]) -> None:
    """Check that each atom, bond, angle and torsion has parameters.

    Stretch-bend, out-of-plane, Urey-Bradley and coupled terms are there where a force field wants
    them, and not elsewhere.

    Args:
        tinker: an `openmm.app.TinkerFiles`.
        files: that it was read from.

    Raises:
        InputFileError: some are missing, and classes and atoms are named; or a pair of the system
            has a Thole factor of its own, which OpenMM lacks.
    """
    atoms, forces = tinker.atoms, tinker._forces
    for word, kind in (("vdw", "atomClass"), ("multipole", "atomType"), ("polarize", "atomType")):
        known = {str(line[0]) for line in forces.get(word, ())}
        _refuse(word, kind, [(i,) for i, a in enumerate(atoms) if getattr(a, kind) not in known],
                atoms)  # fmt: skip
    neighbours = [list(atom.bonds) for atom in atoms]
    bonds = [(i, j) for i, found in enumerate(neighbours) for j in found if i < j]
    angles = [
        (i, centre, k)
        for centre, found in enumerate(neighbours)
        for i, k in itertools.combinations(found, 2)
    ]
    torsions = [
        (i, j, k, m)
        for j, k in bonds
        for i in neighbours[j]
        for m in neighbours[k]
        if i != k and m != j and i != m
    ]
    for words, count, terms in (
        (("bond",), 2, bonds),
        (("angle", "anglep"), 3, angles),
        (("torsion",), 4, torsions),
    ):
        terms_known = {tuple(line[:count]) for word in words for line in forces.get(word, ())}
        classes = [tuple(atoms[i].atomClass for i in term) for term in terms]
        missing = [
            term
            for term, found in zip(terms, classes, strict=True)
            if found not in terms_known and found[::-1] not in terms_known
        ]
        _refuse(words[0], "atomClass", missing, atoms)
    _refuse_pair_damping(atoms, files)


def _refuse(word: str, kind: str, missing: Iterable[tuple[int, ...]], atoms: Any) -> None:
    found: dict[tuple[str, ...], tuple[int, ...]] = {}
    for term in missing:
        classes = tuple(getattr(atoms[i], kind) for i in term)
        found.setdefault(min(classes, classes[::-1]), term)
    if found:
        named = "; ".join(
            f"{'-'.join(classes)} (atom{'s' * (len(term) > 1)} "
            f"{'-'.join(f'{atoms[i].nameShort}{i + 1}' for i in term)})"
            for classes, term in itertools.islice(found.items(), _MOST)
        )
        more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
        what = "classes" if kind == "atomClass" else "types"
        raise InputFileError(
            f"the Tinker parameters have no '{word}' for the {what} {named}{more}: give the file "
            "that contains them (system.parameters or system.key)"
        )


def _refuse_pair_damping(atoms: Any, files: Sequence[KeywordFile]) -> None:
    present = {atom.atomType for atom in atoms}
    for file in files:
        for line in file.parameters:
            if line.word == "polpair" and present.issuperset(line.fields[:2]):
                raise InputFileError(
                    f"{file.path.name}, line {line.number}: the types {line.fields[0]} and "
                    f"{line.fields[1]} have a Thole factor of their own (polpair), which OpenMM's "
                    "AMOEBA does not have"
                )

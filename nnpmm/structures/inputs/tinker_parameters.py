"""Check that the parameters of Tinker files describe every atom, without contradictions."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from nnpmm.core.errors import InputFileError
from nnpmm.structures.inputs.tinker_keywords import PARAMETERS, KeywordFile

__all__ = ["check_complete", "check_unique"]

_MAX_NAMED = 4  # missing parameters in a message


def check_unique(files: Sequence[KeywordFile]) -> None:
    """Check that no two files have different values of one parameter.

    Raises:
        InputFileError: two files have.
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

    Other terms (stretch-bend, out-of-plane, Urey-Bradley, coupled torsions) are optional: a force
    field has them only where it uses them.

    Args:
        tinker: an `openmm.app.TinkerFiles`.
        files: the files from which it was read.

    Raises:
        InputFileError: parameters are missing (the message names classes and atoms), or a pair of
            types has its own Thole factor, which OpenMM does not support.
    """
    atoms, forces = tinker.atoms, tinker._forces
    for word, kind in (("vdw", "atomClass"), ("multipole", "atomType"), ("polarize", "atomType")):
        known = {str(line[0]) for line in forces.get(word, ())}
        _refuse(word, kind, [(i,) for i, a in enumerate(atoms) if getattr(a, kind) not in known],
                atoms)  # fmt: skip
    neighbours = [list(atom.bonds) for atom in atoms]
    bonds = [(i, j) for i, bonded in enumerate(neighbours) for j in bonded if i < j]
    angles = [
        (i, centre, k)
        for centre, bonded in enumerate(neighbours)
        for i, k in itertools.combinations(bonded, 2)
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
        known_terms = {tuple(line[:count]) for word in words for line in forces.get(word, ())}
        classes = [tuple(atoms[i].atomClass for i in term) for term in terms]
        missing = [
            term
            for term, key in zip(terms, classes, strict=True)
            if key not in known_terms and key[::-1] not in known_terms
        ]
        _refuse(words[0], "atomClass", missing, atoms)
    _refuse_pair_damping(atoms, files)


def _refuse(word: str, kind: str, missing: Iterable[tuple[int, ...]], atoms: Any) -> None:
    """Refuse missing parameters; the message names one example of each set of classes."""
    examples: dict[tuple[str, ...], tuple[int, ...]] = {}
    for term in missing:
        classes = tuple(getattr(atoms[i], kind) for i in term)
        examples.setdefault(min(classes, classes[::-1]), term)
    if examples:
        named = "; ".join(
            f"{'-'.join(classes)} (atom{'s' * (len(term) > 1)} "
            f"{'-'.join(f'{atoms[i].nameShort}{i + 1}' for i in term)})"
            for classes, term in itertools.islice(examples.items(), _MAX_NAMED)
        )
        more = f" and {len(examples) - _MAX_NAMED} more" if len(examples) > _MAX_NAMED else ""
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

"""Molecules read from tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase

from nnpmm.core.errors import InputFileError
from nnpmm.core.tables import excerpt, read_table

__all__ = ["Molecule", "flat_smiles", "merged", "parse_molecule", "read_molecules"]


class Molecule(NamedTuple):
    """A molecule of a list.

    Attributes:
        origin: file and line, for messages.
        smiles: canonical, with stereochemistry.
        value: of the property; NaN without a column of it.
    """

    origin: str
    smiles: str
    value: float = float("nan")


def parse_molecule(text: str, origin: str) -> Chem.Mol:
    """Return a molecule with implicit hydrogens, its atoms in the order of its canonical SMILES.

    Args:
        text: SMILES of one molecule.
        origin: file and line, for messages.

    Raises:
        InputFileError: not a SMILES, no atom, or several molecules.
    """
    with rdBase.BlockLogs():
        found = Chem.MolFromSmiles(text) if text and len(text.split()) == 1 else None
    if found is None or found.GetNumAtoms() == 0:
        raise InputFileError(
            f"{origin}: found {excerpt(text)!r}, which rdkit cannot read; expected the SMILES of a "
            "molecule, such as CCO"
        )
    parts = len(Chem.GetMolFrags(found))
    if parts > 1:
        raise InputFileError(
            f"{origin}: found {parts} molecules in {excerpt(text)!r}, expected one: remove salts "
            "and solvents"
        )
    return Chem.MolFromSmiles(Chem.MolToSmiles(found))


def read_molecules(
    path: Path, *, smiles: str = "smiles", value: str | None = None
) -> list[Molecule]:
    """Read the molecules of a table, a CSV file whose first line names its columns.

    Args:
        path: of the table.
        smiles: name of the column of SMILES.
        value: name of a column of numbers.

    Raises:
        InputFileError: the file or a line of it cannot be read, or a column is missing.
    """
    table = read_table(path)
    for name in filter(None, (smiles, value)):
        if name not in table.columns:
            columns = ", ".join(table.columns) or "none"
            raise InputFileError(f"{path}: found the columns {columns}, expected {name!r} as well")
    found = []
    for line, cells in table.rows:
        origin = f"{path}, line {line}"
        molecule = parse_molecule(cells[smiles], origin)
        number = float("nan") if value is None else _number(cells[value], origin, value)
        found.append(Molecule(origin, Chem.MolToSmiles(molecule), number))
    if not found:
        raise InputFileError(f"{path}: found no molecules")
    return found


def _number(text: str, origin: str, column: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise InputFileError(f"{origin}: found {text!r} in {column}, expected a number")
    return number


def flat_smiles(smiles: str) -> str:
    """Return the canonical SMILES without stereochemistry, by which two lists are compared."""
    molecule = Chem.MolFromSmiles(smiles)
    Chem.RemoveStereochemistry(molecule)
    return str(Chem.MolToSmiles(molecule))


def merged(molecules: Sequence[Molecule]) -> list[Molecule]:
    """Return each molecule once, in the order of first appearance, with its mean value."""
    values: dict[str, list[float]] = {}
    first: dict[str, Molecule] = {}
    for molecule in molecules:
        values.setdefault(molecule.smiles, []).append(molecule.value)
        first.setdefault(molecule.smiles, molecule)
    return [first[text]._replace(value=float(np.mean(found))) for text, found in values.items()]

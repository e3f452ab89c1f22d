"""The molecules that a prediction is asked for, one by one or as the lines of a file."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping as Row
from dataclasses import dataclass
from pathlib import Path

from nnpmm.errors import InputFileError, NnpmmError
from nnpmm.permeation.labels.estimates import KJ_PER_KCAL
from nnpmm.permeation.mapping import Mapping, map_smiles
from nnpmm.permeation.mapping.octanol import BEAD_LOG_P_ERROR, KJ_PER_LOGP
from nnpmm.permeation.martini.solute import canonical_graph

__all__ = [
    "MAPPING_ERROR",
    "Molecule",
    "molecule_from_beads",
    "molecule_from_smiles",
    "read_molecules",
]

#: One standard deviation of a free energy of transfer of beads in place of a molecule, kcal/mol.
MAPPING_ERROR = BEAD_LOG_P_ERROR * KJ_PER_LOGP / KJ_PER_KCAL


@dataclass(frozen=True)
class Molecule:
    """A molecule as beads.

    Attributes:
        name: to be shown.
        graph: of its beads.
        mapping: from atoms, or None where the beads were given.
    """

    name: str
    graph: str
    mapping: Mapping | None = None

    @property
    def mapping_error(self) -> float:
        """Standard deviation of dG, kcal/mol, by the mapping to beads; 0 if these were given."""
        return 0.0 if self.mapping is None else MAPPING_ERROR

    @property
    def file_name(self) -> str:
        """The name without what a file's name cannot have."""
        return re.sub(r"[^\w.+=-]+", "_", self.name).lstrip(".-") or "molecule"


def molecule_from_smiles(smiles: str, name: str | None = None) -> Molecule:
    """Return a molecule from SMILES.

    Raises:
        InputFileError: not a SMILES, or a molecule that beads cannot stand for.
    """
    mapping = map_smiles(smiles)
    return Molecule(name or smiles, mapping.graph, mapping)


def molecule_from_beads(graph: str, name: str | None = None) -> Molecule:
    """Return a molecule from a graph of beads, which is written in the usual order.

    Raises:
        ForceFieldError: an unknown or charged bead, or an impossible graph.
    """
    usual = canonical_graph(graph)
    return Molecule(name or usual, usual)


def read_molecules(path: Path) -> list[Molecule]:
    """Read a CSV file with a column ``name`` and a column ``smiles``, ``beads``, or both.

    Raises:
        InputFileError: the file cannot be read, lacks a column, or a line is not usable.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputFileError(f"{path}: cannot read the molecules: {error}") from error
    columns = set(rows[0]) if rows else set()
    if "name" not in columns or not columns & {"smiles", "beads"}:
        raise InputFileError(
            f"{path}: found the columns {', '.join(map(str, columns)) or 'none'}, expected name "
            "and smiles, or name and beads, and a molecule in each line below"
        )
    found: dict[str, Molecule] = {}
    for number, row in enumerate(rows, start=2):
        try:
            molecule = _molecule(row)
        except NnpmmError as error:
            raise InputFileError(f"{path}, line {number}: {error}") from None
        if molecule.file_name in found:
            raise InputFileError(
                f"{path}, line {number}: found the name {molecule.name!r} again: names must differ"
            )
        found[molecule.file_name] = molecule
    return list(found.values())


def _molecule(row: Row[str, str | None]) -> Molecule:
    name, smiles, beads = ((row.get(key) or "").strip() for key in ("name", "smiles", "beads"))
    if not name or bool(smiles) == bool(beads):
        raise InputFileError(
            f"found name {name!r}, smiles {smiles!r} and beads {beads!r}: give a name and one of "
            "the others"
        )
    return molecule_from_smiles(smiles, name) if smiles else molecule_from_beads(beads, name)

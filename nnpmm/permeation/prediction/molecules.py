"""The molecules of a prediction, given one by one or as the lines of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import InputFileError, NnpmmError
from nnpmm.core.tables import excerpt, file_name, read_table
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

#: Error of a free energy of transfer due to the mapping to beads, one standard deviation, kcal/mol.
MAPPING_ERROR = BEAD_LOG_P_ERROR * KJ_PER_LOGP / KJ_PER_KCAL


@dataclass(frozen=True)
class Molecule:
    """A molecule as beads.

    Attributes:
        name: in tables and pictures.
        graph: of its beads.
        mapping: from atoms, or None if the beads were given.
    """

    name: str
    graph: str
    mapping: Mapping | None = None

    @property
    def mapping_error(self) -> float:
        """Standard deviation of dG due to the mapping, kcal/mol; 0 if the beads were given."""
        return 0.0 if self.mapping is None else MAPPING_ERROR

    @property
    def file_name(self) -> str:
        """The name with only characters that files allow; a long one ends in a digest."""
        return file_name(self.name)


def molecule_from_smiles(smiles: str, name: str | None = None) -> Molecule:
    """Return a molecule from SMILES.

    Raises:
        InputFileError: not a SMILES, or a molecule that beads cannot represent.
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
    table = read_table(path)
    if (
        "name" not in table.columns
        or not {"smiles", "beads"} & set(table.columns)
        or not table.rows
    ):
        raise InputFileError(
            f"{path}: found the columns {', '.join(table.columns) or 'none'} and {len(table.rows)} "
            "lines below, expected name and smiles, or name and beads, separated by commas, and a "
            "molecule in each line below"
        )
    found: dict[str, Molecule] = {}
    for number, cells in table.rows:
        try:
            molecule = _molecule(cells)
        except NnpmmError as error:
            raise InputFileError(f"{path}, line {number}: {error}") from None
        if molecule.file_name in found:
            raise InputFileError(
                f"{path}, line {number}: found the name {excerpt(molecule.name)!r} again: names "
                "must differ"
            )
        found[molecule.file_name] = molecule
    return list(found.values())


def _molecule(cells: dict[str, str]) -> Molecule:
    name, smiles, beads = (cells.get(key, "") for key in ("name", "smiles", "beads"))
    if not name or bool(smiles) == bool(beads):
        raise InputFileError(
            f"found name {excerpt(name)!r}, smiles {excerpt(smiles)!r} and beads "
            f"{excerpt(beads)!r}: give a name and one of the others"
        )
    return molecule_from_smiles(smiles, name) if smiles else molecule_from_beads(beads, name)

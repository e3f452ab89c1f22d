"""Read one molecule from an SDF or MOL file; errors name what rdkit cannot read."""

from __future__ import annotations

from pathlib import Path

from rdkit import Chem, rdBase

from nnpmm.core.errors import InputFileError

__all__ = ["read_sdf"]

_SYMBOLS = frozenset(
    ["D", "T", *(Chem.GetPeriodicTable().GetElementSymbol(z) for z in range(1, 119))]
)


def read_sdf(path: Path) -> Chem.Mol:
    """Read the only molecule of an SDF or MOL file.

    Raises:
        InputFileError: the file is empty or unreadable, or contains several molecules or atoms that
            are no elements.
    """
    lines = path.read_text(errors="replace").splitlines()
    if not any(line.strip() for line in lines):
        raise InputFileError(f"found the empty file {path.name}, expected one molecule")
    with rdBase.BlockLogs():
        records = list(Chem.SDMolSupplier(str(path), removeHs=False))
    if len(records) != 1:
        raise InputFileError(
            f"found {len(records)} molecules in {path.name}, allowed: one; split the file"
        )
    _refuse_placeholders(lines, path)
    if records[0] is None:
        raise InputFileError(
            f"found a record in {path.name} that rdkit cannot read{_problem(path)}; check "
            "valences, charges and the format of the file"
        )
    return records[0]


def _refuse_placeholders(lines: list[str], path: Path) -> None:
    """Refuse placeholders for elements in the atom block of a V2000 file."""
    if len(lines) < 4 or not lines[3][:3].strip().isdigit() or "V3000" in lines[3]:
        return
    for number, line in enumerate(lines[4 : 4 + int(lines[3][:3])], start=1):
        symbol = line[31:34].strip()
        if symbol and symbol.capitalize() not in _SYMBOLS:
            raise InputFileError(
                f"found {symbol!r} for atom {number} of {path.name}, which is not an element; put "
                "an atom in its place (*, R#, A, Q, L and X stand for any of several atoms)"
            )


def _problem(path: Path) -> str:
    """Return rdkit's first chemistry problem in parentheses, or an empty string if it has none."""
    with rdBase.BlockLogs():
        (molecule,) = Chem.SDMolSupplier(str(path), removeHs=False, sanitize=False)
        problems = [] if molecule is None else Chem.DetectChemistryProblems(molecule)
    return f" ({problems[0].Message()})" if problems else ""

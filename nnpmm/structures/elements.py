"""Elements of atoms, also of atoms for which a file contains only names."""

from __future__ import annotations

import re

import numpy as np
import openmm.app as app
from numpy.typing import NDArray
from openmm.app.element import hydrogen

from nnpmm.core.errors import RegionError
from nnpmm.structures.pdb_files import PDB_ATOMS

__all__ = [
    "HEAVIEST_HYDROGEN",
    "covalent_radius",
    "fill_pdb_elements",
    "guess_element",
    "region_elements",
]

#: amu. Mass repartitioning makes hydrogens up to four times as heavy, 4.03 amu. The next heavier
#: element that force fields bond to others, lithium, weighs 6.9 amu.
HEAVIEST_HYDROGEN = 5.0
_NM_PER_ANGSTROM = 0.1

# Names of ions in CHARMM that do not begin with their symbol.
_CHARMM_IONS = {"SOD": "Na", "POT": "K", "CES": "Cs", "CAL": "Ca", "CLA": "Cl", "LIT": "Li"}
_TWO_LETTERS = ("CL", "BR", "FE", "SE", "SI", "ZN")
# In these, CA, CD, CE, HG, HE and NE are atoms of one-letter elements, whatever the alignment.
_STANDARD = frozenset(
    "ALA ARG ASH ASN ASP CYM CYS CYX GLH GLN GLU GLY HID HIE HIP HIS HSD HSE HSP ILE LEU LYN LYS "
    "MET PHE PRO SER THR TRP TYR VAL ACE NME NMA NH2 A C G U DA DC DG DT HOH WAT SOL TIP3 "
    "SPC".split()
)


def covalent_radius(atomic_number: int) -> float:
    """Return rdkit's covalent radius of an element in nm."""
    from rdkit import Chem

    return float(Chem.GetPeriodicTable().GetRcovalent(atomic_number)) * _NM_PER_ANGSTROM


def guess_element(
    atom_name: str, residue_name: str, *, alone: bool = False, aligned: bool = False
) -> app.Element | None:
    """Return the element of an atom known only by its name, or None for a virtual site.

    An atom that is the only one in its residue, or has the residue's name, is an ion. Otherwise
    names that begin with ``CL``, ``BR``, ``FE``, ``SE``, ``SI`` or ``ZN`` belong to these elements;
    for all other names the first letter decides, or the first two if no element has that letter.
    Names of virtual sites begin with ``MW``, ``MC``, ``EP`` or ``LP``.

    Args:
        atom_name: name of the atom.
        residue_name: name of its residue.
        alone: whether the residue has no other atom.
        aligned: whether the alignment of the name in a PDB file shows a symbol of two letters.
    """
    letters = re.sub(r"[^A-Za-z]", "", atom_name).upper()
    residue = re.sub(r"[^A-Za-z]", "", residue_name).upper()
    if not letters or letters.startswith(("EP", "LP", "MW", "MC")):
        return None
    if residue_name.upper() in _STANDARD:
        candidates = [letters[:1]]
    elif letters == residue or alone:
        candidates = [_CHARMM_IONS.get(letters, letters), letters[:2], letters[:1]]
    elif letters[:2] in _TWO_LETTERS or aligned:
        candidates = [letters[:2]]
    else:
        candidates = [letters[:1], letters[:2]]
    for symbol in candidates:
        try:
            return app.Element.getBySymbol(symbol.capitalize())
        except KeyError:
            continue
    return None


def fill_pdb_elements(lines: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Guess elements from atom names where columns 77-78 of a PDB file have none.

    The symbol is right-aligned in columns 13-14, so that ``CA`` is calcium if it begins in column
    13 and an alpha carbon if it begins in column 14. This rule is used only if all names in the
    file can follow it.

    Args:
        lines: of the file.

    Returns:
        The lines, and name and symbol of each atom whose element was guessed.
    """
    records = [i for i, line in enumerate(lines) if line.startswith(PDB_ATOMS)]
    missing = [i for i in records if not _is_symbol(lines[i][76:78].strip())]
    follows_columns = all(_may_be_aligned(lines[i][12:16]) for i in records)
    members: dict[str, set[str]] = {}
    for i in records:
        members.setdefault(lines[i][17:27], set()).add(lines[i][12:16].strip())
    filled, guessed = list(lines), []
    for i in missing:
        line = lines[i]
        name, residue = line[12:16].strip(), line[17:21].strip()
        others = members[line[17:27]] - {name}
        if name.startswith("D") and name[1:] in others:
            element = None  # a Drude particle, named after its atom
        else:
            aligned = follows_columns and _has_two_letters(line[12:16])
            element = guess_element(name, residue, alone=not others, aligned=aligned)
        symbol = "EP" if element is None else element.symbol
        filled[i] = f"{line.rstrip():<76}"[:76] + f"{symbol:>2}" + line.rstrip()[78:80]
        guessed.append((name, symbol))
    return filled, guessed


def _is_symbol(text: str) -> bool:
    if text == "EP":  # OpenMM's mark of a virtual site
        return True
    try:
        app.Element.getBySymbol(text)
    except KeyError:
        return False
    return True


def _has_two_letters(name: str) -> bool:
    """Return whether a name of four columns has a two-letter symbol in columns 13-14."""
    return bool(re.fullmatch(r"[A-Z]{2}[\d+-]? *", name.upper())) and _is_symbol(name[:2])


def _may_be_aligned(name: str) -> bool:
    """Return whether a name of four columns can follow the rule of columns 13-14."""
    full = not name.endswith(" ")  # four characters leave no choice
    return name.startswith(" ") or full or name[0].isdigit() or _has_two_letters(name)


def region_elements(topology: app.Topology, region: NDArray[np.int64]) -> list[app.Element]:
    """Return the element of every region atom, deuterium as hydrogen.

    Raises:
        RegionError: an atom has no element; it may be a virtual site.
    """
    atoms = list(topology.atoms())
    found = [atoms[i].element for i in region]
    unknown = [atoms[i].name for i in region if atoms[i].element is None]
    if unknown:
        raise RegionError(
            f"the region has atoms without an element ({', '.join(unknown[:5])}); leave virtual "
            "sites out and name elements in the structure"
        )
    return [hydrogen if element.atomic_number == 1 else element for element in found]

"""A small MOL2 reader that also accepts GAFF atom types.

rdkit reads only Tripos atom types. Files that antechamber and its relatives write carry GAFF types
(``ca``, ``hn``, or generated ones such as ``zw``), Kekulé or ``ar`` bonds, and no formal charges.
This reader finds the element from a Tripos or GAFF type, or else from an unambiguous atom name.
Formal charges follow from valences and must add up to the sum of the partial charges.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds
from rdkit.Geometry import Point3D

from nnpmm.core.errors import InputFileError

__all__ = ["element_of", "read_mol2"]

logger = logging.getLogger(__name__)

#: Largest deviation of the sum of rounded partial charges from an integer, in e.
CHARGE_SUM_TOLERANCE = 0.1

_ELEMENTS = frozenset(Chem.GetPeriodicTable().GetElementSymbol(z) for z in range(1, 119))
# One-letter symbols that atom names may begin with; K, V, W, Y and U are rare metals.
_ONE_LETTER = frozenset("HBCNOFPSI")
_DUMMIES = frozenset({"Du", "LP", "Lp", "lp", "EP", "Any", "Hal", "Het", "Hev", "X", "*"})
_GAFF_TYPES = frozenset(
    "h1 h2 h3 h4 h5 ha hc hn ho hp hs hw hx o oh os op oq ow f cl br i "
    "c c1 c2 c3 c5 c6 ca cc cd ce cf cg ch cp cq cs cu cv cx cy cz "
    "n n1 n2 n3 n4 n5 n6 n7 n8 n9 na nb nc nd ne nf nh ni nj nk nl nm nn no np nq ns nt nu nv nx "
    "ny nz n+ s s2 s3 s4 s6 sh sp sq ss sx sy p2 p3 p4 p5 pb pc pd pe pf px py".split()
)
_BOND_TYPES = {
    "1": Chem.BondType.SINGLE,
    "2": Chem.BondType.DOUBLE,
    "3": Chem.BondType.TRIPLE,
    "am": Chem.BondType.SINGLE,
    "ar": Chem.BondType.AROMATIC,
}
# Formal charge by element and total bond order, where it is not zero.
_CHARGE_OF_VALENCE = {
    ("B", 4): -1,
    ("N", 2): -1,
    ("N", 4): 1,
    ("O", 1): -1,
    ("O", 3): 1,
    ("P", 4): 1,
    ("S", 1): -1,
    ("S", 3): 1,
}


@dataclass(frozen=True)
class _Mol2Atom:
    name: str
    atom_type: str
    element: str
    position: tuple[float, float, float]
    charge: float


def read_mol2(path: Path) -> Chem.Mol:
    """Read a MOL2 file with one molecule.

    Args:
        path: the file; Tripos, GAFF or unknown atom types.

    Returns:
        A sanitised molecule with one conformer (angstrom), all atoms explicit, the file's atom
        names in the atom property ``_TriposAtomName``, its partial charges in
        ``_TriposPartialCharge``.

    Raises:
        InputFileError: unreadable, several molecules, unknown elements, or bonds and partial
            charges for which no consistent Lewis structure was found.
    """
    sections = _sections(path)
    atoms = [_parse_atom(line, path) for line in sections.get("ATOM", [])]
    bonds = [_parse_bond(line, len(atoms), path) for line in sections.get("BOND", [])]
    _check_sections(atoms, bonds, path)
    _warn_about_types(atoms, path)
    charge = _total_charge(atoms, path)
    with rdBase.BlockLogs():
        molecule = _with_bonds_of_file(atoms, bonds)
        if molecule is None or (charge is not None and Chem.GetFormalCharge(molecule) != charge):
            found = None if molecule is None else Chem.GetFormalCharge(molecule)
            molecule = _with_perceived_bonds(atoms, bonds, charge or 0)
    if molecule is None:
        why = (
            "its bond orders do not sanitise" if found is None else f"its bond orders give {found}"
        )
        raise InputFileError(
            f"found no Lewis structure for {path.name}: the partial charges add up to "
            f"{charge or 0}, {why}; check hydrogens, bond orders and charges"
        )
    if charge is None:
        logger.warning(
            "%s carries no partial charges; its bond orders give the formal charge %+d",
            path.name,
            Chem.GetFormalCharge(molecule),
        )
    return molecule


def element_of(name: str, atom_type: str) -> str | None:
    """Return the element symbol of a MOL2 atom, or None if neither type nor name gives it.

    The name must be unambiguous, as ``C12``, ``CL3`` and ``Sn1`` are; ``SN1`` may be tin or sulfur.

    Args:
        name: atom name.
        atom_type: Tripos (``C.ar``, ``Cl``), GAFF (``ca``, ``cl``) or anything else.
    """
    if (symbol := _element_of_type(atom_type)) is not None:
        return symbol
    letters = re.match(r"[A-Za-z]*", name.lstrip("0123456789"))
    prefix = letters.group(0) if letters else ""
    one, two = prefix[:1].upper(), prefix[:2].capitalize()
    if two in ("Cl", "Br") or (two in _ELEMENTS and prefix[1:2].islower()):
        return two
    ambiguous = len(two) == 2 and two in _ELEMENTS
    return one if one in _ONE_LETTER and not ambiguous else None


def _element_of_type(atom_type: str) -> str | None:
    base = atom_type.split(".")[0]
    if base == "D":
        return "H"  # deuterium has the chemistry of hydrogen
    if base in _ELEMENTS:
        return base
    if atom_type in _GAFF_TYPES:
        return {"cl": "Cl", "br": "Br"}.get(atom_type, atom_type[0].upper())
    return None


def _sections(path: Path) -> dict[str, list[str]]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"found {path.name}, which is not a readable text file") from error
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if line.startswith("@<TRIPOS>"):
            name = line[len("@<TRIPOS>") :].strip()
            if name in sections:
                raise InputFileError(
                    f"found several {name} sections in {path.name}, allowed: one molecule; split "
                    "the file"
                )
            current = sections.setdefault(name, [])
        elif line.strip() and not line.startswith("#"):
            current.append(line)
    return sections


def _parse_atom(line: str, path: Path) -> _Mol2Atom:
    fields = line.split()
    try:
        x, y, z = (float(value) for value in fields[2:5])
        name, atom_type = fields[1], fields[5]
        charge = float(fields[8]) if len(fields) > 8 else 0.0
    except (IndexError, ValueError) as error:
        raise InputFileError(
            f"found the atom line {line.strip()!r} in {path.name}, expected "
            "'id name x y z type residue-id residue charge'"
        ) from error
    if atom_type.split(".")[0] in _DUMMIES:
        raise InputFileError(
            f"found atom {name} of type {atom_type} in {path.name}, which is a dummy atom or a "
            "lone pair and not an element; remove it, or replace it by the atom that is meant"
        )
    element = element_of(name, atom_type)
    if element is None:
        raise InputFileError(
            f"found atom {name} of type {atom_type} in {path.name}, whose element neither gives; "
            "use Tripos types such as C.3 or Sn, or GAFF types"
        )
    return _Mol2Atom(name, atom_type, element, (x, y, z), charge)


def _check_sections(
    atoms: list[_Mol2Atom], bonds: list[tuple[int, int, Chem.BondType]], path: Path
) -> None:
    if not atoms or (len(atoms) > 1 and not bonds):
        raise InputFileError(
            f"found {len(atoms)} atoms and {len(bonds)} bonds in {path.name}; a MOL2 file needs an "
            "ATOM and a BOND section"
        )
    twice = [pair for pair, n in Counter(frozenset(bond[:2]) for bond in bonds).items() if n > 1]
    if twice:
        first, second = sorted(twice[0])
        raise InputFileError(
            f"found several bonds between atoms {first + 1} and {second + 1} of {path.name}; list "
            "each bond once"
        )


def _warn_about_types(atoms: list[_Mol2Atom], path: Path) -> None:
    unknown = [atom for atom in atoms if _element_of_type(atom.atom_type) is None]
    if unknown:
        logger.warning(
            "%s: %d atoms have types that are neither Tripos nor GAFF; their elements were taken "
            "from the names (%s)",
            path.name,
            len(unknown),
            ", ".join(f"{atom.name} is {atom.element}" for atom in unknown[:5]),
        )


def _parse_bond(line: str, n_atoms: int, path: Path) -> tuple[int, int, Chem.BondType]:
    fields = line.split()
    try:
        first, second, order = int(fields[1]) - 1, int(fields[2]) - 1, _BOND_TYPES[fields[3]]
        if not (0 <= first < n_atoms and 0 <= second < n_atoms and first != second):
            raise IndexError
    except (IndexError, KeyError, ValueError) as error:
        raise InputFileError(
            f"found the bond line {line.strip()!r} in {path.name}, expected 'id atom atom type' "
            f"with atoms 1 to {n_atoms} and type {', '.join(_BOND_TYPES)}"
        ) from error
    return first, second, order


def _total_charge(atoms: list[_Mol2Atom], path: Path) -> int | None:
    charges = np.array([atom.charge for atom in atoms])
    if not charges.any():
        return None
    total = float(charges.sum())
    if abs(total - round(total)) > CHARGE_SUM_TOLERANCE:
        raise InputFileError(
            f"found partial charges in {path.name} that add up to {total:.4f}, allowed: a whole "
            f"number within {CHARGE_SUM_TOLERANCE}; correct the charges or set all of them to zero"
        )
    return round(total)


def _skeleton(atoms: list[_Mol2Atom]) -> Chem.RWMol:
    molecule = Chem.RWMol()
    conformer = Chem.Conformer(len(atoms))
    conformer.Set3D(True)
    for index, record in enumerate(atoms):
        atom = Chem.Atom(record.element)
        atom.SetNoImplicit(True)
        atom.SetProp("_TriposAtomName", record.name)
        atom.SetDoubleProp("_TriposPartialCharge", record.charge)
        molecule.AddAtom(atom)
        conformer.SetAtomPosition(index, Point3D(*record.position))
    molecule.AddConformer(conformer)
    return molecule


def _with_bonds_of_file(
    atoms: list[_Mol2Atom], bonds: list[tuple[int, int, Chem.BondType]]
) -> Chem.Mol | None:
    molecule = _skeleton(atoms)
    for first, second, order in bonds:
        molecule.AddBond(first, second, order)
        if order == Chem.BondType.AROMATIC:
            molecule.GetBondBetweenAtoms(first, second).SetIsAromatic(True)
            molecule.GetAtomWithIdx(first).SetIsAromatic(True)
            molecule.GetAtomWithIdx(second).SetIsAromatic(True)
    try:
        molecule.UpdatePropertyCache(strict=False)
        Chem.Kekulize(molecule, clearAromaticFlags=True)
        for atom in molecule.GetAtoms():
            order = round(sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds()))
            atom.SetFormalCharge(_CHARGE_OF_VALENCE.get((atom.GetSymbol(), order), 0))
        Chem.SanitizeMol(molecule)
    except ValueError:  # rdkit's sanitisation errors are ValueErrors
        return None
    return _closed_shell(molecule)


def _with_perceived_bonds(
    atoms: list[_Mol2Atom], bonds: list[tuple[int, int, Chem.BondType]], charge: int
) -> Chem.Mol | None:
    molecule = _skeleton(atoms)
    for first, second, _ in bonds:
        molecule.AddBond(first, second, Chem.BondType.SINGLE)
    try:
        rdDetermineBonds.DetermineBondOrders(molecule, charge=charge, maxIterations=20000)
        Chem.SanitizeMol(molecule)
    except (ValueError, RuntimeError):
        return None
    if Chem.GetFormalCharge(molecule) != charge:
        return None
    return _closed_shell(molecule)


def _closed_shell(molecule: Chem.RWMol) -> Chem.Mol | None:
    if any(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()):
        return None
    return molecule.GetMol()

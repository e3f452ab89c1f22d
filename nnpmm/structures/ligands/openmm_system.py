"""A ligand as OpenMM objects: Topology, vacuum System, and residue template for ForceField."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter

import numpy as np
import openmm
from openmm import app
from rdkit import Chem

from nnpmm.core.errors import ForceFieldError, InputFileError
from nnpmm.structures.ligands.mmff import Torsion
from nnpmm.structures.ligands.parameters import LigandParameters

__all__ = ["create_ligand_system", "forcefield_xml", "to_openmm_topology"]

#: Amber's scaling of interactions between atoms three bonds apart.
COULOMB_14_SCALE = 0.8333333333333334
LJ_14_SCALE = 0.5

_NM_PER_ANGSTROM = 0.1
_ORDERS = {Chem.BondType.SINGLE: 1, Chem.BondType.DOUBLE: 2, Chem.BondType.TRIPLE: 3}
_PDB_NAME_LENGTH = 4  # characters; OpenMM truncates longer atom names in a PDB file


def create_ligand_system(molecule: Chem.Mol, parameters: LigandParameters) -> openmm.System:
    """Create the ligand's System in vacuum: no cutoff, no constraints, Amber's 1-4 scaling.

    Args:
        molecule: n atoms.
        parameters: the parameters of the same atoms in the same order.

    Returns:
        A System of n particles with bond, angle, torsion and nonbonded forces.

    Raises:
        ForceFieldError: molecule and parameters do not have the same number of atoms.
    """
    _check_match(molecule, parameters)
    system = openmm.System()
    for atom in molecule.GetAtoms():
        system.addParticle(app.Element.getByAtomicNumber(atom.GetAtomicNum()).mass)
    bonds, angles = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    torsions, nonbonded = openmm.PeriodicTorsionForce(), openmm.NonbondedForce()
    for bond in parameters.bonds:
        bonds.addBond(*bond)
    for angle in parameters.angles:
        angles.addAngle(*angle)
    for torsion in parameters.torsions + parameters.impropers:
        torsions.addTorsion(*torsion)
    for row in zip(parameters.charges, parameters.sigma, parameters.epsilon, strict=True):
        nonbonded.addParticle(*(float(value) for value in row))
    nonbonded.createExceptionsFromBonds(_bonded_pairs(molecule), COULOMB_14_SCALE, LJ_14_SCALE)
    for force in (bonds, angles, torsions, nonbonded):
        system.addForce(force)
    return system


def to_openmm_topology(
    molecule: Chem.Mol, residue_name: str = "MOL"
) -> tuple[app.Topology, np.ndarray]:
    """Return the ligand as a Topology of one residue with bond orders and unique atom names.

    Atom names of a MOL2 file are kept if their first four characters are unique, as a PDB file
    requires. Otherwise the names consist of element and number.

    Args:
        molecule: n atoms with a conformer.
        residue_name: name of the residue.

    Returns:
        The Topology and the positions (n, 3) in nm, float64.

    Raises:
        InputFileError: the molecule has no conformer.
    """
    if molecule.GetNumConformers() == 0:
        raise InputFileError("found a molecule without coordinates; generate a conformer first")
    topology = app.Topology()
    residue = topology.addResidue(residue_name, topology.addChain())
    for atom, name in zip(molecule.GetAtoms(), _atom_names(molecule), strict=True):
        element = app.Element.getByAtomicNumber(atom.GetAtomicNum())
        topology.addAtom(name, element, residue, formalCharge=atom.GetFormalCharge())
    atoms = list(topology.atoms())
    for i, j in _bonded_pairs(molecule):
        kind = molecule.GetBondBetweenAtoms(i, j).GetBondType()
        topology.addBond(
            atoms[i],
            atoms[j],
            type=app.Aromatic if kind == Chem.BondType.AROMATIC else None,
            order=_ORDERS.get(kind),
        )
    positions = np.array(molecule.GetConformer().GetPositions(), dtype=np.float64)
    return topology, positions * _NM_PER_ANGSTROM


def forcefield_xml(
    molecule: Chem.Mol, parameters: LigandParameters, residue_name: str = "MOL"
) -> str:
    """Write the ligand as an OpenMM ForceField file with a residue template.

    Every atom has its own type (``<residue name>-<atom name>``), so the file can be loaded
    with others: ``ForceField("amber14-all.xml", "amber14/tip3pfb.xml", io.StringIO(xml))``.

    Args:
        molecule: n atoms.
        parameters: the parameters of the same atoms in the same order.
        residue_name: name of the template.

    Returns:
        The XML text.

    Raises:
        ForceFieldError: molecule and parameters disagree, or impropers of an unknown arrangement.
    """
    _check_match(molecule, parameters)
    names = _atom_names(molecule)
    types = [f"{residue_name}-{name}" for name in names]
    root = ElementTree.Element("ForceField")
    _add_template(root, molecule, parameters, residue_name, names, types)
    bonds = ElementTree.SubElement(root, "HarmonicBondForce")
    for i, j, length, k in parameters.bonds:
        _add_term(bonds, "Bond", types, (i, j), length=length, k=k)
    angles = ElementTree.SubElement(root, "HarmonicAngleForce")
    for i, j, m, angle, k in parameters.angles:
        _add_term(angles, "Angle", types, (i, j, m), angle=angle, k=k)
    torsions = ElementTree.SubElement(root, "PeriodicTorsionForce")
    for atoms, terms in _grouped(parameters.torsions).items():
        _add_term(torsions, "Proper", types, atoms, **_torsion_attributes(terms))
    _add_impropers(root, molecule, parameters.impropers, types)
    nonbonded = ElementTree.SubElement(
        root,
        "NonbondedForce",
        coulomb14scale=repr(COULOMB_14_SCALE),
        lj14scale=repr(LJ_14_SCALE),
    )
    ElementTree.SubElement(nonbonded, "UseAttributeFromResidue", name="charge")
    for i in range(len(types)):
        sigma, epsilon = float(parameters.sigma[i]), float(parameters.epsilon[i])
        attributes = {"type": types[i], "sigma": repr(sigma), "epsilon": repr(epsilon)}
        ElementTree.SubElement(nonbonded, "Atom", attributes)
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode")


def _add_template(
    root: ElementTree.Element,
    molecule: Chem.Mol,
    parameters: LigandParameters,
    residue_name: str,
    names: list[str],
    types: list[str],
) -> None:
    atom_types = ElementTree.SubElement(root, "AtomTypes")
    residues = ElementTree.SubElement(root, "Residues")
    residue = ElementTree.SubElement(residues, "Residue", name=residue_name)
    for atom, name, type_name in zip(molecule.GetAtoms(), names, types, strict=True):
        element = app.Element.getByAtomicNumber(atom.GetAtomicNum())
        attributes = {"name": type_name, "class": type_name, "element": element.symbol}
        attributes["mass"] = repr(element.mass.value_in_unit(element.mass.unit))
        ElementTree.SubElement(atom_types, "Type", attributes)
        charge = repr(float(parameters.charges[atom.GetIdx()]))
        ElementTree.SubElement(residue, "Atom", name=name, type=type_name, charge=charge)
    for i, j in _bonded_pairs(molecule):
        ElementTree.SubElement(residue, "Bond", atomName1=names[i], atomName2=names[j])


def _add_impropers(
    root: ElementTree.Element,
    molecule: Chem.Mol,
    impropers: tuple[Torsion, ...],
    types: list[str],
) -> None:
    # OpenMM wants the centre first. Ordering "amber" adds (2, 3, centre, 4) once; "smirnoff" adds
    # (centre, 2, 3, 4) and its two cyclic permutations.
    by_ordering: dict[str, dict[tuple[int, ...], list[Torsion]]] = {"amber": {}, "smirnoff": {}}
    counts: Counter[tuple[str, int]] = Counter()
    for atoms, terms in _grouped(impropers).items():
        centre = _centre(molecule, atoms)
        others = tuple(atom for atom in atoms if atom != centre)
        ordering = {0: "smirnoff", 2: "amber"}.get(atoms.index(centre), "")
        counts[(ordering, centre)] += 1
        if not ordering:
            raise ForceFieldError(
                f"found the improper {atoms} with its centre in position "
                f"{atoms.index(centre) + 1}, allowed: the first and the third position"
            )
        if counts[(ordering, centre)] == 1:
            by_ordering[ordering][(centre, *others)] = terms
    for ordering, groups in by_ordering.items():
        expected = 3 if ordering == "smirnoff" else 1
        if any(counts[(ordering, atoms[0])] != expected for atoms in groups):
            raise ForceFieldError(
                f"found a centre with another number of {ordering} impropers than {expected}"
            )
        if groups:
            parent = ElementTree.SubElement(root, "PeriodicTorsionForce", ordering=ordering)
            for atoms, terms in groups.items():
                _add_term(parent, "Improper", types, atoms, **_torsion_attributes(terms))


def _centre(molecule: Chem.Mol, atoms: tuple[int, ...]) -> int:
    for candidate in atoms:
        others = (atom for atom in atoms if atom != candidate)
        if all(molecule.GetBondBetweenAtoms(candidate, other) is not None for other in others):
            return candidate
    raise ForceFieldError(f"found the improper {atoms}, none of whose atoms binds the other three")


def _grouped(torsions: tuple[Torsion, ...]) -> dict[tuple[int, ...], list[Torsion]]:
    """Return the terms by their four atoms; a dihedral read backwards is the same dihedral."""
    groups: dict[tuple[int, ...], list[Torsion]] = {}
    for term in torsions:
        atoms = term[:4]
        key = atoms[::-1] if atoms[::-1] in groups else atoms
        groups.setdefault(key, []).append(term)
    return groups


def _torsion_attributes(terms: list[Torsion]) -> dict[str, float]:
    attributes: dict[str, float] = {}
    for number, (*_, periodicity, phase, k) in enumerate(terms, start=1):
        attributes[f"periodicity{number}"] = periodicity
        attributes[f"phase{number}"] = phase
        attributes[f"k{number}"] = k
    return attributes


def _add_term(
    parent: ElementTree.Element,
    tag: str,
    types: list[str],
    atoms: tuple[int, ...],
    **values: float,
) -> None:
    attributes = {f"type{number}": types[atom] for number, atom in enumerate(atoms, start=1)}
    attributes.update({key: repr(value) for key, value in values.items()})
    ElementTree.SubElement(parent, tag, attributes)


def _bonded_pairs(molecule: Chem.Mol) -> list[tuple[int, int]]:
    return [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in molecule.GetBonds()]


def _atom_names(molecule: Chem.Mol) -> list[str]:
    atoms = list(molecule.GetAtoms())
    if all(atom.HasProp("_TriposAtomName") for atom in atoms):
        names = [atom.GetProp("_TriposAtomName") for atom in atoms]
        if len({name[:_PDB_NAME_LENGTH] for name in names}) == len(names):
            return names
    seen: Counter[str] = Counter()
    names = []
    for atom in atoms:
        seen[atom.GetSymbol()] += 1
        names.append(f"{atom.GetSymbol()}{seen[atom.GetSymbol()]}")
    return names


def _check_match(molecule: Chem.Mol, parameters: LigandParameters) -> None:
    if molecule.GetNumAtoms() != len(parameters.charges):
        raise ForceFieldError(
            f"found {molecule.GetNumAtoms()} atoms and parameters of {len(parameters.charges)}; "
            "parameterize this molecule"
        )

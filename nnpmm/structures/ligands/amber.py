"""A molecule and its parameters from Amber files of that molecule alone."""

from __future__ import annotations

from pathlib import Path

import openmm
from openmm import app, unit
from rdkit import Chem
from rdkit.Chem import rdDetermineBonds
from rdkit.Geometry import Point3D

from nnpmm.core.errors import InputFileError
from nnpmm.structures.ligands.mol2 import CHARGE_SUM_TOLERANCE
from nnpmm.structures.ligands.parameters import LigandParameters
from nnpmm.structures.ligands.system_terms import terms_from_system
from nnpmm.structures.readers import read_structure

__all__ = ["molecule_from_amber"]


def molecule_from_amber(
    topology: str | Path, coordinates: str | Path
) -> tuple[Chem.Mol, LigandParameters]:
    """Read a molecule and its force-field parameters; its net charge is the sum of its charges.

    Args:
        topology: Amber topology (prmtop) of the molecule alone.
        coordinates: Amber coordinates (inpcrd, rst7).

    Returns:
        The molecule with bond orders and the file's coordinates, and its parameters.

    Raises:
        InputFileError: the files cannot be read, hold virtual sites or several molecules, the
            charges do not add up to an integer, or no molecule of that charge has these bonds.
        ForceFieldError: a force that a ligand does not have.
    """
    structure = read_structure(str(topology), str(coordinates))
    system = app.AmberPrmtopFile(str(topology)).createSystem(removeCMMotion=False)
    charge = _net_charge(system, str(topology))
    molecule = _with_bond_orders(structure.topology, structure.positions, charge, str(topology))
    names = tuple(atom.name for atom in structure.topology.atoms())
    terms = terms_from_system(system, molecule)
    return molecule, LigandParameters(f"Amber topology {topology}", lj_types=names, **terms)


def _net_charge(system: openmm.System, origin: str) -> int:
    """Return the integer that the charges of a molecule add up to."""
    total = 0.0
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            rows = (force.getParticleParameters(i) for i in range(force.getNumParticles()))
            total += sum(charge.value_in_unit(unit.elementary_charge) for charge, _, _ in rows)
    if abs(total - round(total)) > CHARGE_SUM_TOLERANCE:
        raise InputFileError(
            f"{origin}: found charges that add up to {total:+.3f} e, allowed: an integer within "
            f"{CHARGE_SUM_TOLERANCE} e"
        )
    return round(total)


def _with_bond_orders(
    topology: app.Topology, positions: object, charge: int, origin: str
) -> Chem.Mol:
    """Return a molecule of this charge with the bonds of a topology, and bond orders that fit."""
    editable = Chem.RWMol()
    for atom in topology.atoms():
        if atom.element is None:
            raise InputFileError(f"{origin}: contains virtual sites, allowed: atoms only")
        editable.AddAtom(Chem.Atom(atom.element.atomic_number))
    for first, second in topology.bonds():
        editable.AddBond(first.index, second.index, Chem.BondType.SINGLE)
    conformer = Chem.Conformer(editable.GetNumAtoms())
    for index, position in enumerate(
        unit.Quantity(positions, unit.nanometer).value_in_unit(unit.angstrom)
    ):
        conformer.SetAtomPosition(index, Point3D(*(float(x) for x in position)))
    molecule = editable.GetMol()
    molecule.AddConformer(conformer)
    if len(Chem.GetMolFrags(molecule)) != 1:
        raise InputFileError(f"{origin}: contains several molecules, allowed: only the solute")
    if molecule.GetNumAtoms() == 1:  # without bonds, there are no orders to assign
        molecule.GetAtomWithIdx(0).SetFormalCharge(charge)
        return molecule
    try:
        rdDetermineBonds.DetermineBondOrders(molecule, charge=charge)
    except (ValueError, RuntimeError) as error:
        raise InputFileError(
            f"{origin}: found no molecule with these bonds and a charge of {charge:+d} e "
            f"({' '.join(str(error).split())})"
        ) from error
    return molecule

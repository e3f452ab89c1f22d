"""A molecule and its parameters from Amber files of that molecule alone."""

from __future__ import annotations

from pathlib import Path

from openmm import app, unit
from rdkit import Chem
from rdkit.Chem import rdDetermineBonds
from rdkit.Geometry import Point3D

from nnpmm.core.errors import InputFileError
from nnpmm.structures.ligands.openff import terms_from_system
from nnpmm.structures.ligands.parameters import LigandParameters
from nnpmm.structures.readers import read_structure

__all__ = ["molecule_from_amber"]


def molecule_from_amber(
    topology: str | Path, coordinates: str | Path
) -> tuple[Chem.Mol, LigandParameters]:
    """Read a neutral molecule and its force-field parameters.

    Args:
        topology: Amber topology (prmtop) of the molecule alone.
        coordinates: Amber coordinates (inpcrd, rst7).

    Returns:
        The molecule with bond orders and the file's coordinates, and its parameters.

    Raises:
        InputFileError: the files cannot be read, hold virtual sites or several molecules, or no
            neutral molecule has these bonds.
        ForceFieldError: a force that a ligand does not have.
    """
    structure = read_structure(str(topology), str(coordinates))
    molecule = _with_bond_orders(structure.topology, structure.positions, str(topology))
    system = app.AmberPrmtopFile(str(topology)).createSystem(removeCMMotion=False)
    names = tuple(atom.name for atom in structure.topology.atoms())
    terms = terms_from_system(system, molecule)
    return molecule, LigandParameters(f"Amber topology {topology}", lj_types=names, **terms)


def _with_bond_orders(topology: app.Topology, positions: object, origin: str) -> Chem.Mol:
    """Return a neutral molecule with the bonds of a topology, which has no orders."""
    editable = Chem.RWMol()
    for atom in topology.atoms():
        if atom.element is None:
            raise InputFileError(f"{origin}: holds virtual sites, allowed: atoms alone")
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
        raise InputFileError(f"{origin}: holds several molecules, allowed: the solute alone")
    try:
        rdDetermineBonds.DetermineBondOrders(molecule, charge=0)
    except (ValueError, RuntimeError) as error:
        raise InputFileError(
            f"{origin}: found no neutral molecule with these bonds ({' '.join(str(error).split())})"
        ) from error
    return molecule

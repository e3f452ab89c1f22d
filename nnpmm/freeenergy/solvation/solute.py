"""The solute, or the molecule of the solvent, with its force-field parameters."""

from __future__ import annotations

import numpy as np
from openmm import app, unit
from rdkit import Chem
from rdkit.Chem import rdDetermineBonds
from rdkit.Geometry import Point3D

from nnpmm.core.errors import InputFileError
from nnpmm.freeenergy.solvation.settings import SoluteSettings
from nnpmm.structures import (
    LigandParameters,
    MMSystem,
    create_ligand_system,
    molecule_from_file,
    molecule_from_smiles,
    parameterize,
    read_structure,
    to_openmm_topology,
)
from nnpmm.structures.ligands.openff import terms_from_system

__all__ = ["read_solute", "solute_alone"]


def solute_alone(box: MMSystem, molecule: Chem.Mol, parameters: LigandParameters) -> MMSystem:
    """Return the solute in vacuum, with the masses and the constraints that it has in its box.

    Args:
        box: the solvated solute.
        molecule: the solute, from `read_solute`.
        parameters: of its atoms.
    """
    assert box.ligand_atoms is not None  # the box was built around it
    system = create_ligand_system(molecule, parameters)
    for index, atom in enumerate(box.ligand_atoms.tolist()):
        system.setParticleMass(index, box.system.getParticleMass(atom))
    rows = {atom: row for row, atom in enumerate(box.ligand_atoms.tolist())}
    for constraint in range(box.system.getNumConstraints()):
        i, j, length = box.system.getConstraintParameters(constraint)
        if i in rows and j in rows:
            system.addConstraint(rows[i], rows[j], length)
    topology, positions = to_openmm_topology(molecule)
    return MMSystem(
        topology=topology,
        positions=positions,
        box_vectors=None,
        system=system,
        ligand_atoms=np.arange(len(rows)),
    )


def read_solute(solute: SoluteSettings, seed: int = 0) -> tuple[Chem.Mol, LigandParameters]:
    """Return the molecule, with a conformer, and its parameters.

    Args:
        solute: where they come from.
        seed: of the conformer of a SMILES string.

    Raises:
        NnpmmError: see `nnpmm.structures.parameterize` and the readers.
    """
    if solute.topology is not None and solute.coordinates is not None:
        return _from_amber(solute)
    if solute.file is not None:
        molecule = molecule_from_file(solute.file)
    else:
        molecule = molecule_from_smiles(solute.smiles or "", seed=seed)
    return molecule, parameterize(molecule, provider=solute.parameters)


def _from_amber(solute: SoluteSettings) -> tuple[Chem.Mol, LigandParameters]:
    structure = read_structure(str(solute.topology), str(solute.coordinates))
    molecule = _with_bond_orders(structure.topology, structure.positions, str(solute.topology))
    system = app.AmberPrmtopFile(str(solute.topology)).createSystem(removeCMMotion=False)
    names = tuple(atom.name for atom in structure.topology.atoms())
    terms = terms_from_system(system, molecule)
    return molecule, LigandParameters(f"Amber topology {solute.topology}", lj_types=names, **terms)


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
        raise InputFileError(f"{origin}: holds several molecules, allowed: one")
    try:
        rdDetermineBonds.DetermineBondOrders(molecule, charge=0)
    except (ValueError, RuntimeError) as error:
        raise InputFileError(
            f"{origin}: found no neutral molecule with these bonds ({' '.join(str(error).split())})"
        ) from error
    return molecule

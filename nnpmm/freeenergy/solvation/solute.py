"""The solute on its own, for the ladder in vacuum."""

from __future__ import annotations

import numpy as np
from rdkit import Chem

from nnpmm.structures import (
    LigandParameters,
    MMSystem,
    create_ligand_system,
    to_openmm_topology,
)

__all__ = ["solute_alone"]


def solute_alone(box: MMSystem, molecule: Chem.Mol, parameters: LigandParameters) -> MMSystem:
    """Return the solute in vacuum, with the masses and the constraints that it has in its box.

    Args:
        box: the solvated solute.
        molecule: the solute, with a conformer.
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

"""Small molecules and their potentials for the tests of torsion scans."""

from __future__ import annotations

import numpy as np

from nnpmm.models import OpenMMPotential
from nnpmm.structures import create_ligand_system, molecule_from_smiles, parameterize


def positions_of(molecule):
    """Return the conformer, (n, 3), nm."""
    return 0.1 * np.array(molecule.GetConformer().GetPositions())


def numbers_of(molecule):
    return [atom.GetAtomicNum() for atom in molecule.GetAtoms()]


def force_field(molecule, system=None):
    """Return an evaluator of a System, by default of nnpmm's own parameters."""
    if system is None:
        system = create_ligand_system(molecule, parameterize(molecule, provider="fallback"))
    return OpenMMPotential(system).bind(numbers_of(molecule))


def molecule_and_force_field(smiles):
    molecule = molecule_from_smiles(smiles, seed=3)
    return molecule, force_field(molecule)

"""Boxes of molecular liquids other than water, with or without a solute, packed loosely.

They have half the density of the liquid or less: equilibration under constant pressure compresses
them (`nnpmm.sampling.compress_liquid`).
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit
from rdkit import Chem
from rdkit.Chem import AllChem

from nnpmm.core.constants import DALTON_PER_NM3_IN_G_PER_ML
from nnpmm.core.errors import ConfigError
from nnpmm.structures.ligands.openmm_system import forcefield_xml, to_openmm_topology
from nnpmm.structures.ligands.parameters import LigandParameters
from nnpmm.structures.mm_system import MMSystem
from nnpmm.structures.packing import least_liquid_width, pack_loosely
from nnpmm.structures.periodic_system import (
    checked_hydrogen_mass,
    periodic_system,
    positive,
)

__all__ = ["LIQUID_PACKING", "create_liquid", "dissolve", "typical_density"]

#: Part of a liquid's volume that is within its molecules' van der Waals radii: 0.50 (pentane) to
#: 0.61 (DMSO) with the densities of the CRC Handbook, 0.72 for glycerol, a mean of 0.56.
LIQUID_PACKING = 0.56
_SOLVENT = "SLV"
_NM3_PER_CUBIC_ANGSTROM = 1e-3


@dataclass(frozen=True)
class _Kind:
    """A molecule with its parameters and the name of its residues."""

    molecule: Chem.Mol
    parameters: LigandParameters
    residue: str


def typical_density(molecule: Chem.Mol) -> float:
    """Return a liquid's density as estimated from its molecule's volume, g/ml; good to about 15 %.

    Args:
        molecule: with hydrogens and a conformer.
    """
    mass = sum(atom.GetMass() for atom in molecule.GetAtoms())
    return DALTON_PER_NM3_IN_G_PER_ML * mass / _volume(molecule)


def create_liquid(
    solvent: Chem.Mol,
    parameters: LigandParameters,
    n_molecules: int,
    *,
    nonbonded_cutoff: float | unit.Quantity = 0.9,
    constrain_hydrogens: bool = True,
    hydrogen_mass: float | unit.Quantity | None = None,
    seed: int = 0,
) -> MMSystem:
    """Return a loose cubic box of one kind of molecule.

    Args:
        solvent: the molecule, neutral, with hydrogens and a conformer.
        parameters: of the same atoms in the same order.
        n_molecules: in the box.
        nonbonded_cutoff: of PME's real-space part and of Lennard-Jones, nm.
        constrain_hydrogens: constrain bonds to hydrogen.
        hydrogen_mass: repartition masses so that hydrogens weigh this many amu.
        seed: of positions and orientations.

    Raises:
        ConfigError: a charged molecule, hydrogens heavier than their molecule allows, or a box that
            will be narrower than twice the cutoff.
    """
    _refuse_charged(solvent)
    kind = _Kind(solvent, parameters, _SOLVENT)
    cutoff = positive("nonbonded_cutoff", nonbonded_cutoff, unit.nanometer)
    width = (n_molecules * _volume(solvent)) ** (1 / 3)
    if width < (least := least_liquid_width(cutoff)):
        raise ConfigError(
            f"found a box that will be about {width:.2f} nm wide, allowed with a cutoff of "
            f"{cutoff:g} nm: {least:.2f} nm or more; use more molecules, or a shorter cutoff"
        )
    shape = to_openmm_topology(solvent)[1]
    places, width = pack_loosely(shape, n_molecules, width, seed=seed)
    return _box(
        [kind] * n_molecules, list(places), width, cutoff, constrain_hydrogens, hydrogen_mass
    )


def dissolve(
    molecule: Chem.Mol,
    parameters: LigandParameters,
    solvent: Chem.Mol,
    solvent_parameters: LigandParameters,
    *,
    padding: float | unit.Quantity = 1.0,
    nonbonded_cutoff: float | unit.Quantity = 0.9,
    constrain_hydrogens: bool = True,
    hydrogen_mass: float | unit.Quantity | None = None,
    residue_name: str = "MOL",
    seed: int = 0,
) -> MMSystem:
    """Put a molecule into a loose cubic box of a liquid.

    Args:
        molecule: the solute, with a conformer.
        parameters: of the same atoms in the same order.
        solvent: the molecule of the liquid, neutral, with hydrogens and a conformer.
        solvent_parameters: of the same atoms in the same order.
        padding: minimum distance between the solute's enclosing sphere and the faces of the box,
            nm, once the box has the typical density of such a liquid. The box is larger where the
            cutoff requires it.
        nonbonded_cutoff: of PME's real-space part and of Lennard-Jones, nm.
        constrain_hydrogens: constrain bonds to hydrogen.
        hydrogen_mass: repartition masses so that hydrogens weigh this many amu.
        residue_name: of the solute.
        seed: of positions and orientations.

    Returns:
        The box with the solute first; nothing is minimised.

    Raises:
        ConfigError: a charged solvent, or hydrogens heavier than their molecule allows.
    """
    _refuse_charged(solvent)
    cutoff = positive("nonbonded_cutoff", nonbonded_cutoff, unit.nanometer)
    margin = positive("padding", padding, unit.nanometer)
    own = to_openmm_topology(molecule)[1]
    own = own - 0.5 * (own.min(axis=0) + own.max(axis=0))
    width = 2 * (float(np.linalg.norm(own, axis=1).max()) + margin)
    width = max(width, least_liquid_width(cutoff))
    count = max(1, round((width**3 - _volume(molecule)) / _volume(solvent)))
    shape = to_openmm_topology(solvent)[1]
    places, width = pack_loosely(shape, count, width, solute=own, seed=seed)
    kinds = [
        _Kind(molecule, parameters, residue_name),
        *[_Kind(solvent, solvent_parameters, _SOLVENT)] * count,
    ]
    positions = [own + 0.5 * width, *places]
    box = _box(kinds, positions, width, cutoff, constrain_hydrogens, hydrogen_mass)
    return dataclasses.replace(box, ligand_atoms=np.arange(len(own), dtype=np.int64))


def _box(
    kinds: Sequence[_Kind],
    positions: Sequence[NDArray[np.float64]],
    width: float,
    cutoff: float,
    constrain_hydrogens: bool,
    hydrogen_mass: Any,
) -> MMSystem:
    """Return a box of molecules, one residue each."""
    topology = app.Topology()
    chain = topology.addChain()
    names = {}
    for kind in kinds:
        residue = topology.addResidue(kind.residue, chain)
        names[residue] = kind.residue
        single, _ = to_openmm_topology(kind.molecule)
        new = {a: topology.addAtom(a.name, a.element, residue) for a in single.atoms()}
        for first, second in single.bonds():
            topology.addBond(new[first], new[second])
    box = width * np.eye(3)
    topology.setPeriodicBoxVectors([openmm.Vec3(*row) for row in box] * unit.nanometer)
    force_field = app.ForceField()
    for kind in {kind.residue: kind for kind in kinds}.values():
        xml = forcefield_xml(kind.molecule, kind.parameters, kind.residue)
        force_field.loadFile(io.StringIO(xml))
    mass = None if hydrogen_mass is None else checked_hydrogen_mass(hydrogen_mass)
    system = periodic_system(force_field, topology, names, cutoff, constrain_hydrogens, mass)
    return MMSystem(topology, np.concatenate(positions), box, system)


def _volume(molecule: Chem.Mol) -> float:
    """Return the volume of a molecule in its liquid, nm^3."""
    inner = AllChem.ComputeMolVolume(molecule)
    return float(inner) * _NM3_PER_CUBIC_ANGSTROM / LIQUID_PACKING


def _refuse_charged(solvent: Chem.Mol) -> None:
    charge = Chem.GetFormalCharge(solvent)
    if charge:
        raise ConfigError(
            f"found a solvent molecule of charge {charge:+d}, allowed: neutral molecules"
        )

"""A part of an MM system with the same parameters, in a new box of the same water.

The solvent leg of a binding free energy needs the ligand in water with exactly the force field of
the complex. Its System is therefore extracted from that of the complex: the terms of the ligand and
of as many waters as the new box needs. Only the positions of the waters are new.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit
from scipy.spatial import cKDTree

from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError
from nnpmm.core.units import in_md_units
from nnpmm.coupling.nonbonded import EWALD_METHODS
from nnpmm.coupling.terms import BONDED
from nnpmm.freeenergy.constraints import constrained_positions
from nnpmm.structures import MMSystem
from nnpmm.structures.selection import is_water
from nnpmm.structures.solvation import BoxShape, box_vectors

__all__ = ["in_new_water", "part_of"]

# Attributes of XML elements whose values are indices of particles.
_PARTICLE = re.compile(r"[pab]\d+|particle\d*|index")
# Elements with one child for each particle, and elements whose children refer to some particles.
_PER_PARTICLE = {"Particles"}
_TERMS = {*BONDED.values(), "Exceptions", "Exclusions", "Constraints", "Set1", "Set2"}
_CLASSES = (*BONDED, openmm.NonbondedForce, openmm.CustomNonbondedForce, openmm.CMMotionRemover)
_CLEARANCE = 0.24  # nm from a water's oxygen to the solute's atoms, hydrogens included


def part_of(system: openmm.System, atoms: Iterable[int]) -> openmm.System:
    """Return the System of some particles alone: all terms among them, with their parameters.

    Args:
        system: an MM system. It is not changed.
        atoms: 0-based indices of whole molecules, in the order of the new System.

    Raises:
        ForceFieldError: a force of a class whose terms cannot be separated.
        RegionError: a term joins these particles and others.
    """
    rows = {int(atom): row for row, atom in enumerate(atoms)}
    root = ElementTree.fromstring(openmm.XmlSerializer.serialize(system))
    for force in system.getForces():
        if type(force) not in _CLASSES:
            raise ForceFieldError(
                f"found a {type(force).__name__}, from which no part can be extracted; allowed: "
                "bonded and non-bonded forces of fixed charges"
            )
    for section in list(root.iter()):
        if section.tag in _PER_PARTICLE and len(section) == system.getNumParticles():
            children = list(section)
            section[:] = [children[atom] for atom in rows]
            for child in section:  # a virtual site
                for site in child:
                    _renumber(site, rows)
        elif section.tag in _TERMS:
            section[:] = [child for child in section if _renumber(child, rows)]
        elif section.tag in ("ParticleOffsets", "ExceptionOffsets") and len(section):
            raise ForceFieldError(
                "found a NonbondedForce with parameter offsets, from which no part can be extracted"
            )
    text = ElementTree.tostring(root, encoding="unicode")
    return openmm.XmlSerializer.deserialize(text)


def _renumber(term: ElementTree.Element, rows: dict[int, int]) -> bool:
    """Renumber the particles of a term, in place; return whether all of them are in the part."""
    names = [name for name in term.attrib if _PARTICLE.fullmatch(name)]
    inside = [int(term.attrib[name]) in rows for name in names]
    if all(inside):
        for name in names:
            term.set(name, str(rows[int(term.attrib[name])]))
        return True
    if any(inside):
        particles = [int(term.attrib[name]) for name in names]
        raise RegionError(
            f"a term of the force field joins atoms {particles}, of which only some belong to the "
            "part; select whole molecules"
        )
    return False


def in_new_water(
    mm: MMSystem, atoms: Iterable[int], *, padding: float, box_shape: BoxShape = "cube"
) -> MMSystem:
    """Return some molecules of a system in a new box of its water.

    Args:
        mm: with the atoms of its ligand.
        atoms: 0-based indices of the molecules; water that is among them stays where it is.
        padding: minimum distance between their enclosing sphere and the faces of the box, nm.
        box_shape: cube, dodecahedron or octahedron.

    Returns:
        The molecules in their order, followed by water. ``ligand_atoms`` is None unless all of
        them are included. Water has the geometry of its force field; nothing is minimised.

    Raises:
        ConfigError: the system has fewer waters than the box needs, or the box is too small for the
            cutoff.
        ForceFieldError: a force of a class whose terms cannot be separated.
        RegionError: the atoms are not whole molecules.
    """
    solute = np.array(sorted(atoms), dtype=np.int64)
    positions = mm.positions[solute]
    box = box_vectors(positions, padding, _cutoff(mm.system), box_shape)
    centre = 0.5 * (positions.min(axis=0) + positions.max(axis=0))
    positions = positions - centre + 0.5 * box.sum(axis=0)
    oxygens, hydrogens = _water(box, positions)
    waters = _waters(mm.topology, set(solute.tolist()), len(oxygens), padding)
    chosen = [*solute.tolist(), *(atom for water in waters for atom in water)]
    system = part_of(mm.system, chosen)
    system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in box))
    topology = _part_of_topology(mm.topology, chosen, box)
    of_water = _water_positions(mm.topology, waters, oxygens, hydrogens)
    positions = constrained_positions(system, np.concatenate([positions, of_water]))
    ligand = mm.ligand_atoms
    if ligand is not None:
        inside = np.isin(ligand, solute).all()
        ligand = np.searchsorted(solute, ligand) if inside else None
    return replace(
        mm,
        topology=topology,
        positions=positions,
        box_vectors=box,
        system=system,
        ligand_atoms=ligand,
    )


def _cutoff(system: openmm.System) -> float:
    """Return the cutoff of the non-bonded interactions, nm."""
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            if force.getNonbondedMethod() in (
                *EWALD_METHODS,
                openmm.NonbondedForce.CutoffPeriodic,
            ):
                return float(in_md_units(force.getCutoffDistance(), unit.nanometer))
            break
    raise ForceFieldError(
        "found a system without periodic boundaries, allowed: a complex in explicit water"
    )


def _water(
    box: NDArray[np.float64], solute: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return oxygens (n, 3) and hydrogens (n, 2, 3) of a box of water around a solute, nm."""
    modeller = app.Modeller(app.Topology(), [] * unit.nanometer)
    vectors = tuple(openmm.Vec3(*row) for row in box) * unit.nanometer
    force_field = app.ForceField("amber14/tip3p.xml")
    modeller.addSolvent(force_field, model="tip3p", boxVectors=vectors, neutralize=False)
    waters = in_md_units(modeller.positions, unit.nanometer).reshape(-1, 3, 3)
    # Modeller may centre the water on the origin; here its centre is that of the cell.
    middle = 0.5 * (waters[:, 0].min(axis=0) + waters[:, 0].max(axis=0))
    waters = waters - middle + 0.5 * box.sum(axis=0)
    images = [i * box[0] + j * box[1] + k * box[2] for i, j, k in np.ndindex(3, 3, 3)]
    around = np.concatenate([solute + image - box.sum(axis=0) for image in images])
    free = cKDTree(around).query(waters[:, 0])[0] > _CLEARANCE
    return waters[free, 0], waters[free, 1:]


def _waters(
    topology: app.Topology, excluded: set[int], count: int, padding: float
) -> list[list[int]]:
    """Return the atoms of each of ``count`` waters of a system that have no excluded atoms."""
    waters = [
        [atom.index for atom in residue.atoms()]
        for residue in topology.residues()
        if is_water(residue)
    ]
    free = [water for water in waters if excluded.isdisjoint(water)]
    if len(free) < count:
        raise ConfigError(
            f"found a padding of {padding:g} nm, whose box needs {count} waters, but the system "
            f"has only {len(free)}; use a smaller padding, or a complex in a larger box"
        )
    return free[:count]


def _water_positions(
    topology: app.Topology,
    waters: list[list[int]],
    oxygens: NDArray[np.float64],
    hydrogens: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return positions (n, 3) of waters in the order of their atoms; other sites at the oxygen."""
    atoms, positions = list(topology.atoms()), []
    for water, oxygen, pair in zip(waters, oxygens, hydrogens, strict=True):
        remaining = list(pair)
        for index in water:
            element = atoms[index].element
            is_hydrogen = element is not None and element.atomic_number == 1
            positions.append(remaining.pop() if is_hydrogen else oxygen)
    return np.array(positions, dtype=np.float64).reshape(-1, 3)


def _part_of_topology(
    topology: app.Topology, atoms: list[int], box: NDArray[np.float64]
) -> app.Topology:
    """Return the topology of some atoms in this order, in which residues must be contiguous."""
    new, old_atoms = app.Topology(), list(topology.atoms())
    chains: dict[Any, Any] = {}
    residues: dict[Any, Any] = {}
    new_atoms: dict[int, Any] = {}
    for index in atoms:
        atom = old_atoms[index]
        residue, chain = atom.residue, atom.residue.chain
        if chain not in chains:
            chains[chain] = new.addChain(chain.id)
        if residue not in residues:
            residues[residue] = new.addResidue(
                residue.name, chains[chain], residue.id, residue.insertionCode
            )
        new_atoms[index] = new.addAtom(atom.name, atom.element, residues[residue], atom.id)
    for bond in topology.bonds():
        i, j = bond.atom1.index, bond.atom2.index
        if i in new_atoms and j in new_atoms:
            new.addBond(new_atoms[i], new_atoms[j], bond.type, bond.order)
    new.setPeriodicBoxVectors([openmm.Vec3(*row) for row in box] * unit.nanometer)
    return new

"""MM systems with every force class of OpenMM's readers, each with its region alone in vacuum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openmm
import openmm.app as app
from cases import Case, energy_and_forces
from openmm import unit

from nnpmm.structures import molecule_from_smiles

WATERS = 20
CUTOFF = 1.0  # nm; the dipeptide's pairs lie inside


@dataclass(frozen=True)
class ForceFieldCase(Case):
    """A case with the region alone as an MM system, without cutoff or solvent.

    ``alone`` comes from the same files or force field, so it is an independent reference for the
    region's internal energy. ``environment`` is a system of everything else, built from the force
    field.
    """

    alone: openmm.System = None
    environment: openmm.System = None

    def internal(self) -> tuple[float, np.ndarray]:
        """Internal energy of the region in the force field, and forces on the region."""
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(self.alone, openmm.VerletIntegrator(0.001), platform)
        context.setPositions(self.positions[self.region])
        return energy_and_forces(context)


# Heavy atoms of alanine dipeptide by residue, each with its hydrogens.
_DIPEPTIDE = {
    "ACE": {"CH3": ("H1", "H2", "H3"), "C": (), "O": ()},
    "ALA": {"N": ("H",), "CA": ("HA",), "CB": ("HB1", "HB2", "HB3"), "C": (), "O": ()},
    "NME": {"N": ("H",), "C": ("H1", "H2", "H3")},
}


def dipeptide(residue_name=None):
    """Alanine dipeptide, 22 atoms, as an openmm.app.Modeller."""
    molecule = molecule_from_smiles("CC(=O)N[C@@H](C)C(=O)NC", seed=1)
    topology, order = app.Topology(), []
    chain = topology.addChain()
    heavy = (atom for atom in molecule.GetAtoms() if atom.GetAtomicNum() > 1)
    for name, atoms in _DIPEPTIDE.items():
        residue = topology.addResidue(name, chain)
        for (parent, hydrogens), atom in zip(atoms.items(), heavy, strict=False):
            bonded = [a.GetIdx() for a in atom.GetNeighbors() if a.GetAtomicNum() == 1]
            for label, index in zip((parent, *hydrogens), (atom.GetIdx(), *bonded), strict=True):
                topology.addAtom(label, app.Element.getBySymbol(label[0]), residue)
                order.append(index)
    placed, atoms = np.argsort(order), list(topology.atoms())
    for bond in molecule.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        topology.addBond(*(atoms[placed[i]] for i in ends))
    if residue_name is not None:
        topology = in_one_residue(topology, residue_name)
    positions = molecule.GetConformer().GetPositions()[order] / 10
    return app.Modeller(topology, positions * unit.nanometer)


def in_one_residue(topology, name):
    """The same atoms and bonds in one residue, as CHARMM's model compounds are."""
    single = app.Topology()
    residue = single.addResidue(name, single.addChain())
    atoms = [single.addAtom(f"{a.name}{a.index}", a.element, residue) for a in topology.atoms()]
    for a, b in topology.bonds():
        single.addBond(atoms[a.index], atoms[b.index])
    return single


def with_water(modeller, n_waters=WATERS):
    """Add waters on a lattice around the solute, none closer than 0.25 nm, in place."""
    solute = np.array(modeller.positions.value_in_unit(unit.nanometer))
    grid = np.array(list(np.ndindex(6, 6, 6))) * 0.36 + solute.min(axis=0) - 0.4
    free = np.linalg.norm(grid[:, None] - solute[None], axis=2).min(axis=1)
    order = np.argsort(np.linalg.norm(grid - solute.mean(axis=0), axis=1))
    chosen = [i for i in order if free[i] > 0.27][:n_waters]
    topology, chain = app.Topology(), None
    chain = topology.addChain()
    places = []
    shape = np.array([[0, 0, 0], [0.09572, 0, 0], [-0.02399, 0.09266, 0]])
    for i in chosen:
        residue = topology.addResidue("HOH", chain)
        atoms = [
            topology.addAtom(name, app.Element.getBySymbol(name[0]), residue)
            for name in ("O", "H1", "H2")
        ]
        topology.addBond(atoms[0], atoms[1])
        topology.addBond(atoms[0], atoms[2])
        places.append(grid[i] + shape)
    modeller.add(topology, np.concatenate(places) * unit.nanometer)


def from_force_field(*files, method=app.PME, residue=None, extra_particles=False, adjust=None):
    """A dipeptide in some water, or next to another dipeptide where the solvent is implicit."""
    solute = dipeptide(residue)
    force_field = app.ForceField(*files)
    templates = {r: residue for r in solute.topology.residues()} if residue else {}
    alone = force_field.createSystem(
        solute.topology,
        nonbondedMethod=app.NoCutoff,
        removeCMMotion=False,
        residueTemplates=templates,
    )
    for index in reversed(range(alone.getNumForces())):
        if isinstance(alone.getForce(index), openmm.CustomGBForce):
            alone.removeForce(index)  # implicit solvent is not part of the internal energy
    n_region = solute.topology.getNumAtoms()
    if method is app.NoCutoff:
        second = dipeptide(residue)
        shift = openmm.Vec3(0.9, 0.3, 0.2) * unit.nanometer
        solute.add(second.topology, [p + shift for p in second.positions])
    else:
        with_water(solute)
        solute.topology.setUnitCellDimensions(openmm.Vec3(2.2, 2.3, 2.4) * unit.nanometer)
    if extra_particles:
        solute.addExtraParticles(force_field)
    templates = {r: residue for r in solute.topology.residues() if r.name == residue}
    options = {} if method is app.NoCutoff else {"nonbondedCutoff": CUTOFF * unit.nanometer}
    system = force_field.createSystem(
        solute.topology, nonbondedMethod=method, residueTemplates=templates, **options
    )
    rest = app.Modeller(solute.topology, solute.positions)
    rest.delete(list(rest.topology.atoms())[:n_region])
    templates = {r: residue for r in rest.topology.residues() if r.name == residue}
    environment = force_field.createSystem(
        rest.topology, nonbondedMethod=method, residueTemplates=templates, **options
    )
    if adjust is not None:
        adjust(system)
        adjust(environment)
    box = None if method is app.NoCutoff else np.diag([2.2, 2.3, 2.4])
    positions = np.array(solute.positions.value_in_unit(unit.nanometer))
    region = np.arange(n_region)
    return ForceFieldCase(
        solute.topology, system, positions, box, region, alone=alone, environment=environment
    )


def charmm36():
    """Urey-Bradley, harmonic impropers, CMAP, Lennard-Jones in custom forces."""
    return from_force_field("charmm36.xml", "charmm36/water.xml", residue="ALAD")


def charmm36_vacuum():
    """The same without a cutoff, next to a second dipeptide."""
    return from_force_field("charmm36.xml", residue="ALAD", method=app.NoCutoff)


def amber14():
    """Amber's usual forces, with dispersion correction and a switching function."""

    def switch(system):
        (force,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
        force.setUseSwitchingFunction(True)
        force.setSwitchingDistance(0.97)

    return from_force_field("amber14-all.xml", "amber14/tip3p.xml", adjust=switch)


def amber14_virtual_sites():
    """Four-site water: virtual sites outside the region."""
    return from_force_field("amber14-all.xml", "amber14/tip4pew.xml", extra_particles=True)


def amber19():
    """CMAPs of ff19SB, and OPC water."""
    return from_force_field("amber19-all.xml", "amber19/opc.xml", extra_particles=True)


def implicit_gbn2():
    """GBn2 as a CustomGBForce."""
    return from_force_field("amber14-all.xml", "implicit/gbn2.xml", method=app.NoCutoff)


def implicit_obc2():
    """OBC2 as a CustomGBForce."""
    return from_force_field("amber14-all.xml", "implicit/obc2.xml", method=app.NoCutoff)


def amber14_gbsa_obc():
    """The same charges with OpenMM's GBSAOBCForce and a surface term."""
    case = from_force_field("amber14-all.xml", method=app.NoCutoff)
    (nonbonded,) = [f for f in case.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    born, surface = openmm.GBSAOBCForce(), openmm.LCPOForce()
    for i, atom in enumerate(case.topology.atoms()):
        hydrogen = atom.element.symbol == "H"
        radius, scale = (0.12, 0.85) if hydrogen else (0.17, 0.72)
        born.addParticle(nonbonded.getParticleParameters(i)[0], radius, scale)
        surface.addParticle(0.0 if hydrogen else 0.31, *(4 * (0.0,) if hydrogen else _CARBON))
    case.system.addForce(born)
    case.system.addForce(surface)
    return case


_CARBON = (0.5, -0.2, -0.002, 0.005)


FORCE_FIELD_CASES = {
    "CHARMM36": charmm36,
    "CHARMM36 without cutoff": charmm36_vacuum,
    "Amber14": amber14,
    "Amber14, TIP4P-Ew": amber14_virtual_sites,
    "Amber19, OPC": amber19,
    "GBn2": implicit_gbn2,
    "OBC2": implicit_obc2,
    "GBSAOBCForce": amber14_gbsa_obc,
}

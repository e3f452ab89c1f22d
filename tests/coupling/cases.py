"""MM systems for the coupling's contract: small ones, and real ones from the test data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openmm
import openmm.app as app
from conftest import shared_data
from openmm import unit

from nnpmm.coupling import make_whole, topology_bonds
from nnpmm.structures import molecule_from_smiles, parameterize, solvate
from nnpmm.structures.selection import select_atoms


@dataclass(frozen=True)
class Case:
    """An MM system with its region; positions (n, 3) nm, box rows (3, 3) nm or None."""

    topology: app.Topology
    system: openmm.System
    positions: np.ndarray
    box: np.ndarray | None
    region: np.ndarray

    def context(self, system: openmm.System, positions=None) -> openmm.Context:
        """A context of a system with this case's box, on the Reference platform (all in double)."""
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        if self.box is not None:
            context.setPeriodicBoxVectors(*self.box)
        context.setPositions(self.positions if positions is None else positions)
        return context

    def state(self, system: openmm.System, positions=None, *, groups=None):
        """Energy (kJ/mol) and forces (n, 3) in kJ/mol/nm of a system."""
        return energy_and_forces(self.context(system, positions), groups)

    @property
    def numbers(self) -> np.ndarray:
        """Atomic numbers of the region."""
        atoms = list(self.topology.atoms())
        return np.array([atoms[i].element.atomic_number for i in self.region])

    @property
    def whole_region(self) -> np.ndarray:
        """The region's positions, joined across the boundary."""
        bonds = topology_bonds(self.topology, self.region)
        return make_whole(self.positions[self.region], self.box, bonds)


def energy_and_forces(context: openmm.Context, groups=None) -> tuple[float, np.ndarray]:
    """Energy (kJ/mol) and forces (n, 3) in kJ/mol/nm of a context, of some force groups or all."""
    arguments = {} if groups is None else {"groups": groups}
    state = context.getState(getEnergy=True, getForces=True, **arguments)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


def compute_in(context: openmm.Context, groups=None):
    """A function from positions (n, 3) nm to energy and forces of a context."""

    def compute(positions):
        context.setPositions(positions)
        context.computeVirtualSites()
        return energy_and_forces(context, groups)

    return compute


def waters_topology(count: int) -> app.Topology:
    """Waters with their bonds, as TIP3P needs them."""
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(count):
        residue = topology.addResidue("HOH", chain)
        oxygen, *hydrogens = (
            topology.addAtom(name, app.Element.getBySymbol(name[0]), residue)
            for name in ("O", "H1", "H2")
        )
        for hydrogen in hydrogens:
            topology.addBond(oxygen, hydrogen)
    return topology


def solvated_ligand(smiles="CO", method=openmm.NonbondedForce.PME) -> Case:
    """A small ligand in a small box of water, with one of the non-bonded methods."""
    molecule = molecule_from_smiles(smiles, seed=1)
    box = solvate(molecule, parameterize(molecule), padding=0.6, nonbonded_cutoff=0.7, seed=1)
    for force in box.system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setNonbondedMethod(method)
    vectors = np.array(box.box_vectors, dtype=float)
    periodic = method not in (
        openmm.NonbondedForce.NoCutoff,
        openmm.NonbondedForce.CutoffNonPeriodic,
    )
    return Case(
        box.topology,
        box.system,
        np.array(box.positions),
        vectors if periodic else None,
        np.array(box.ligand_atoms),
    )


def bond_and_ion() -> Case:
    """A C-O bond and an ion in a box of 2 nm."""
    topology = app.Topology()
    chain = topology.addChain()
    residue = topology.addResidue("LIG", chain)
    carbon, oxygen = (topology.addAtom(s, app.Element.getBySymbol(s), residue) for s in ("C", "O"))
    topology.addBond(carbon, oxygen)
    topology.addAtom("Na", app.Element.getBySymbol("Na"), topology.addResidue("NA", chain))
    system, force, bonds = openmm.System(), openmm.NonbondedForce(), openmm.HarmonicBondForce()
    bonds.addBond(0, 1, 0.12, 1e5)
    for mass, charge in ((12.011, 0.4), (15.999, -0.4), (22.99, 1.0)):
        system.addParticle(mass)
        force.addParticle(charge, 0.3, 0.4)
    force.addException(0, 1, 0, 1, 0)
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(0.5)
    for each in (force, bonds):
        system.addForce(each)
    system.setDefaultPeriodicBoxVectors([2, 0, 0], [0, 2, 0], [0, 0, 2])
    positions = np.array([[0.1, 0.1, 0.1], [0.22, 0.1, 0.1], [0.1, 0.1, 0.1]])
    return Case(topology, system, positions, 2 * np.eye(3), np.array([0, 1]))


def ion_leaves(case: Case, cutoff: float) -> np.ndarray:
    """Positions in which the ion of `bond_and_ion` crosses the cutoff, in steps of 1 pm."""
    path = np.repeat(case.positions[None], 40, axis=0)
    path[:, 2, 0] -= cutoff + 1e-3 * (np.arange(40) - 19.5)
    return path


def toluene_water() -> Case:
    """Toluene in water, Amber."""
    return _amber("toluene/toluene-explicit.prm7", "toluene/toluene-explicit.rst7", "resname MBN")


def cb7_b2() -> Case:
    """Cucurbit[7]uril with the guest B2 in water, Amber; the guest is the region."""
    stem = "cb7-b2/complex-explicit"
    return _amber(f"{stem}.prmtop", f"{stem}.inpcrd", "resname B2")


def cb7_b2_vacuum() -> Case:
    """The same without water or box."""
    stem = "cb7-b2/complex-vacuum"
    return _amber(f"{stem}.prmtop", f"{stem}.inpcrd", "resname B2", app.NoCutoff)


def hsp90_water() -> Case:
    """HSP90's ligand 3 in water, GROMACS."""
    return _gromacs("hsp90/ligand-3/ligand/ligand")


def hsp90_complex() -> Case:
    """HSP90 with ligand 3, 47,037 atoms, GROMACS."""
    return _gromacs("hsp90/ligand-3/complex/complex")


def cyclophilin_complex() -> Case:
    """Cyclophilin D with ligand 3, 34,958 atoms, GROMACS."""
    return _gromacs("cyclophilin-d/ligand-3/complex/complex")


REAL_CASES = {
    "toluene in water": toluene_water,
    "CB7-B2 in water": cb7_b2,
    "CB7-B2 in vacuum": cb7_b2_vacuum,
    "HSP90 ligand in water": hsp90_water,
    "HSP90 complex": hsp90_complex,
    "cyclophilin D complex": cyclophilin_complex,
}


def _amber(topology: str, coordinates: str, selection: str, method=app.PME) -> Case:
    prmtop = app.AmberPrmtopFile(str(shared_data(topology)))
    inpcrd = app.AmberInpcrdFile(str(shared_data(coordinates)))
    system = prmtop.createSystem(
        nonbondedMethod=method, nonbondedCutoff=0.9 * unit.nanometer, constraints=app.HBonds
    )
    box = None
    if method is app.PME:
        box = np.array([list(v) for v in inpcrd.boxVectors.value_in_unit(unit.nanometer)])
    positions = np.array(inpcrd.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    return _case(prmtop.topology, system, positions, box, selection)


def _gromacs(stem: str) -> Case:
    gro = app.GromacsGroFile(str(shared_data(f"{stem}.gro")))
    top = app.GromacsTopFile(
        str(shared_data(f"{stem}.top")),
        periodicBoxVectors=gro.getPeriodicBoxVectors(),
        includeDir=str(shared_data("amber99sb-ildn")),
        defines={"HEAVY_H": ""},
    )
    system = top.createSystem(
        nonbondedMethod=app.PME, nonbondedCutoff=1.0 * unit.nanometer, constraints=app.HBonds
    )
    vectors = gro.getPeriodicBoxVectors().value_in_unit(unit.nanometer)
    positions = np.array(gro.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    return _case(
        top.topology, system, positions, np.array([list(v) for v in vectors]), "resname LIG"
    )


def _case(topology, system, positions, box, selection) -> Case:
    return Case(topology, system, positions, box, select_atoms(topology, selection))

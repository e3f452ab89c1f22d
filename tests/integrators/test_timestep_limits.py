"""The longest time step that a hybrid system allows."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from openmm import app, unit

import nnpmm
from nnpmm import structures
from nnpmm.coupling import Mechanical
from nnpmm.integrators import (
    apply_hydrogen_mass,
    longest_timestep,
    region_limit,
    region_motion,
    scale_masses,
    surroundings_limit,
)

CARBON, HYDROGEN, OXYGEN = (app.Element.getBySymbol(symbol) for symbol in "CHO")


def make(mass=1.008, *, constrained=True, water=False):
    """A C-H pair, and optionally a rigid water with hydrogens of 1 amu."""
    system, topology = openmm.System(), app.Topology()
    chain = topology.addChain()
    pair = topology.addResidue("CH", chain)
    for element, heavy in ((CARBON, 12.0), (HYDROGEN, mass)):
        topology.addAtom(element.symbol, element, pair)
        system.addParticle(heavy)
    if constrained:
        system.addConstraint(0, 1, 0.11)
    if water:
        residue = topology.addResidue("HOH", chain)
        for element, weight in ((OXYGEN, 16.0), (HYDROGEN, 1.008), (HYDROGEN, 1.008)):
            topology.addAtom(element.symbol, element, residue)
            system.addParticle(weight)
        for i, j in ((2, 3), (2, 4), (3, 4)):
            system.addConstraint(i, j, 0.1)
    return system, topology


@pytest.mark.parametrize(
    ("made", "region", "limit_fs", "impulse_fs", "cause"),
    [
        (make(constrained=False), (), 1, 2, "free hydrogen"),
        (make(2.0, constrained=False), (), 1, 2, "free hydrogen"),
        (make(3.0, constrained=False), (), 2, 3, "free hydrogen"),
        (make(6.0, constrained=False), (), 2, 3, "free hydrogen"),
        (make(12.1, constrained=False), (), 2, 3, "free hydrogen"),
        (make(), (), 2, 3, "light hydrogen"),
        (make(3.0), (), 4, 4, "bonded terms"),
        (make(6.0, water=True), (), 4, 4, "bonded terms"),
        (make(constrained=False, water=True), (0, 1), 5, 5, "not validated"),
    ],
)
def test_surroundings_are_limited_by_their_hydrogens(made, region, limit_fs, impulse_fs, cause):
    """Hydrogens are recognised by their element, not their mass."""
    found = surroundings_limit(*made, region)
    assert (1000 * found.longest, found.cause) == (pytest.approx(limit_fs), cause)
    slow = surroundings_limit(*made, region, impulse=True)
    assert 1000 * slow.longest == pytest.approx(impulse_fs)


@pytest.mark.parametrize(
    ("name", "force", "parameters", "limit_fs"),
    [
        ("region connectivity", openmm.HarmonicBondForce(), (0, 1, 0.1, 0.0), 5),
        ("bonds", openmm.HarmonicBondForce(), (0, 1, 0.1, 0.0), 4),
        ("angles", openmm.HarmonicAngleForce(), (0, 1, 2, 2.0, 100.0), 4),
    ],
)
def test_bonded_terms_of_the_force_field_limit_the_step(name, force, parameters, limit_fs):
    system, topology = make(water=True)
    add = force.addBond if isinstance(force, openmm.HarmonicBondForce) else force.addAngle
    add(*parameters)
    force.setName(name)
    system.addForce(force)
    assert 1000 * surroundings_limit(system, topology, (0, 1)).longest == pytest.approx(limit_fs)


class Nitrile:
    """Acetonitrile in vacuum with hydrogens of 3 amu, its C-H bonds constrained or free."""

    def __init__(self, constraints):
        molecule = structures.molecule_from_smiles("CC#N", seed=1)
        self.topology, self.positions = structures.to_openmm_topology(molecule)
        self.region = range(molecule.GetNumAtoms())
        mm = structures.create_ligand_system(molecule, structures.parameterize(molecule))
        for a, b in self.topology.bonds():
            if HYDROGEN in (a.element, b.element):
                mm.addConstraint(a.index, b.index, 0.109)
        self.model = nnpmm.load_model("ANI-1x", 0)
        self.system = nnpmm.create_hybrid_system(
            mm, self.topology, self.region, self.model, coupling=Mechanical(constraints=constraints)
        )
        apply_hydrogen_mass(self.system, self.topology, 3.0)

    def motion(self):
        return region_motion(
            self.system, self.topology, self.region, self.model, self.positions * unit.nanometer
        )

    def survives(self, timestep, length=8.0):
        """Whether the C#N bond is stable in Langevin dynamics at 300 K for some ps."""
        integrator = openmm.LangevinMiddleIntegrator(300, 1, timestep)
        integrator.setRandomNumberSeed(1)
        reference = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(self.system, integrator, reference)
        context.setPositions(self.positions)
        context.applyConstraints(1e-6)
        context.setVelocitiesToTemperature(300, 1)
        for _ in range(round(length / timestep / 20)):
            try:
                integrator.step(20)
            except openmm.OpenMMException:
                return False
            x = context.getState(positions=True).getPositions(asNumpy=True)._value
            if not sum((x[1] - x[2]) ** 2) ** 0.5 < 0.18:
                return False
        return True


def test_nitrile_needs_larger_masses_for_4_fs():
    """The limit is a fifth of the period, and separates unstable from stable runs.

    With its own masses acetonitrile has 3.4 steps per period at 4 fs.
    """
    case = Nitrile("keep")
    motion = case.motion()
    assert not motion.free_hydrogens
    assert {label.split(":")[1] for label in motion.atoms} == {"C2", "N1"}
    limit = region_limit(motion)
    assert limit.longest == pytest.approx(motion.vibration.period / 5)
    assert 0.0025 < limit.longest < 0.003
    assert "N1" in limit.reason and "5 steps per period" in limit.reason
    assert not case.survives(0.004)
    factor = motion.mass_factor(0.004, 5)
    assert factor == pytest.approx((0.020 / motion.vibration.period) ** 2, abs=0.011)
    scale_masses(case.system, case.region, factor)
    assert case.survives(0.004)
    found = longest_timestep(case.system, case.topology, case.region, case.model, case.positions)
    assert 0.004 <= found.longest < 0.00402
    assert case.motion().vibration.period == pytest.approx(
        motion.scaled(factor).vibration.period, rel=2e-3
    )


@pytest.mark.parametrize("factor", [1, 2])
def test_free_hydrogens_need_seven_steps_per_period(factor):
    """Hydrogens of 6 amu, from doubled masses, still count as free hydrogens."""
    case = Nitrile("none")
    scale_masses(case.system, case.region, factor)
    motion = case.motion()
    assert motion.free_hydrogens
    assert region_limit(motion).longest == pytest.approx(motion.vibration.period / 7)
    assert region_limit(motion).longest < 0.003
    assert region_limit(motion, impulse=True).longest == pytest.approx(motion.vibration.period / 5)


@pytest.mark.parametrize("in_topology", [True, False])
def test_region_split_by_the_boundary_is_made_whole(in_topology):
    case = Nitrile("keep")
    period = case.motion().vibration.period
    box = 3 * np.eye(3)
    if in_topology:
        case.topology.setPeriodicBoxVectors(box)
    else:
        case.system.setDefaultPeriodicBoxVectors(*box)
        periodic = openmm.CustomNonbondedForce("0")
        periodic.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
        for _ in case.region:
            periodic.addParticle()
        case.system.addForce(periodic)
    case.positions[1] += box[0] - box[2]
    assert case.motion().vibration.period == pytest.approx(period, rel=1e-3)


def test_frozen_atoms_do_not_vibrate():
    """OpenMM fixes atoms of zero mass, which is equivalent to a very large mass."""
    case = Nitrile("keep")
    periods = []
    for mass in (0.0, 1e6):
        case.system.setParticleMass(2, mass)
        periods.append(case.motion().vibration.period)
    assert periods[0] == pytest.approx(periods[1], rel=1e-3)


def test_short_step_needs_no_mass_factor():
    assert Nitrile("keep").motion().mass_factor(0.0015, 7) == 1


def test_frozen_hydrogens_do_not_limit_the_step():
    system, topology = make(constrained=False)
    system.setParticleMass(1, 0.0)
    assert surroundings_limit(system, topology).cause == "not validated"

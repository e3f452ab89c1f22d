"""Regions that cut covalent bonds: energy, forces at the boundary, refusals."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import openmm
import pytest
from cases import compute_in, energy_and_forces, hsp90_complex
from contracts import assert_forces_match_energy, assert_no_net_force_or_torque
from force_fields import amber14, charmm36_vacuum
from mm_reference import internal_energy
from openmm import app, unit
from toy import TOY

from nnpmm import create_hybrid_system, load_model, select_atoms
from nnpmm.core.errors import ModelError, RegionError
from nnpmm.coupling import (
    LAMBDA_NNP,
    Interpolated,
    LinkAtoms,
    Mechanical,
    MultipleTimeSteps,
    Replaced,
    Role,
    role_of,
)
from nnpmm.coupling.link_atoms import CappedEvaluator

COUPLING = Mechanical(boundary=LinkAtoms())
DISTANCE = 0.109  # nm
# Names of region atoms of alanine dipeptide by residue, and the cut bonds.
REGIONS = {
    "side chain": ({"ALA": "CB HB1 HB2 HB3"}, [("ALA", "CB", "ALA", "CA")]),
    "residue": (
        {"ACE": "C O", "ALA": "N H CA HA CB HB1 HB2 HB3"},
        [("ACE", "C", "ACE", "CH3"), ("ALA", "CA", "ALA", "C")],
    ),
}


@pytest.fixture(scope="module")
def case():
    return amber14()


@pytest.fixture(scope="module", params=REGIONS)
def cut(request, case):
    """Region atoms, and the cut bonds as (inside, outside)."""
    names, bonds = REGIONS[request.param]
    index = {(a.residue.name, a.name): a.index for a in case.topology.atoms()}
    region = sorted(index[key, name] for key, text in names.items() for name in text.split())
    return np.array(region), [(index[a, b], index[c, d]) for a, b, c, d in bonds]


def coupled(case, region, model=TOY, **choices):
    coupling = Mechanical(boundary=LinkAtoms(), **choices)
    return create_hybrid_system(case.system, case.topology, region, model, coupling=coupling)


def capped(case, region, bonds):
    """The network's molecule: atomic numbers and positions with hydrogens on the cut bonds."""
    atoms = list(case.topology.atoms())
    cut = np.array([case.positions[j] - case.positions[i] for i, j in bonds])
    links = case.positions[[i for i, _ in bonds]]
    links = links + DISTANCE * cut / np.linalg.norm(cut, axis=1)[:, None]
    numbers = [atoms[i].element.atomic_number for i in region] + [1] * len(bonds)
    return np.array(numbers), np.concatenate([case.positions[region], links])


def test_energy_is_mm_minus_internal_plus_capped_network(case, cut):
    region, bonds = cut
    numbers, positions = capped(case, region, bonds)
    expected = case.state(case.system)[0]
    expected += TOY.bind(numbers)(positions)[0]
    expected -= internal_energy(case.system, region, case.positions, [j for _, j in bonds])
    found = case.state(coupled(case, region))[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.01)


def test_forces_are_the_gradient(case, cut):
    """On atoms of the region, the neighbours outside, and one more atom."""
    region, bonds = cut
    context = case.context(coupled(case, region))
    compute = compute_in(context)
    atoms = np.array([*[i for i, _ in bonds], *[j for _, j in bonds], 0, region[-1]])
    assert_forces_match_energy(compute, case.positions, atoms=atoms, step=2e-5, atol=0.5)


def test_network_forces_on_neighbours_have_no_net_force_or_torque(case, cut):
    region, bonds = cut
    system = coupled(case, region)
    (force,) = [f for f in system.getForces() if role_of(f) is Role.NETWORK]
    shaken = case.positions + np.random.default_rng(1).normal(0, 0.005, case.positions.shape)
    forces = case.state(system, shaken, groups={force.getForceGroup()})[1]
    outside = [j for _, j in bonds]
    assert (np.linalg.norm(forces[outside], axis=1) > 1).all()
    assert_no_net_force_or_torque(forces, shaken, atol=1e-6)
    everything_else = np.setdiff1d(np.arange(len(forces)), [*region, *outside])
    np.testing.assert_array_equal(forces[everything_else], 0)


def test_region_split_by_the_boundary(case, cut):
    region, bonds = cut
    system = coupled(case, region)
    split = case.positions.copy()
    split[region[::2]] += case.box[0]
    split[[j for _, j in bonds]] -= case.box[1]
    # Bonded terms of the force field do not use periodic images, so test only the network's force.
    groups = {f.getForceGroup() for f in system.getForces() if role_of(f) is Role.NETWORK}
    found, expected = (case.state(system, x, groups=groups) for x in (split, case.positions))
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-6)


def test_neighbours_are_made_whole_along_the_cut_bonds(case, cut):
    """With a cutoff, a region may be wider than half the box. Minimum images would be wrong."""
    region, _ = cut
    mm = copy.deepcopy(case.system)
    (nonbonded,) = [f for f in mm.getForces() if isinstance(f, openmm.NonbondedForce)]
    nonbonded.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    nonbonded.setUseSwitchingFunction(False)
    nonbonded.setCutoffDistance(0.15)
    system = create_hybrid_system(mm, case.topology, region, TOY, coupling=COUPLING)
    groups = {f.getForceGroup() for f in system.getForces() if role_of(f) is Role.NETWORK}
    context = case.context(system)
    expected = energy_and_forces(context, groups)
    context.setPeriodicBoxVectors(*np.diag([0.33, 0.33, 0.33]))
    found = energy_and_forces(context, groups)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-6)


def test_energy_equals_that_of_openmm_ml(case, cut):
    """openmm-ml removes the same terms, if its link atoms have the same distances."""
    openmmml = pytest.importorskip("openmmml")
    region, bonds = cut
    choices = {"members": [0], "precision": "double"}
    mixed = openmmml.MLPotential("nnpmm-ani1x", **choices).createMixedSystem(
        case.topology,
        case.system,
        region.tolist(),
        linkAtomDistances=[(i, j, DISTANCE * unit.nanometer) for i, j in bonds],
    )
    positions = np.concatenate([case.positions, np.zeros((len(bonds), 3))])
    context = case.context(mixed, positions)
    context.computeVirtualSites()
    found = case.state(coupled(case, region, load_model("ANI-1x", **choices)))
    energy, forces = energy_and_forces(context)
    np.testing.assert_allclose(found[0], energy, rtol=0, atol=0.01)
    np.testing.assert_allclose(found[1], forces[: len(case.positions)], rtol=0, atol=0.05)


def test_charges_are_kept(case, cut):
    system = coupled(case, cut[0])

    def nonbonded(system):
        (force,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
        return force

    for i in range(system.getNumParticles()):
        found, expected = (nonbonded(s).getParticleParameters(i) for s in (system, case.system))
        assert found == expected


def terms_of(system, kind):
    """Atoms of all terms of a force class, except bonds with a force constant of zero."""
    found = []
    for force in system.getForces():
        if isinstance(force, kind) and kind is openmm.HarmonicBondForce:
            bonds = [force.getBondParameters(k) for k in range(force.getNumBonds())]
            found += [(i, j) for i, j, _, k in bonds if k._value]
        elif isinstance(force, kind) and kind is openmm.HarmonicAngleForce:
            found += [tuple(force.getAngleParameters(k)[:3]) for k in range(force.getNumAngles())]
        elif isinstance(force, kind):
            count = force.getNumTorsions()
            found += [tuple(force.getTorsionParameters(k)[:4]) for k in range(count)]
    return sorted(found)


@pytest.mark.parametrize(
    "kind", [openmm.HarmonicBondForce, openmm.HarmonicAngleForce, openmm.PeriodicTorsionForce]
)
def test_terms_across_the_boundary_are_removed_except_bonds(case, cut, kind):
    """The network replaces angles and torsions with one neighbour outside, but not bonds."""
    region, bonds = cut
    stay = set(region.tolist()) | (
        set() if kind is openmm.HarmonicBondForce else {j for _, j in bonds}
    )
    expected = [term for term in terms_of(case.system, kind) if not stay.issuperset(term)]
    assert terms_of(coupled(case, region), kind) == expected
    members = set(region.tolist())
    assert any(members.intersection(term) for term in expected)  # some of them cross the boundary


def test_network_exerts_no_force_along_the_cut_bond(case, cut):
    region, bonds = cut
    system = coupled(case, region)
    groups = {f.getForceGroup() for f in system.getForces() if role_of(f) is Role.NETWORK}
    forces = case.state(system, groups=groups)[1]
    stretched = case.positions.copy()
    for i, j in bonds:
        bond = case.positions[j] - case.positions[i]
        assert abs(forces[j] @ bond) < 1e-9
        stretched[j] += 0.1 * bond
    found, expected = (case.state(system, x, groups=groups)[0] for x in (stretched, case.positions))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_inner_potential_does_not_change_the_energy(case, cut):
    region, _ = cut
    found, expected = (
        case.state(coupled(case, region, inside=inside))
        for inside in (MultipleTimeSteps(), Replaced())
    )
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=0.01)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=0.05)


def test_lambda_zero_is_the_force_field(case, cut):
    region, _ = cut
    context = case.context(coupled(case, region, inside=Interpolated()))
    context.setParameter(LAMBDA_NNP, 0.0)
    found, expected = energy_and_forces(context), case.state(case.system)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=0.01)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=0.3)


def test_charmm36_terms_across_the_boundary_are_counted_once():
    """At lambda 0, CMAP and custom 1-4 terms across the boundary are complete."""
    case = charmm36_vacuum()
    methyl = [a.index for a in case.topology.atoms() if a.name[:2] in ("CB", "HB")][:4]
    context = case.context(coupled(case, np.array(methyl), inside=Interpolated()))
    context.setParameter(LAMBDA_NNP, 0.0)
    expected = case.state(case.system)[0]
    np.testing.assert_allclose(energy_and_forces(context)[0], expected, rtol=0, atol=0.01)
    context.setParameter(LAMBDA_NNP, 1.0)
    alpha = next(a.index for a in case.topology.atoms() if a.name == "CA8")
    left, before = (
        [set(bond) for bond in terms_of(s, openmm.HarmonicBondForce) if set(methyl) & set(bond)]
        for s in (context.getSystem(), case.system)
    )
    assert {methyl[1], alpha} in before  # Urey-Bradley
    assert [bond for bond in left if alpha in bond] == [{methyl[0], alpha}]


def test_network_evaluates_the_capped_side_chain(case):
    """The capped side chain of alanine is methane."""
    _, bonds = REGIONS["side chain"]
    region = select_atoms(case.topology, "resname ALA and name CB HB1 HB2 HB3")
    index = {(a.residue.name, a.name): a.index for a in case.topology.atoms()}
    pairs = [(index[a, b], index[c, d]) for a, b, c, d in bonds]
    model = load_model("ANI-1x", 0, backend="reference", precision="double")
    system = coupled(case, region, model)
    (force,) = [f for f in system.getForces() if role_of(f) is Role.NETWORK]
    numbers, positions = capped(case, region, pairs)
    assert sorted(numbers) == [1, 1, 1, 1, 6]
    expected = model.bind(numbers)(positions)[0]
    found = case.state(system, groups={force.getForceGroup()})[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_capped_evaluator_implements_the_protocol():
    """Evaluation, batch and pickle; two caps on one atom of the region."""
    numbers = np.array([6, 6, 1, 1])
    ends = np.array([0, 0]), np.array([2, 3]), np.array([7, 16])
    evaluator = CappedEvaluator(TOY.bind(numbers), *ends, np.array([0.109, 0.12]))
    np.testing.assert_array_equal(evaluator.atomic_numbers, [6, 6, 7, 16])
    positions = np.array([[0, 0, 0], [0.15, 0, 0], [-0.06, 0.14, 0.02], [-0.05, -0.08, 0.12]])
    assert_forces_match_energy(evaluator, positions, atol=1e-3)
    energy, forces = evaluator(positions)
    whole = evaluator.evaluate(positions)
    assert whole.energy == energy == evaluator.member_energies(positions)[0]
    batch = evaluator.batch(np.stack([positions, 1.1 * positions]))
    np.testing.assert_allclose(batch.forces[0], forces, rtol=0, atol=1e-9)
    assert pickle.loads(pickle.dumps(evaluator))(positions)[0] == energy


@pytest.mark.parametrize(
    ("selection", "bond", "words"),
    [
        ("resname ACE", "ACE1:C-ALA2:N", "found an amide bond"),
        ("resname NME", "NME3:N-ALA2:C", "found an amide bond"),
        ("resname ALA and name HB1", "ALA2:HB1-ALA2:CB", "found a C-H bond"),
        ("resname ACE or (resname ALA and name N H)", "ALA2:N-ALA2:CA", "found a C-N bond"),
        ("resname ALA and name O", "ALA2:O-ALA2:C", "found a C-O bond of unknown order"),
    ],
)
def test_bonds_other_than_carbon_carbon_are_refused_by_default(case, selection, bond, words):
    region = select_atoms(case.topology, selection)
    with pytest.raises(RegionError, match=rf"cannot cap 1 .*\({bond}\): {words}.*, allowed: "):
        coupled(case, region)


def four_carbons(*orders):
    """Topology and system of a chain C0 to C3, its bonds of the given orders."""
    topology, system, nonbonded = app.Topology(), openmm.System(), openmm.NonbondedForce()
    residue = topology.addResidue("BUT", topology.addChain())
    carbon = app.Element.getBySymbol("C")
    atoms = [topology.addAtom(f"C{i}", carbon, residue) for i in range(4)]
    for _ in atoms:
        system.addParticle(12.0)
        nonbonded.addParticle(0.0, 0.3, 0.4)
    for i, order in enumerate(orders):
        topology.addBond(atoms[i], atoms[i + 1], order)
    system.addForce(nonbonded)
    return system, topology


def test_bond_of_unknown_order_between_planar_carbons_is_refused():
    """Only its bond order shows that the middle bond of butadiene is single."""
    unknown = four_carbons(None, None, None)
    with pytest.raises(RegionError, match=r"cannot cap 1 .*BUT1:C1-BUT1:C2"):
        create_hybrid_system(*unknown, [0, 1], TOY, coupling=COUPLING)
    ordered = four_carbons(app.Double, app.Single, app.Double)
    create_hybrid_system(*ordered, [0, 1], TOY, coupling=COUPLING)
    with pytest.raises(RegionError, match=r"cannot cap 1 .*BUT1:C0-BUT1:C1"):
        create_hybrid_system(*ordered, [0], TOY, coupling=COUPLING)


def test_two_cut_bonds_at_one_neighbour_are_refused():
    """A chain without its second carbon: the two link atoms would overlap."""
    chain = four_carbons(app.Single, app.Single, app.Single)
    message = r"2 of the cut bonds \(BUT1:C0-BUT1:C1, BUT1:C2-BUT1:C1\) end at a neighbour"
    with pytest.raises(RegionError, match=message):
        create_hybrid_system(*chain, [0, 2, 3], TOY, coupling=COUPLING)
    create_hybrid_system(*chain, [2, 3], TOY, coupling=COUPLING)


def test_cut_bond_missing_in_the_topology_is_refused(case, cut):
    region, bonds = cut
    bare = app.Topology()
    chain = bare.addChain()
    for residue in case.topology.residues():
        copied = bare.addResidue(residue.name, chain)
        for atom in residue.atoms():
            bare.addAtom(atom.name, atom.element, copied)
    message = rf"cannot cap {len(bonds)} of the cut bonds .*or give a topology with all bonds"
    with pytest.raises(RegionError, match=message):
        create_hybrid_system(case.system, bare, region, TOY, coupling=COUPLING)


def test_cut_bonds_without_link_atoms_are_refused(case, cut):
    region, bonds = cut
    with pytest.raises(RegionError, match=rf"cuts {len(bonds)} covalent bonds? .*LinkAtoms"):
        create_hybrid_system(case.system, case.topology, region, TOY)


def test_fractional_region_charge_is_refused(case):
    region = select_atoms(case.topology, "resname ALA and name CB HB1 HB2 HB3")
    system = copy.deepcopy(case.system)
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
    q, sigma, epsilon = force.getParticleParameters(int(region[0]))
    force.setParticleParameters(int(region[0]), q._value + 0.4, sigma, epsilon)
    with pytest.raises(RegionError, match=r"not to an integer within 0\.2 e"):
        create_hybrid_system(system, case.topology, region, TOY, coupling=COUPLING)


def test_other_transports_are_refused(case, cut):
    coupling = Mechanical(transport="torch", boundary=LinkAtoms())
    with pytest.raises(ModelError, match=r"found a CappedEvaluator, transport='torch' needs"):
        create_hybrid_system(case.system, case.topology, cut[0], TOY, coupling=coupling)


def test_region_at_the_boundary_of_another_region_is_refused(case):
    side_chain = select_atoms(case.topology, "resname ALA and name CB HB1 HB2 HB3")
    first = coupled(case, side_chain)
    with pytest.raises(RegionError, match="or end a bond that it cuts"):
        create_hybrid_system(first, case.topology, [8, 9], TOY, coupling=COUPLING)


@pytest.mark.data
@pytest.mark.slow
def test_forces_at_the_boundary_of_an_hsp90_side_chain():
    """The side chain of leucine: the network's force on CA matches finite differences."""
    case = hsp90_complex()
    leucine = next(r for r in case.topology.residues() if r.name == "LEU")
    backbone = {"N", "H", "CA", "HA", "C", "O"}
    region = np.array([a.index for a in leucine.atoms() if a.name not in backbone])
    alpha = next(a.index for a in leucine.atoms() if a.name == "CA")
    model = load_model("ANI-1x", 0, backend="reference", precision="double")
    system = coupled(case, region, model)
    (force,) = [f for f in system.getForces() if role_of(f) is Role.NETWORK]
    assert sorted(force.getParticles()) == sorted([*region, alpha])
    context, groups = case.context(system), {force.getForceGroup()}
    compute = compute_in(context, groups)
    assert_forces_match_energy(
        compute, case.positions, atoms=np.array([alpha]), step=1e-4, atol=0.5
    )

"""Transfer of two molecules: energies, forces, and where the network is evaluated."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from cases import energy_and_forces
from toy import TOY

from nnpmm import create_hybrid_system
from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError
from nnpmm.coupling import (
    Electrostatic,
    Mechanical,
    MultipleTimeSteps,
    Replaced,
    Role,
    Subtractive,
    forces_by_role,
)
from nnpmm.freeenergy.relative import (
    TransferState,
    create_transfer_system,
    transfer_positions,
    transfer_schedule,
)
from nnpmm.sampling import StateEnergies, separate_groups
from nnpmm.structures import molecule_from_smiles, parameterize, solvate

ENERGY_TOLERANCE, FORCE_TOLERANCE = 1e-3, 1e-2  # kJ/mol, kJ/mol/nm
FAR = np.array([0.9, 0.2, -0.2])  # nm
MECHANICAL = Mechanical(constraints="keep")


def molecule(smiles, shift=(0, 0, 0)):
    """A molecule with its centre moved, and its parameters."""
    found = molecule_from_smiles(smiles, seed=1)
    conformer = found.GetConformer()
    centre = conformer.GetPositions().mean(axis=0)
    for index, place in enumerate(conformer.GetPositions() - centre + 10 * np.asarray(shift)):
        conformer.SetAtomPosition(index, place.tolist())
    return found, parameterize(found)


class Pair:
    """Methanol and methylamine in one box of water, far from each other."""

    def __init__(self, water_model="tip3p", smiles=("CO", "CN")):
        second, parameters = molecule(smiles[1], FAR)
        mm = solvate(
            *molecule(smiles[0]),
            second=(second, parameters, "SEC"),
            padding=0.3,
            nonbonded_cutoff=0.6,
            water_model=water_model,
            seed=1,
        )
        self.system, self.topology, self.box = mm.system, mm.topology, np.array(mm.box_vectors)
        self.positions = np.array(mm.positions)
        self.first = mm.ligand_atoms
        self.second = self.first[-1] + 1 + np.arange(second.GetNumAtoms())
        self.anchors = (int(self.first[1]), int(self.second[0]))

    def hybrid(self, coupling=MECHANICAL):
        system = self.system
        for region in (self.first, self.second):
            system = create_hybrid_system(system, self.topology, region, TOY, coupling=coupling)
        return system

    def transfer(self, system, **options):
        return create_transfer_system(system, self.first, self.second, self.anchors, **options)

    def swapped(self):
        return transfer_positions(self.positions, self.first, self.second, self.anchors)

    def context(self, system, positions=None, platform="Reference"):
        context = openmm.Context(
            system,
            openmm.VerletIntegrator(0.001),
            openmm.Platform.getPlatformByName(platform),
        )
        context.setPeriodicBoxVectors(*self.box)
        context.setPositions(self.positions if positions is None else positions)
        context.computeVirtualSites()
        return context


@pytest.fixture(scope="module")
def pair():
    return Pair()


@pytest.fixture(scope="module", params=["force field", "network"])
def whole(request, pair):
    return pair.system if request.param == "force field" else pair.hybrid()


@pytest.fixture(scope="module")
def context(pair, whole):
    return pair.context(pair.transfer(whole))


def at(context, state, positions=None):
    for name, value in state.parameters.items():
        context.setParameter(name, value)
    if positions is not None:
        context.setPositions(positions)
    return energy_and_forces(context)


def assert_transferred(pair, context, whole, positions=None):
    """Compare the last state with a system moved by hand; return the forces of both."""
    energy, forces = energy_and_forces(pair.context(whole, pair.swapped()))
    found, found_forces = at(context, AFTER, positions)
    assert found == pytest.approx(energy, abs=ENERGY_TOLERANCE, rel=0)
    others = np.delete(np.arange(len(forces)), pair.anchors)
    np.testing.assert_allclose(found_forces[others], forces[others], atol=FORCE_TOLERANCE, rtol=0)
    return forces, found_forces


BEFORE, MIDDLE, AFTER = TransferState(1, 0, 0), TransferState(1, 0.5, 0.5), TransferState(-1, 0, 0)


def test_transfer_of_ions_with_equal_charges():
    """Counter-ions neutralise the box; there is no network."""
    ions = Pair(smiles=("C[NH3+]", "CC[NH3+]"))
    assert sum(residue.name == "CL" for residue in ions.topology.residues()) == 2
    context = ions.context(ions.transfer(ions.system))
    expected, forces = energy_and_forces(ions.context(ions.system, ions.swapped()))
    energy, found = at(context, AFTER)
    assert energy == pytest.approx(expected, abs=ENERGY_TOLERANCE, rel=0)
    rest = np.delete(np.arange(len(ions.positions)), [*ions.first, *ions.second])
    np.testing.assert_allclose(found[rest], forces[rest], atol=FORCE_TOLERANCE, rtol=0)


def test_first_state_equals_the_original_system(pair, whole, context):
    energy, forces = energy_and_forces(pair.context(whole))
    found, found_forces = at(context, BEFORE, pair.positions)
    assert found == pytest.approx(energy, abs=ENERGY_TOLERANCE, rel=0)
    np.testing.assert_allclose(found_forces, forces, atol=FORCE_TOLERANCE, rtol=0)


def test_last_state_equals_the_transferred_system(pair, whole, context):
    """Forces on all atoms except the anchors equal those of the transferred positions."""
    forces, found_forces = assert_transferred(pair, context, whole, pair.positions)
    np.testing.assert_allclose(
        found_forces.sum(axis=0), forces.sum(axis=0), atol=FORCE_TOLERANCE, rtol=0
    )


@pytest.mark.parametrize(
    "state", [TransferState(1, 0, 0.3), MIDDLE, TransferState(-1, 0.2, 0.5)], ids=str
)
def test_forces_match_finite_differences(pair, context, state):
    _, forces = at(context, state, pair.positions)
    step = 1e-5
    for atom in (*pair.anchors, int(pair.second[2]), int(pair.second[-1] + 1)):
        for axis in (0, 2):
            ends = []
            for sign in (1, -1):
                moved = pair.positions.copy()
                moved[atom, axis] += sign * step
                ends.append(at(context, state, moved)[0])
            slope = (ends[1] - ends[0]) / (2 * step)
            assert slope == pytest.approx(forces[atom, axis], abs=0.1, rel=1e-5)


def test_reverse_transfer_gives_the_same_energies(pair, context):
    """Each half of the ladder is the other one, seen from the transferred system."""
    swapped = pair.swapped()
    for forward in transfer_schedule()[::4]:
        backward = TransferState(-forward.direction, forward.lambda1, forward.lambda2)
        energy, _ = at(context, forward, pair.positions)
        found, _ = at(context, backward, swapped)
        assert found == pytest.approx(energy, abs=ENERGY_TOLERANCE, rel=0)


def test_middle_state_is_the_mean_of_both_end_states(pair, context):
    ends = [at(context, state, pair.positions)[0] for state in (BEFORE, AFTER)]
    if abs(ends[0] - ends[1]) > 400:
        pytest.fail("the energies are within the soft core: choose other positions")
    for direction in (1, -1):
        found, _ = at(context, TransferState(direction, 0.5, 0.5))
        assert found == pytest.approx(np.mean(ends), abs=ENERGY_TOLERANCE, rel=0)


def test_network_inside_and_outside_the_atm_force_agree(pair):
    """With ``network_inside`` it is evaluated before and after the transfer: the same energy."""
    hybrid = pair.hybrid()
    outside, inside = pair.transfer(hybrid), pair.transfer(hybrid, network_inside=True)
    assert len(forces_by_role(outside)[Role.NETWORK]) == 2
    assert Role.NETWORK not in forces_by_role(inside)
    contexts = pair.context(outside), pair.context(inside)
    for state in (BEFORE, TransferState(1, 0, 0.4), MIDDLE, AFTER):
        (energy, forces), (expected, expected_forces) = (at(c, state) for c in contexts)
        assert energy == pytest.approx(expected, abs=ENERGY_TOLERANCE, rel=0)
        np.testing.assert_allclose(forces, expected_forces, atol=FORCE_TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    "inside", [Replaced(), MultipleTimeSteps()], ids=lambda i: type(i).__name__
)
def test_transfer_of_subtractive_regions(pair, inside):
    """The subtracted energy depends only on the region, which moves as a rigid body."""
    hybrid = pair.hybrid(Subtractive(constraints="keep", inside=inside))
    outside, within = pair.transfer(hybrid), pair.transfer(hybrid, network_inside=True)
    for system in (outside, within):
        assert_transferred(pair, pair.context(system), hybrid)


def test_transfer_in_four_site_water():
    pair = Pair("tip4pew")
    assert_transferred(pair, pair.context(pair.transfer(pair.system)), pair.system)


def test_copied_system_has_the_same_energy(pair, context):
    system = copy.deepcopy(pair.transfer(pair.system))
    state = TransferState(-1, 0.1, 0.5)
    expected, _ = at(pair.context(pair.transfer(pair.system)), state)
    assert at(pair.context(system), state)[0] == pytest.approx(expected, abs=1e-6, rel=0)


def test_state_energies_match_single_evaluations(pair, whole):
    """This includes atoms that overlap after the transfer."""
    system = pair.transfer(whole)
    schedule = transfer_schedule()
    separate_groups(system, schedule[0].parameters)
    context = pair.context(system)
    energies = StateEnergies(context, [state.parameters for state in schedule])
    overlapping = pair.positions.copy()
    overlapping[pair.second] -= 0.55 * FAR  # into water, also after the transfer
    for positions in (pair.positions, overlapping):
        context.setPositions(positions)
        found = energies.evaluate()
        expected = [at(context, state)[0] for state in schedule]
        np.testing.assert_allclose(found, expected, atol=ENERGY_TOLERANCE, rtol=1e-9)
    assert np.ptp(found) > 1e4


def test_energies_of_overlapping_atoms_are_large_but_finite(pair):
    """A water oxygen is at the place of an atom after the transfer."""
    system = pair.transfer(pair.system)
    schedule = transfer_schedule()
    separate_groups(system, schedule[0].parameters)
    positions = pair.positions.copy()
    swapped = pair.swapped()
    positions[pair.second[-1] + 1] = swapped[pair.second[1]] + [1e-4, 0, 0]
    context = pair.context(system, positions, "CPU")
    found = StateEnergies(context, [state.parameters for state in schedule]).evaluate()
    assert np.isfinite(found).all()
    assert found[0] < 1e7
    assert found[-1] > 1e9
    assert found[5] - found[0] < 0.5 * 200 * 4.184 + 1  # lambda2 umax


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ("overlap", RegionError, "share 1 atoms"),
        ("anchor", RegionError, "an atom of the same molecule"),
        ("cut", RegionError, "select whole molecules"),
        ("charge", RegionError, r"charges of \+0.000 and \+1.000 e"),
        ("restraint", ForceFieldError, "CustomExternalForce"),
        ("network", RegionError, "one network on both molecules"),
        ("embedding", RegionError, "one that depends on one and other atoms"),
    ],
)
def test_unsupported_transfers_are_refused(pair, change, error, words):
    system, first, second, anchors = copy.deepcopy(pair.system), pair.first, pair.second, None
    if change == "overlap":
        second = np.append(second, first[0])
    elif change == "anchor":
        anchors = (int(second[0]), int(first[0]))
    elif change == "cut":
        second = second[:-1]
    elif change == "charge":
        force = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
        _, *rest = force.getParticleParameters(int(second[0]))
        charge = force.getParticleParameters(int(second[0]))[0]._value + 1
        force.setParticleParameters(int(second[0]), charge, *rest)
    elif change == "restraint":
        system.addForce(openmm.CustomExternalForce("x"))
    elif change == "network":
        both = np.concatenate([first, second])
        system = create_hybrid_system(system, pair.topology, both, TOY)
    elif change == "embedding":
        charges = np.zeros(len(first))
        coupling = Electrostatic(
            lambda positions: (charges, lambda weights: 0 * positions), cutoff=0.5
        )
        system = create_hybrid_system(system, pair.topology, first, TOY, coupling=coupling)
    with pytest.raises(error, match=words):
        create_transfer_system(system, first, second, anchors or pair.anchors)


def test_transfer_schedule():
    states = transfer_schedule()
    assert len(states) == 21
    progress = [state.progress for state in states]
    np.testing.assert_allclose(progress, np.linspace(0, 1, 21), atol=1e-12)
    for half in ([(0, 0)], [(0, 0.1), (0.5, 0.5)], [(0, 0), (0.3, 0.4), (0.2, 0.5), (0.5, 0.5)]):
        with pytest.raises(ConfigError, match=r"rise from \(0, 0\)"):
            transfer_schedule(half)
    with pytest.raises(ConfigError, match=r"lambda1 0\.5 and lambda2 0\.2"):
        TransferState(1, 0.5, 0.2)

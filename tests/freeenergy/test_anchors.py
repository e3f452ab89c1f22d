"""Anchors of a restraint from synthetic trajectories, and a ligand that leaves its site."""

from __future__ import annotations

import itertools

import numpy as np
import openmm
import pytest
from complexes import side_by_side
from scipy.spatial.transform import Rotation

from nnpmm.core.errors import ConfigError, RegionError, SimulationError
from nnpmm.freeenergy.binding.anchors import choose_anchors, describe_anchors, reference_values
from nnpmm.freeenergy.binding.boresch import (
    anchor_coordinates,
    bond_angle,
    least_angle,
    restraint_energies,
)
from nnpmm.freeenergy.binding.candidates import ligand_chains
from nnpmm.freeenergy.binding.site import Site, Solute
from nnpmm.structures import MMSystem

SPRINGS, TEMPERATURE = (4184.0, 83.68), 300.0
BOX = np.eye(3) * 3.0


def complex_of(receptor="c1ccccc1C=CCC", ligand="c1ccccc1", water=1) -> MMSystem:
    """A receptor with a ring and a tail, and a ligand 0.45 nm above it."""
    molecules = [("REC", receptor), ("LIG", ligand), *(water * [("HOH", "O")])]
    topology, positions = side_by_side(molecules, spacing=0.0)
    places = np.array(positions._value)
    groups = [[a.index for a in residue.atoms()] for residue in topology.residues()]
    for group, shift in zip(groups, ([0, 0, 0], [0.1, 0.1, 0.45], [1.0, 0, 0]), strict=False):
        places[group] += shift
    system = openmm.System()
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
    return MMSystem(topology, places, BOX, system, np.array(groups[1]))


def trajectory(mm, *, n_frames=60, floppy=(), seed=1, drift=0.0):
    """Frames of nearly rigid molecules, each frame rotated as a whole."""
    generator = np.random.default_rng(seed)
    frames = []
    for number in range(n_frames):
        places = mm.positions + generator.normal(0, 0.003, mm.positions.shape)
        places[list(floppy)] += generator.normal(0, 0.25, (len(floppy), 3))
        ligand = places[mm.ligand_atoms]
        centre = ligand.mean(axis=0)
        turn = Rotation.from_rotvec(generator.normal(0, 0.08, 3))
        shift = generator.normal(0, 0.02, 3) + np.array([0, 0, drift * number])
        places[mm.ligand_atoms] = turn.apply(ligand - centre) + centre + shift
        frames.append(Rotation.random(random_state=number).apply(places) + 1.5)
    return frames


def prepared(mm, frames):
    solute = Solute(mm)
    positions = np.array([solute.positions(frame, BOX) for frame in frames])
    return solute, Site.around(mm.topology, solute, positions[0], 0.5), positions


def anchors_of(mm, frames):
    return choose_anchors(
        mm.topology, *prepared(mm, frames), springs=SPRINGS, temperature=TEMPERATURE
    )


def test_anchors_are_rigid_and_not_collinear():
    mm = complex_of()
    names = [atom.element.symbol for atom in mm.topology.atoms()]
    found = anchors_of(mm, trajectory(mm, floppy=[1]))
    atoms = found.restraint.atoms
    assert len(set(atoms)) == 6
    assert set(atoms[3:]) <= set(mm.ligand_atoms.tolist())
    assert set(atoms[:3]) <= {0, 2, 3, 4, 5}  # the ring without the atom that moves
    assert {names[index] for index in atoms} == {"C"}
    least = least_angle(SPRINGS[1], TEMPERATURE)
    for angle in found.restraint.reference[1:3]:
        assert least < angle < np.pi - least
    assert (found.fluctuations[:3] < 0.1).all()
    text = " ".join(found.reasons)
    assert "ligand: 6 of 6 heavy atoms are ring atoms, in 12 chains of three" in text
    assert "receptor: 5 of 6 backbone and ring atoms fluctuate by less than 0.1 nm" in text
    assert "kT on average" in text


def test_choice_is_reproducible_and_independent_of_rotation():
    mm = complex_of()
    frames = trajectory(mm)
    first = anchors_of(mm, frames)
    assert anchors_of(mm, frames).restraint == first.restraint
    turned = [Rotation.random(random_state=99).apply(frame) for frame in frames]
    assert anchors_of(mm, turned).restraint.atoms == first.restraint.atoms
    moved = [frame.copy() for frame in frames]
    for frame in moved[::2]:
        frame[mm.ligand_atoms] += BOX[0] - BOX[2]  # another image
    again = anchors_of(mm, moved).restraint
    assert again.atoms == first.restraint.atoms
    np.testing.assert_allclose(again.reference, first.restraint.reference, atol=1e-9, rtol=0)


def test_chosen_anchors_minimise_the_restraint_energy():
    """The result of the search is compared with all sets of anchors."""
    mm = complex_of()
    frames = trajectory(mm, n_frames=25, seed=3)
    solute, site, positions = prepared(mm, frames)
    found = choose_anchors(
        mm.topology, solute, site, positions, springs=SPRINGS, temperature=TEMPERATURE
    )
    least = least_angle(SPRINGS[1], TEMPERATURE)
    chains, _ = ligand_chains(mm.topology, solute)
    energies = []
    for head, chain in itertools.product(itertools.permutations(range(6), 3), chains.tolist()):
        rows = [*head, *chain]
        places = positions[:, rows]
        one = restraint_of(mm, solute, site, positions, rows)
        bends = bond_angle(*np.moveaxis(places[:, :3], 1, 0))
        angles = np.array(one.reference[1:3])
        if (np.minimum(angles, np.pi - angles) > least).all() and (
            np.abs(bends - np.pi / 2) < np.pi / 3
        ).all():
            energies.append(restraint_energies(one, anchor_coordinates(places)).mean())
    own = restraint_energies(found.restraint, found.coordinates).mean()
    assert len(energies) > 200
    assert own == pytest.approx(min(energies), rel=1e-6)


def restraint_of(mm, solute, site, positions, rows):
    from nnpmm.freeenergy.binding.boresch import BoreschRestraint

    reference = reference_values(anchor_coordinates(positions[:, rows]), SPRINGS)
    return BoreschRestraint(
        atoms=tuple(int(solute.atoms[row]) for row in rows),
        reference=tuple(reference.tolist()),
        distance_constant=SPRINGS[0],
        angle_constant=SPRINGS[1],
    )


def test_reference_values_are_those_of_the_main_pose():
    """A torsion around 180 degrees, and one with another value in a quarter of the frames."""
    generator = np.random.default_rng(5)
    coordinates = np.tile([0.5, 1.5, 1.6, np.pi, 0.3, 1.0], (200, 1))
    coordinates += generator.normal(0, 0.02, coordinates.shape)
    coordinates[150:, 4] += 2.1
    coordinates[:, 3:] = np.angle(np.exp(1j * coordinates[:, 3:]))
    found = reference_values(coordinates, SPRINGS)
    assert abs(abs(found[3]) - np.pi) < 0.01
    assert found[4] == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(found[[0, 1, 2, 5]], [0.5, 1.5, 1.6, 1.0], atol=0.01, rtol=0)


def test_backbone_anchors_are_preferred_to_side_chains():
    mm = complex_of("NCC(=O)NCC(=O)NCC(=O)O")
    residue = next(mm.topology.residues())
    names = iter(["N", "CA", "C", "O"])
    for atom in list(residue.atoms())[:4]:
        atom.name = next(names)
    found = anchors_of(mm, trajectory(mm))
    assert set(found.restraint.atoms[:3]) == {0, 1, 2}


def test_collinear_given_anchors_are_refused():
    mm = complex_of()
    solute, site, frames = prepared(mm, trajectory(mm))
    ligand = solute.ligand[:3].tolist()
    frames[:, ligand[0]] = 2 * frames[:, 2] - frames[:, 1]  # on the line of b and a
    with pytest.raises(ConfigError, match=r"the anchors \[0, 1, 2, .* choose other anchors"):
        describe_anchors(
            *(mm.topology, solute, site, frames, (0, 1, 2, *ligand)),
            springs=SPRINGS,
            temperature=TEMPERATURE,
        )


def test_ligand_that_leaves_its_site_is_an_error():
    mm = complex_of()
    frames = trajectory(mm, drift=0.02)
    _, site, positions = prepared(mm, frames)
    moved = [site.displacement(frame) for frame in positions]
    assert moved[0] == pytest.approx(0, abs=1e-9)
    assert moved[20] == pytest.approx(0.4, abs=0.1)
    site.require_bound(positions[10], "in the run")
    with pytest.raises(SimulationError, match=r"left its site in the run: .* allowed: 0\.5 nm"):
        site.require_bound(positions[40], "in the run")


def test_systems_without_a_bound_ligand_are_refused():
    with pytest.raises(SimulationError, match="no three of them bonded in a chain"):
        mm = complex_of(ligand="CO")
        anchors_of(mm, trajectory(mm))
    mm = complex_of()
    everything = np.arange(len(mm.positions) - 3)
    alone = MMSystem(mm.topology, mm.positions, BOX, mm.system, everything)
    with pytest.raises(RegionError, match="found 0 atoms besides the ligand"):
        Solute(alone)
    with pytest.raises(RegionError, match="a ligand of 2 molecules"):
        Solute(
            MMSystem(mm.topology, mm.positions, BOX, mm.system, np.r_[mm.ligand_atoms[0], [0, 1]])
        )
    far = complex_of()
    far.positions[far.ligand_atoms] += [1.4, 1.4, 1.4]
    solute = Solute(far)
    with pytest.raises(SimulationError, match="so the ligand is not in a binding site"):
        Site.around(far.topology, solute, far.positions[solute.atoms], 0.5)

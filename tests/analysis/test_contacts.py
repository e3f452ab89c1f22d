"""Contacts and water, compared with mdtraj and with constructed geometries."""

from __future__ import annotations

import mdtraj
import numpy as np
import pytest
from complexes_of_peptides import BOX, create_complex, rows_of, save, source

from nnpmm.analysis.contacts import ContactFinder
from nnpmm.analysis.hydration import SHELL, count_water
from nnpmm.analysis.ligand import describe_ligand
from nnpmm.analysis.observing import observe
from nnpmm.analysis.subjects import find_subject


def finder_of(topology, positions, tmp_path):
    given = source(tmp_path / "none.dcd", topology)
    subject = find_subject(given, positions, None, "resname LIG")
    ligand = describe_ligand(subject, positions[subject.atoms])
    return subject, ligand, ContactFinder(subject, ligand)


def shaken(positions, count, scale=0.03, seed=1):
    noise = np.random.default_rng(seed).normal(scale=scale, size=(count, *positions.shape))
    return (positions + noise).astype(np.float32)


def in_place(topology, positions, residue, distance, ligand_atom, atom):
    """Move the ligand outwards until one of its atoms has this distance to an atom of a residue."""
    ligand = rows_of(topology, "LIG")
    target = positions[rows_of(topology, residue, [atom])[0]]
    own = positions[rows_of(topology, "LIG", [ligand_atom])[0]]
    others = positions[[a.index for a in topology.atoms() if a.residue.name != "LIG"]]
    away = target - others.mean(axis=0)
    away /= np.linalg.norm(away)
    moved = positions.copy()
    moved[ligand] += target + distance * away - own
    return moved


@pytest.mark.parametrize("smiles", ["CC(=O)Nc1ccc(O)cc1", "OCC(O)CO", "NC(N)=O"])
def test_hydrogen_bonds_are_those_of_mdtraj(smiles, tmp_path):
    topology, positions = create_complex("DKSN", smiles, n_water=0)
    ligand_rows = rows_of(topology, "LIG")
    seen = 0
    for seed in range(6):
        # Pushed into the peptide, so that there is something to find.
        moved = positions.copy()
        shift = np.random.default_rng(seed).normal(scale=0.25, size=3)
        moved[ligand_rows] += shift - [0, 0, 0.35]
        frames = shaken(moved, 10, seed=seed)
        _, _, finder = finder_of(topology, positions, tmp_path)
        found = finder.find(frames)
        traced = mdtraj.Topology.from_openmm(topology)
        ligand = set(ligand_rows.tolist())
        for frame in range(len(frames)):
            expected = set()
            bonds = mdtraj.baker_hubbard(
                mdtraj.Trajectory(frames[frame : frame + 1], traced),
                freq=0.0,
                exclude_water=False,
                periodic=False,
            )
            for donor, _, acceptor in bonds.tolist():
                if (donor in ligand) != (acceptor in ligand):
                    kind = "donates" if donor in ligand else "accepts"
                    other = acceptor if donor in ligand else donor
                    expected.add(
                        (traced.atom(other).residue.index, f"hydrogen bond, ligand {kind}")
                    )
            here = {key for key, v in found.items() if v[frame] and "hydrogen" in key[1]}
            assert here == expected
            seen += len(expected)
    assert seen > 5


def test_distances_are_those_of_every_pair(tmp_path):
    topology, positions = create_complex("AFDKLM", n_water=0)
    subject, ligand, finder = finder_of(topology, positions, tmp_path)
    moved = positions.copy()
    moved[rows_of(topology, "LIG")] -= [0, 0, 0.3]
    frames = shaken(moved, 8)
    found = finder.find(frames)
    heavy = subject.heavy
    checked = 0
    for index, residue in enumerate(subject.receptor):
        rows = residue.rows[heavy[residue.rows]]
        apart = np.linalg.norm(frames[:, rows, None] - frames[:, None, ligand.heavy], axis=-1)
        expected = (apart < 0.4).any(axis=(1, 2))
        np.testing.assert_array_equal(found.get((index, "contact"), expected & False), expected)
        checked += expected.sum()
    assert checked


@pytest.mark.parametrize(("distance", "there"), [(0.40, True), (0.50, False)])
def test_a_salt_bridge_is_an_ionic_contact(distance, there, tmp_path):
    topology, positions = create_complex("AK", "CC(=O)[O-]", n_water=0)
    moved = in_place(topology, positions, "LYS", distance, "O2", "NZ")
    _, ligand, finder = finder_of(topology, moved, tmp_path)
    assert list(ligand.charged.values()) == [-1, -1]  # either oxygen
    amine = moved[rows_of(topology, "LYS", ["NZ"])[0]]
    other = np.linalg.norm(moved[rows_of(topology, "LIG", ["O3"])[0]] - amine)
    found = finder.find(moved[None].astype(np.float32))
    assert any(kind == "ionic" for _, kind in found) == (there or other < 0.45)


def ring_over_ring(tmp_path, height, tilt=0.0, aside=0.0):
    """Benzene over the ring of a phenylalanine, rotated about an axis in its plane."""
    topology, positions = create_complex("AFA", "c1ccccc1", n_water=0)
    phe = rows_of(topology, "PHE", ["CG", "CD1", "CE1", "CZ", "CE2", "CD2"])
    ligand = rows_of(topology, "LIG")

    def frame_of(points):
        center = points.mean(axis=0)
        first, second, normal = np.linalg.svd(points - center)[2]
        return center, np.array([first, second, normal])

    center, axes = frame_of(positions[phe])
    own_center, own_axes = frame_of(positions[ligand[:6]])
    local = (positions[ligand] - own_center) @ own_axes.T
    angle = np.deg2rad(tilt)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    moved = positions.copy()
    moved[ligand] = center + (local @ turn.T + [aside, 0, height]) @ axes
    _, _, finder = finder_of(topology, positions, tmp_path)
    found = finder.find(moved[None].astype(np.float32))
    return any(kind == "pi stacking" for _, kind in found)


@pytest.mark.parametrize(
    ("height", "tilt", "aside", "there"),
    [
        (0.38, 0, 0.0, True),  # face to face
        (0.38, 0, 0.15, True),  # parallel displaced
        (0.38, 45, 0.0, False),  # neither one nor the other
        (0.50, 90, 0.0, True),  # T-shaped
        (0.60, 0, 0.0, False),  # too far
        (0.70, 90, 0.0, False),
        (0.10, 0, 0.50, False),  # side by side
    ],
)
def test_stacking_of_two_rings(height, tilt, aside, there, tmp_path):
    assert ring_over_ring(tmp_path, height, tilt, aside) is there


def test_water_is_counted_as_mdtraj_finds_it(tmp_path):
    topology, positions = create_complex(n_water=60)
    frames = shaken(positions, 6, scale=0.02)
    shifted = (frames + np.random.default_rng(1).uniform(0, BOX, (6, 1, 3))) % BOX
    path = save(tmp_path / "t.dcd", topology, shifted)
    found = observe(source(path, topology))
    loaded = mdtraj.load(str(path), top=mdtraj.Topology.from_openmm(topology))
    group = loaded.topology.select("resname LIG and not element H")
    oxygen = loaded.topology.select("water and element O")
    near = mdtraj.compute_neighbors(loaded, SHELL, group, haystack_indices=oxygen)
    np.testing.assert_array_equal(found.series["water"], [len(n) for n in near])
    assert found.series["water"].min() > 0


def test_water_without_a_box():
    group = np.zeros((1, 1, 3), dtype=np.float32)
    water = np.array([[[0.3, 0, 0], [0.36, 0, 0], [0, 0.2, 0.2]]], dtype=np.float32)
    assert count_water(group, water, None).tolist() == [2]

"""Deviations and fluctuations of trajectories with known answers, and against mdtraj and rdkit."""

from __future__ import annotations

import mdtraj
import numpy as np
import pytest
from complexes_of_peptides import BOX, LIGAND, create_complex, rows_of, save, source, tumbling
from rdkit import Chem
from rdkit.Chem import rdMolAlign
from scipy.spatial.transform import Rotation

from nnpmm.analysis.deviations import Fluctuations, best_rmsd, lowest_rmsd
from nnpmm.analysis.ligand import describe_ligand
from nnpmm.analysis.observing import Settings, observe
from nnpmm.analysis.subjects import find_subject
from nnpmm.structures import molecule_from_smiles, to_openmm_topology


@pytest.fixture(scope="module")
def system():
    return create_complex()


def test_a_rigid_system_deviates_nowhere_however_it_is_cut_and_turned(system, tmp_path):
    topology, positions = system
    path = save(tmp_path / "t.dcd", topology, tumbling(positions, 12))
    found = observe(source(path, topology, reference=positions))
    for name in ("backbone_rmsd", "ligand_rmsd", "ligand_internal_rmsd"):
        np.testing.assert_allclose(found.series[name], 0, atol=5e-4)  # single precision
    assert np.ptp(found.series["gyration_radius"]) < 1e-4
    assert np.ptp(found.torsions, axis=0).max() < 0.1
    np.testing.assert_array_equal(found.contacts, found.contacts[:1].repeat(12, axis=0))
    assert np.ptp(found.series["water"]) == 0


def test_a_ligand_that_moves_has_moved_by_so_much(system, tmp_path):
    topology, positions = system
    frames = positions[None].repeat(3, axis=0)
    ligand = rows_of(topology, "LIG")
    frames[1:, ligand] += np.array([[[0.0, 0.03, 0.04]], [[0.12, 0.0, 0.05]]])
    path = save(tmp_path / "t.dcd", topology, frames % BOX)
    found = observe(source(path, topology, reference=positions))
    np.testing.assert_allclose(found.series["ligand_rmsd"], [0, 0.05, 0.13], atol=1e-5)
    np.testing.assert_allclose(found.series["ligand_internal_rmsd"], 0, atol=5e-4)
    np.testing.assert_allclose(found.series["backbone_rmsd"], 0, atol=1e-5)


def test_without_a_structure_the_first_frame_is_the_reference(system, tmp_path):
    topology, positions = system
    noise = np.random.default_rng(1).normal(scale=0.02, size=(2, *positions.shape))
    path = save(tmp_path / "t.dcd", topology, positions + noise)
    found = observe(source(path, topology))
    assert found.series["backbone_rmsd"][0] == pytest.approx(0, abs=1e-5)
    assert found.series["backbone_rmsd"][1] > 0.01
    assert found.facts["reference"] == "the first frame"


def test_series_are_those_of_mdtraj(system, tmp_path):
    topology, positions = system
    noise = np.random.default_rng(2).normal(scale=0.01, size=(40, *positions.shape))
    path = save(tmp_path / "t.dcd", topology, positions + noise)
    found = observe(source(path, topology))
    loaded = mdtraj.load(str(path), top=mdtraj.Topology.from_openmm(topology))
    backbone = loaded.topology.select("protein and backbone")
    receptor = loaded.topology.select("protein")
    expected = mdtraj.rmsd(loaded, loaded, 0, atom_indices=backbone)
    np.testing.assert_allclose(found.series["backbone_rmsd"], expected, atol=5e-4)
    # From pairs, sum m_i m_j r_ij^2 / 2 M^2; mdtraj takes the centroid in place of the mass centre.
    masses = _masses(loaded, receptor)
    pairs = loaded.xyz[:, receptor, None] - loaded.xyz[:, None, receptor]
    square = np.einsum("i,j,fijx->f", masses, masses, pairs**2) / (2 * masses.sum() ** 2)
    np.testing.assert_allclose(found.series["gyration_radius"], np.sqrt(square), atol=1e-5)
    loaded.superpose(loaded, 0, atom_indices=backbone)
    ca = loaded.topology.select("protein and name CA")
    mean = loaded.xyz[:, ca].mean(axis=0)
    fluctuation = ((loaded.xyz[:, ca] - mean) ** 2).sum(axis=-1).mean(axis=0)
    np.testing.assert_allclose(found.square_fluctuation, fluctuation, rtol=1e-3)


def _masses(trajectory, rows):
    return np.array([trajectory.topology.atom(int(row)).element.mass for row in rows])


def test_fluctuations_in_blocks_are_those_of_all_frames():
    frames = np.random.default_rng(3).normal(size=(105, 4, 3)).astype(np.float32)
    blocks = Fluctuations(4, 105)
    for first in range(0, 105, 17):
        blocks.add(first, frames[first : first + 17])
    square, jackknife = blocks.squares()
    np.testing.assert_allclose(square, frames.var(axis=0).sum(axis=-1), rtol=1e-5)
    assert jackknife.shape == (10, 4)
    without_first = frames[11:].var(axis=0).sum(axis=-1)
    np.testing.assert_allclose(jackknife[0], without_first, rtol=1e-5)


def _ligand(smiles):
    """Return the chemistry of a single molecule, from its bonds and geometry, and its positions."""
    topology, positions = create_complex(sequence="A", smiles=smiles, n_water=0)
    given = source(save_nothing(), topology)
    subject = find_subject(given, positions, None, "resname LIG")
    return describe_ligand(subject, positions[subject.atoms]), positions


def save_nothing():
    from pathlib import Path

    return Path("unused.dcd")


def test_symmetric_atoms_may_be_exchanged():
    ligand, positions = _ligand(LIGAND)
    assert len(ligand.symmetries) == 2  # the ring may be turned over
    turned = positions.copy()
    turned[ligand.symmetries[0]] = positions[ligand.symmetries[1]]
    frames, reference = turned[None].astype(np.float32), positions.astype(np.float32)
    assert lowest_rmsd(frames, reference, ligand.symmetries)[0] == pytest.approx(0, abs=1e-6)
    assert best_rmsd(frames, reference, ligand.symmetries)[0] == pytest.approx(0, abs=5e-4)
    assert lowest_rmsd(frames, reference, ligand.symmetries[:1])[0] > 0.05


@pytest.mark.parametrize("smiles", [LIGAND, "OC(=O)c1ccccc1C(C)C", "[O-]C(=O)CC(F)(F)F"])
def test_symmetric_deviations_are_those_of_rdkit(smiles):
    ligand, positions = _ligand(smiles)
    noisy = positions + np.random.default_rng(4).normal(scale=0.05, size=positions.shape)
    molecule = molecule_from_smiles(smiles, seed=1)
    rows = np.arange(len(positions) - molecule.GetNumAtoms(), len(positions))
    pair = []
    for points in (positions, noisy):
        copy = Chem.Mol(molecule)
        for atom, point in enumerate(points[rows]):
            copy.GetConformer().SetAtomPosition(atom, (10 * point).tolist())
        pair.append(Chem.RemoveHs(copy))
    frames, reference = noisy[None].astype(np.float32), positions.astype(np.float32)
    in_place = rdMolAlign.CalcRMS(Chem.Mol(pair[1]), pair[0])
    np.testing.assert_allclose(
        10 * lowest_rmsd(frames, reference, ligand.symmetries)[0], in_place, atol=1e-4
    )
    fitted = rdMolAlign.GetBestRMS(Chem.Mol(pair[1]), pair[0])
    np.testing.assert_allclose(
        10 * best_rmsd(frames, reference, ligand.symmetries)[0], fitted, atol=2e-3
    )


@pytest.mark.parametrize("smiles", ["C", "CO", "CC#N"])
def test_small_ligands_are_aligned_without_messages(smiles, tmp_path, capfd):
    """mdtraj's superposition prints two lines a frame for fewer than three atoms."""
    topology, positions = to_openmm_topology(molecule_from_smiles(smiles))
    turns = Rotation.random(6, random_state=3).as_matrix()
    path = save(tmp_path / "t.dcd", topology, positions @ turns + 1.0)
    found = observe(source(path, topology), Settings(selection="all"))
    np.testing.assert_allclose(found.series["ligand_internal_rmsd"], 0, atol=5e-4)
    assert capfd.readouterr() == ("", "")


def test_the_backbone_alone_can_be_looked_at(system, tmp_path):
    topology, positions = system
    path = save(tmp_path / "t.dcd", topology, positions[None].repeat(2, axis=0))
    found = observe(source(path, topology), Settings(selection="none"))
    assert set(found.series) == {"backbone_rmsd", "gyration_radius"}
    assert not found.torsion_labels
    assert found.view is None

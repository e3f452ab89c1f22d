"""Reading: damaged files, files that do not match, memory, and the parts of a system."""

from __future__ import annotations

import tracemalloc

import mdtraj
import numpy as np
import pytest
from complexes_of_peptides import add_molecule, create_complex, rows_of, save, source
from conftest import shared_data
from openmm import app, unit

from nnpmm.analysis.frames import FrameReader
from nnpmm.analysis.observing import Settings, observe
from nnpmm.analysis.sources import Readings, read_source
from nnpmm.core.errors import InputFileError, SelectionError
from nnpmm.core.geometry import wrapped
from nnpmm.structures import molecule_from_smiles
from nnpmm.structures.readers import read_structure


@pytest.fixture(scope="module")
def system():
    return create_complex()


def frames_of(positions, count, seed=1):
    noise = np.random.default_rng(seed).normal(scale=0.01, size=(count, *positions.shape))
    return positions + noise


@pytest.mark.parametrize("suffix", ["dcd", "xtc", "trr", "nc", "h5"])
def test_formats_are_read_alike(system, suffix, tmp_path):
    topology, positions = system
    if suffix == "h5":
        pytest.importorskip("tables")
    frames = frames_of(positions, 5)
    path = save(tmp_path / f"t.{suffix}", topology, frames, times=np.arange(5) * 2.0)
    reader = FrameReader(source(path, topology, interval=None), np.arange(10, 20))
    chunks = list(reader)
    found = np.concatenate([chunk.positions for chunk in chunks])
    np.testing.assert_allclose(found, frames[:, 10:20], atol=1e-3 if suffix == "xtc" else 1e-5)
    assert reader.problem is None
    times = chunks[0].times
    if suffix == "dcd":
        assert times is None
    else:
        np.testing.assert_allclose(times, np.arange(5) * 2.0)


@pytest.mark.parametrize("suffix", ["dcd", "xtc"])
def test_a_cut_trajectory_is_read_up_to_the_cut(system, suffix, tmp_path):
    topology, positions = system
    path = save(tmp_path / f"t.{suffix}", topology, frames_of(positions, 20))
    content = path.read_bytes()
    path.write_bytes(content[: int(0.63 * len(content))])
    found = observe(source(path, topology))
    assert 8 <= found.n_frames <= 12
    assert found.facts["problem"]
    assert str(found.n_frames) in found.facts["problem"]


def test_frames_behind_one_without_numbers_are_left_out(system, tmp_path):
    topology, positions = system
    frames = frames_of(positions, 9)
    frames[6, 3] = np.nan
    path = save(tmp_path / "t.dcd", topology, frames)
    found = observe(source(path, topology))
    assert found.n_frames == 6
    assert "frame 6" in found.facts["problem"]


def test_a_damaged_middle_ends_the_trajectory(system, tmp_path):
    topology, positions = system
    path = save(tmp_path / "t.xtc", topology, frames_of(positions, 20))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    found = observe(source(path, topology))
    assert 5 <= found.n_frames <= 11
    assert found.facts["problem"]


def test_another_number_of_atoms_is_an_error(system, tmp_path):
    topology, positions = system
    smaller, less = create_complex(n_water=5)
    path = save(tmp_path / "t.dcd", smaller, less[None])
    with pytest.raises(InputFileError, match=rf"found {len(less)} atoms .* {len(positions)} in"):
        observe(source(path, topology))


def test_another_order_of_atoms_is_an_error(system, tmp_path):
    topology, positions = system
    order = np.random.default_rng(1).permutation(len(positions))
    path = save(tmp_path / "t.dcd", topology, positions[None, order])
    with pytest.raises(InputFileError, match=r"found a bond of .* same order"):
        observe(source(path, topology))


def test_a_file_that_is_no_trajectory(system, tmp_path):
    path = tmp_path / "t.dcd"
    path.write_text("not a trajectory")
    with pytest.raises(InputFileError, match=r"t\.dcd: "):
        observe(source(path, system[0]))
    with pytest.raises(InputFileError, match="no such file"):
        read_source(tmp_path / "none.pdb", path)


def without_ligand():
    topology, positions = create_complex()
    modeller = app.Modeller(topology, positions * unit.nanometer)
    modeller.delete([r for r in modeller.topology.residues() if r.name == "LIG"])
    return modeller.topology, np.array(modeller.positions.value_in_unit(unit.nanometer))


def test_no_ligand_is_an_error_unless_it_is_said(tmp_path):
    topology, positions = without_ligand()
    path = save(tmp_path / "t.dcd", topology, positions[None])
    with pytest.raises(SelectionError, match=r'found no ligand; select one, such as .*"none"'):
        observe(source(path, topology))
    assert observe(source(path, topology), Settings(selection="none")).n_frames == 1


def test_two_ligands_are_listed(tmp_path):
    topology, positions = create_complex(n_water=0)
    extra = molecule_from_smiles("CCO", seed=1)
    at = add_molecule(topology, topology.addChain("C"), extra, "EOH")
    positions = np.concatenate([positions, at + 1.0])
    path = save(tmp_path / "t.dcd", topology, positions[None])
    with pytest.raises(SelectionError, match=r"LIG 1 \(20 atoms\), EOH 1 \(9 atoms\)"):
        observe(source(path, topology))
    found = observe(source(path, topology), Settings(selection="resname LIG"))
    assert "Residues EOH are neither amino acids" in found.facts["notes"][0]


def test_a_residue_that_is_not_there(system, tmp_path):
    path = save(tmp_path / "t.dcd", system[0], system[1][None])
    with pytest.raises(SelectionError, match="XYZ matches nothing"):
        observe(source(path, system[0]), Settings(selection="resname XYZ"))
    with pytest.raises(SelectionError, match="contains water"):
        observe(source(path, system[0]), Settings(water_around="resname HOH"))


def test_bonds_that_no_file_lists_are_found_by_distance(system, tmp_path):
    topology, positions = system
    bare = app.Topology()
    for chain in topology.chains():
        new_chain = bare.addChain(chain.id)
        for residue in chain.residues():
            new = bare.addResidue(residue.name, new_chain, residue.id)
            for atom in residue.atoms():
                bare.addAtom(atom.name, atom.element, new)
    path = save(tmp_path / "t.dcd", topology, frames_of(positions, 3))
    given, expected = (
        observe(source(path, t), Settings(selection="resname LIG")) for t in (bare, topology)
    )
    assert given.torsion_labels == expected.torsion_labels
    assert given.facts["smiles"] == expected.facts["smiles"]
    np.testing.assert_allclose(given.series["ligand_rmsd"], expected.series["ligand_rmsd"])


def test_b_factors_come_from_the_topology_file(system, tmp_path):
    topology, positions = system
    with open(tmp_path / "t.pdb", "w") as handle:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, handle, keepIds=True)
    lines = [
        f"{line[:60]}{int(line[22:26]):6.2f}{line[66:]}"
        if line.startswith(("ATOM", "HET"))
        else line
        for line in (tmp_path / "t.pdb").read_text().splitlines()
    ]
    (tmp_path / "t.pdb").write_text("\n".join(lines) + "\n")
    path = save(tmp_path / "t.dcd", topology, positions[None])
    found = observe(read_source(tmp_path / "t.pdb", path))
    np.testing.assert_allclose(found.b_factors, [1, 2, 3, 4])


def test_frames_of_the_largest_spread_are_named(system, tmp_path):
    topology, positions = system
    path = save(tmp_path / "t.dcd", topology, frames_of(positions, 10))
    spread = np.array([1.0, 2, 9, 3, 8, 1, 1, 1, 1, 1])
    readings = Readings(2.0 * np.arange(1, 11), {"network_spread": spread})
    given = source(path, topology, interval=2.0, start=2.0, readings=readings)
    found = observe(given)
    assert found.spread_frames[:2].tolist() == [2, 4]
    assert found.spreads[:2].tolist() == [9, 8]
    assert set(found.spread_frames) <= set(found.view.frames)


def test_progress_is_told(system, tmp_path):
    path = save(tmp_path / "t.dcd", system[0], frames_of(system[1], 6))
    told = []
    observe(source(path, system[0]), progress=lambda *news: told.append(news))
    assert told[-1] == ("t", 6, 6)


def test_memory_does_not_grow_with_the_trajectory(system, tmp_path, monkeypatch):
    """Only series are stored for each frame: less than a fiftieth of its positions."""
    monkeypatch.setattr("nnpmm.analysis.frames._LONGEST_CHUNK", 50)
    topology, positions = create_complex("A" * 12, n_water=200)
    peaks = []
    for count in (200, 2000):
        path = save(tmp_path / f"{count}.dcd", topology, frames_of(positions, count))
        observe(source(path, topology))  # imports and caches
        tracemalloc.start()
        observe(source(path, topology))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    per_frame = (peaks[1] - peaks[0]) / 1800
    assert per_frame < 12 * len(positions) / 8, f"{per_frame:.0f} bytes for each frame"


def test_ligand_atoms_may_be_given(system, tmp_path):
    topology, positions = system
    path = save(tmp_path / "t.dcd", topology, positions[None])
    rows = rows_of(topology, "LIG")
    found = observe(source(path, topology, ligand=rows))
    assert found.facts["ligand"] == "LIG1"


@pytest.mark.data
def test_toluene_in_water_of_amber(tmp_path):
    """A flip of its ring does not count; it has no rotatable bond and no receptor."""
    folder = shared_data("toluene")
    structure = read_structure(folder / "toluene-explicit.prm7", folder / "toluene-explicit.rst7")
    positions = wrapped(structure.positions + 1.3, structure.box)
    path = save(tmp_path / "t.dcd", structure.topology, [positions] * 3, box=None)
    trajectory = mdtraj.load(str(path), top=mdtraj.Topology.from_openmm(structure.topology))
    trajectory.unitcell_vectors = np.repeat(structure.box[None], 3, axis=0)
    trajectory.save(str(path))
    found = observe(read_source(folder / "toluene-explicit.prm7", path, interval=1.0))
    assert found.facts["ligand"].startswith("MBN")
    assert found.facts["smiles"] == "Cc1ccccc1"
    assert set(found.series) == {"ligand_internal_rmsd", "ligand_gyration_radius", "water"}
    np.testing.assert_allclose(found.series["ligand_internal_rmsd"], 0, atol=5e-4)
    assert not found.torsion_labels
    heavy = trajectory.topology.select("resname MBN and not element H")
    oxygens = trajectory.topology.select("water and element O")
    near = mdtraj.compute_neighbors(trajectory, 0.35, heavy, haystack_indices=oxygens)
    assert found.series["water"][0] == len(near[0]) > 0

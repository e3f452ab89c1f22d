"""Liquids without a solute: density, radial distribution functions, their report."""

from __future__ import annotations

import json
import shutil

import mdtraj
import numpy as np
import openmm
import pytest
from complexes_of_peptides import save, source
from openmm import app, unit
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from nnpmm.analysis import Readings, analyze, compare, liquids, write_report
from nnpmm.analysis.observations import Observations
from nnpmm.analysis.radial import choose_pairs, find_shell, jackknife, neighbours, peak
from nnpmm.cli.main import app as commands
from nnpmm.core.errors import InputFileError, SelectionError
from nnpmm.core.geometry import nearest_image

WATER = np.array([[0.0, 0.0, 0.0], [0.0957, 0.0, 0.0], [-0.024, 0.0927, 0.0]])
GRAMS = 18.01528 * 1.66053907e-3  # of a molecule in nm^3 to g/ml


def create_liquid(kind: str = "HOH", count: int = 64, ions: int = 0) -> app.Topology:
    """Return molecules of three atoms and ions."""
    names = {"HOH": ("O", "H1", "H2"), "CO2": ("C", "O1", "O2")}[kind]
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(count):
        residue = topology.addResidue(kind, chain)
        first, *others = (
            topology.addAtom(name, app.Element.getBySymbol(name[0]), residue) for name in names
        )
        for other in others:
            topology.addBond(first, other)
    for _ in range(ions):
        topology.addAtom("NA", app.element.sodium, topology.addResidue("NA", chain))
    return topology


def place(topology: app.Topology, boxes: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return frames of molecules at random, some of them across the boundary."""
    generator = np.random.default_rng(seed)
    frames = []
    for box in boxes:
        parts = []
        for residue in topology.residues():
            centre = generator.random(3) @ box
            turn = Rotation.random(random_state=generator)
            parts.append(turn.apply(WATER[: len(residue)]) + centre)
        frames.append(np.concatenate(parts))
    return np.array(frames)


def write(path, topology, boxes, seed: int = 0):
    frames = mdtraj.Trajectory(
        place(topology, boxes, seed).astype(np.float32), mdtraj.Topology.from_openmm(topology)
    )
    frames.unitcell_vectors = np.asarray(boxes, dtype=np.float32)
    frames.save(str(path))
    return path


def changing(n_frames: int, edge: float = 1.3) -> np.ndarray:
    """Return skewed boxes of several sizes."""
    shape = np.array([[1, 0, 0], [0.2, 1, 0], [-0.3, 0.25, 1]])
    return edge * shape * (1 + 0.02 * np.sin(np.arange(n_frames)))[:, None, None]


def reference(positions, box, pairs, radii) -> np.ndarray:
    """Return g(r) of one frame by counting."""
    apart = positions[pairs[:, 1]] - positions[pairs[:, 0]]
    distances = np.linalg.norm(nearest_image(apart, box), axis=1)
    half = radii[0]
    ideal = len(pairs) / np.linalg.det(box) * 4 / 3 * np.pi
    return np.array(
        [
            ((distances >= r - half) & (distances < r + half)).sum()
            / (ideal * ((r + half) ** 3 - (r - half) ** 3))
            for r in radii
        ]
    )


def test_distributions_are_counted_pairs(tmp_path):
    """Every pair of elements, in skewed boxes of changing size, block by block."""
    topology, boxes = create_liquid(count=40, ions=3), changing(20)
    path = write(tmp_path / "a.dcd", topology, boxes)
    (found,) = analyze(source(path, topology)).replicas
    assert set(found.distributions) == {"Na-Na", "Na-O", "Na-H", "O-O", "O-H", "H-H"}
    frames = mdtraj.load(str(path), top=mdtraj.Topology.from_openmm(topology))
    symbols = np.array([atom.element.symbol for atom in topology.atoms()])
    molecules = np.array([atom.residue.index for atom in topology.atoms()])
    i, j = np.triu_indices(len(symbols), k=1)
    i, j = i[molecules[i] != molecules[j]], j[molecules[i] != molecules[j]]
    for pair, blocks in found.distributions.items():
        a, b = pair.split("-")
        chosen = ((symbols[i] == a) & (symbols[j] == b)) | ((symbols[i] == b) & (symbols[j] == a))
        pairs = np.stack([i, j], axis=1)[chosen]
        each = [
            reference(xyz.astype(float), box.astype(float), pairs, found.radii)
            for xyz, box in zip(frames.xyz, frames.unitcell_vectors, strict=True)
        ]
        assert blocks.shape == (10, len(found.radii))
        expected = np.reshape(each, (10, 2, -1)).mean(axis=1)
        # A distance within 1e-7 nm of the edge of a bin may count in its neighbour.
        assert (np.abs(blocks - expected) > 1e-4).mean() < 0.01
    narrowest = 1 / np.linalg.norm(np.linalg.inv(boxes), axis=1).max()
    assert 0.44 * narrowest < found.radii[-1] + 0.0025 <= 0.45 * narrowest


def test_a_sound_trajectory_is_read_once(tmp_path, monkeypatch):
    """Only a trajectory with fewer frames than its file announces is read again."""
    passes = []

    class CountingReader(liquids.FrameReader):
        def __iter__(self):
            passes.append(self.announced)
            return super().__iter__()

    monkeypatch.setattr(liquids, "FrameReader", CountingReader)
    topology, boxes = create_liquid(count=20), changing(12)
    path = write(tmp_path / "a.dcd", topology, boxes)
    (sound,) = analyze(source(path, topology)).replicas
    assert passes == [12]
    assert len(sound.series["density"]) == 12
    data = path.read_bytes()
    path.write_bytes(data[:-100])  # within the last frame
    (damaged,) = analyze(source(path, topology)).replicas
    assert passes == [12, 12, 12]
    assert damaged.n_frames == 11 and damaged.facts["problem"]
    assert all(len(blocks) == 10 for blocks in damaged.distributions.values())


def test_distributions_of_mdtraj(tmp_path):
    """The same as mdtraj gives for all oxygens of all frames together, where the box is rigid."""
    topology, boxes = create_liquid(), np.repeat(1.5 * np.eye(3)[None], 20, axis=0)
    path = write(tmp_path / "a.dcd", topology, boxes)
    (found,) = analyze(source(path, topology)).replicas
    frames = mdtraj.load(str(path), top=mdtraj.Topology.from_openmm(topology))
    oxygens = frames.topology.select("name O")
    pairs = frames.topology.select_pairs(oxygens, oxygens)
    reach = found.radii[-1] + found.radii[0]
    radii, expected = mdtraj.compute_rdf(frames, pairs, r_range=(0, reach), n_bins=len(found.radii))
    np.testing.assert_allclose(found.radii, radii, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.distributions["O-O"].mean(axis=0), expected, rtol=0, atol=1e-6)


def test_some_of_the_pairs_give_the_distribution_of_all():
    generator = np.random.default_rng(1)
    first, second = np.arange(0, 600, 2), np.arange(1, 600, 2)
    molecules = np.arange(600) // 3
    every = choose_pairs(first, first, molecules, 10**6)
    assert (every[:, 0] < every[:, 1]).all()
    assert len(every) == 300 * 299 // 2 - 100  # two even numbers in every other molecule
    some = choose_pairs(first, second, molecules, 30_000)
    assert 29_000 < len(some) <= 30_000
    assert len(np.unique(some[:, 0])) == 100
    assert (molecules[some[:, 0]] != molecules[some[:, 1]]).all()
    distances = generator.random((600, 600))
    means = [
        distances[tuple(p.T)].mean() for p in (some, choose_pairs(first, second, molecules, 10**6))
    ]
    assert means[0] == pytest.approx(means[1], abs=0.01)


def test_density_is_that_of_the_boxes(tmp_path):
    topology, boxes = create_liquid(), changing(30)
    path = write(tmp_path / "a.dcd", topology, boxes)
    found = analyze(source(path, topology))
    expected = 64 * GRAMS / np.linalg.det(boxes)
    np.testing.assert_allclose(found.replicas[0].series["density"], expected, rtol=1e-5)
    (density,) = [q for q in found.quantities if q.name == "density"]
    assert density.unit == "g/ml"
    assert density.average.value == pytest.approx(expected.mean(), rel=1e-5)
    assert density.average.error > 0


def test_a_logged_density_is_the_one_that_counts(tmp_path):
    topology, boxes = create_liquid(), changing(5)
    path = write(tmp_path / "a.dcd", topology, boxes)
    logged = {"density": np.linspace(0.9, 1.1, 9), "pressure": np.ones(9)}
    given = source(path, topology, readings=Readings(np.arange(9.0), logged))
    found = analyze(given)
    (density,) = [q for q in found.quantities if q.name == "density"]
    assert density.average.samples == 9
    assert {"density", "pressure"} <= {q.name for q in found.of_kind("overall")}


def test_molecules_at_random_have_no_order(tmp_path):
    """g(r) of centres placed at random is 1, and neighbours are those of the mean density."""
    topology = create_liquid(count=60)
    boxes = np.repeat(1.6 * np.eye(3)[None], 60, axis=0)
    path = write(tmp_path / "a.dcd", topology, boxes)
    (found,) = analyze(source(path, topology)).replicas
    blocks, far = found.distributions["O-O"], found.radii > 0.2
    assert blocks[:, far].mean() == pytest.approx(1, abs=0.02)
    density = found.facts["partners"]["O-O"]
    assert density == pytest.approx(59 / 1.6**3, rel=1e-5)
    flat = neighbours(found.radii, np.ones(len(found.radii)), density, 0.5)
    assert flat == pytest.approx(4 / 3 * np.pi * 0.5**3 * density, rel=1e-6)
    assert found.facts["partners"]["O-H"] == pytest.approx(118 / 1.6**3, rel=1e-5)


def test_shell_of_a_curve():
    radii = 0.005 * (np.arange(200) + 0.5)
    curve = (
        1
        + 2 * np.exp(-(((radii - 0.28) / 0.015) ** 2))
        - 0.3 * np.exp(-(((radii - 0.35) / 0.03) ** 2))
    )
    curve += 0.2 * np.exp(-(((radii - 0.45) / 0.03) ** 2))
    near, end = find_shell(radii, curve)
    assert near == pytest.approx(0.28, abs=0.005)
    assert end == pytest.approx(0.35, abs=0.01)
    place, height = peak(radii, curve, near)
    assert place == pytest.approx(0.28, abs=0.001)
    assert height == pytest.approx(3.0, abs=0.05)
    assert find_shell(radii, np.ones(200)) is None


def test_the_jackknife_of_a_mean_is_its_standard_error():
    blocks = np.random.default_rng(2).normal(size=(10, 4))
    found = jackknife(blocks, 100, lambda curve: float(curve[1]))
    assert found.value == pytest.approx(blocks[:, 1].mean())
    assert found.error == pytest.approx(blocks[:, 1].std(ddof=1) / np.sqrt(10))
    assert np.isnan(jackknife(blocks[:1], 10, lambda curve: 1.0).error)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, True), ({"ions": 2}, True), ({"kind": "CO2"}, True), ({"kind": "CO2", "count": 1}, False),
     ({"kind": "CO2", "ions": 1}, False)],
)  # fmt: skip
def test_which_systems_are_liquids(changes, expected):
    assert liquids.is_liquid(create_liquid(**changes)) is expected


def test_a_named_molecule_is_a_solute(tmp_path):
    topology = create_liquid(kind="CO2", count=20)
    path = write(tmp_path / "a.dcd", topology, np.repeat(2.0 * np.eye(3)[None], 4, axis=0))
    assert analyze(source(path, topology)).replicas[0].facts["liquid"] == "20 CO2"
    found = analyze(source(path, topology), selection="resid 3")
    assert found.replicas[0].facts["ligand"] == "CO24"
    assert not found.replicas[0].distributions


def test_water_without_a_box_is_refused(tmp_path):
    topology, boxes = create_liquid(count=8), changing(3)
    path = save(tmp_path / "a.dcd", topology, place(topology, boxes), box=None)
    with pytest.raises(SelectionError, match="give a liquid with its periodic box"):
        analyze(source(path, topology), selection="none")


def test_another_order_of_atoms_is_refused(tmp_path):
    topology, boxes = create_liquid(count=30), changing(3)
    frames = place(topology, boxes)[:, ::-1]
    path = save(tmp_path / "a.dcd", topology, np.roll(frames, 1, axis=1), box=1.3)
    with pytest.raises(InputFileError, match="found a bond of"):
        analyze(source(path, topology))


def test_observations_are_kept(tmp_path):
    topology, boxes = create_liquid(), changing(6)
    given = source(write(tmp_path / "a.dcd", topology, boxes), topology)
    first = analyze(given, cache=tmp_path / "cache").replicas[0]
    (kept,) = (tmp_path / "cache").glob("*.safetensors")
    again = Observations.load(kept)
    for pair, blocks in first.distributions.items():
        np.testing.assert_array_equal(again.distributions[pair], blocks)
    np.testing.assert_array_equal(again.radii, first.radii)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Return the folder of the report of TIP3P water of two short runs."""
    folder = tmp_path_factory.mktemp("water")
    field = app.ForceField("tip3p.xml")
    modeller = app.Modeller(app.Topology(), [] * unit.nanometer)
    modeller.addSolvent(field, numAdded=216)
    system = field.createSystem(
        modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.8 * unit.nanometer
    )
    integrator = openmm.LangevinMiddleIntegrator(300, 5, 0.002)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPositions(modeller.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10, 50)
    integrator.step(200)
    sources = []
    for n in range(2):
        frames = []
        for _ in range(20):
            integrator.step(20)
            state = context.getState(positions=True)
            frames.append(state.getPositions(asNumpy=True)._value)
        box = state.getPeriodicBoxVectors(asNumpy=True)._value
        path = save(folder / f"{n}.dcd", modeller.topology, frames, box=box[0, 0])
        sources.append(source(path, modeller.topology, interval=0.04))
    write_report(folder / "one", analyze(sources[0], name="one"))
    write_report(folder / "both", analyze(sources, name="both"))
    return folder


@pytest.mark.slow
def test_the_first_shell_of_tip3p_water(report):
    """Its oxygens have the first peak at 2.77 angstrom, height 2.7, and five neighbours or so.

    W. L. Jorgensen et al., J. Chem. Phys. 1983, 79, 926, table IV; the rest for a box of 216.
    """
    data = json.loads((report / "both" / "analysis.json").read_text())
    found = {a["quantity"]: a for a in data["averages"] if a["kind"] == "shell"}
    assert found["O-O, first peak"]["mean"] == pytest.approx(2.77, abs=0.05)
    assert found["O-O, height of first peak"]["mean"] == pytest.approx(2.7, abs=0.3)
    assert found["H around O, to first minimum"]["mean"] == pytest.approx(2, abs=0.4)
    assert 0 < found["O-O, height of first peak"]["standard_error"] < 0.3
    assert set(data["trajectories"][1]["distributions"]) == {"O-O", "O-H", "H-H"}
    curve = data["trajectories"][0]["distributions"]["O-O"]
    assert len(curve["r_nm"]) == len(curve["g"]) == len(curve["standard_error"])


def test_the_report_of_a_liquid(report):
    text = (report / "both" / "report.html").read_text()
    for words in ("216 HOH: 0, 1", "Radial distribution functions", "density", "jackknife"):
        assert words in text
    for words in ("Molecules are made whole", "Rotatable bonds", "Contacts"):
        assert words not in text
    assert (report / "both" / "pictures" / "distributions.svg").is_file()
    lines = (report / "both" / "tables" / "distributions-2.csv").read_text().splitlines()
    assert lines[0].startswith("r_nm,g_O-O,standard_error_O-O")


def test_liquids_are_compared(report, tmp_path):
    both = [
        analyze(source(report / f"{n}.dcd", top(report), interval=0.04), name=str(n))
        for n in range(2)
    ]
    found = compare(*both)
    assert {"O-O, first peak", "O around O, to first minimum"} <= {
        d.first.name for d in found.of_kind("shell")
    }
    write_report(tmp_path, found)
    assert (tmp_path / "pictures" / "shell-distributions.png").is_file()
    assert "Radial distribution functions" in (tmp_path / "report.html").read_text()


def top(folder) -> app.Topology:
    return create_liquid(count=216)


def test_the_command_prints_the_shells(report, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = mdtraj.load(str(report / "0.dcd"), top=mdtraj.Topology.from_openmm(top(report)))
    frames[0].save("box.pdb")
    shutil.copy(report / "0.dcd", "a.dcd")
    arguments = ["analyze", "-t", "box.pdb", "-x", "a.dcd", "--interval", "0.04"]
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == 0, result.output
    assert "density" in result.output
    assert "O-O, first peak" in result.output

"""Reweighting to a network: frames of AMOEBA, and frames in which a proton has moved."""

from __future__ import annotations

import mdtraj
import numpy as np
import openmm
import pytest
import yaml
from amoeba_systems import BOX, amoeba_case, water
from cases import solvated_ligand
from force_fields import with_water
from openmm import app, unit
from toy import TOY

from nnpmm import create_hybrid_system
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.coupling import Interpolated, LinkAtoms, Subtractive, nnp_derivative
from nnpmm.coupling.subtractive_system import create_region_system
from nnpmm.freeenergy import region_differences
from nnpmm.models import FunctionModel, OpenMMPotential
from nnpmm.simulation import load_config, reweight_trajectories


def test_differences_of_amoeba_frames_match_a_context():
    """The derivative with respect to lambda_nnp of a System that scales only the difference."""
    case = amoeba_case("water", waters=2)
    rng = np.random.default_rng(1)
    frames = case.positions + rng.normal(0, 0.002, (3, *case.positions.shape))
    frames[1][case.region] += [0.0, BOX[1], 0.0]  # an image of the region
    boxes = np.broadcast_to(np.diag(BOX), (3, 3, 3))
    setup = (case.system, case.topology, case.region, TOY)
    found = region_differences(*setup, positions=frames, boxes=boxes, embedding="subtractive")
    coupling = Subtractive(inside=Interpolated(), constraints="keep")
    system = create_hybrid_system(*setup, coupling=coupling)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    expected = []
    for frame in frames:
        context.setPositions(frame)
        expected.append(nnp_derivative(context))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert np.ptp(found) > 1  # the frames differ, so that their order is tested


@pytest.fixture(scope="module")
def methanol():
    """System, topology, region and network of methanol in water, without cutoff, with a frame."""
    case = solvated_ligand("CO", method=openmm.NonbondedForce.NoCutoff)
    return (case.system, case.topology, case.region, TOY), case.positions


def test_embeddings_agree_for_fixed_charges(methanol):
    setup, frame = methanol
    found = [
        region_differences(*setup, positions=[frame], embedding=embedding)
        for embedding in ("mechanical", "subtractive")
    ]
    np.testing.assert_allclose(*found, rtol=0, atol=1e-6)


def with_a_moved_proton(setup, frame):
    """Positions with the hydroxyl proton transferred to the nearest water."""
    atoms = list(setup[1].atoms())
    (oxygen,) = [k for k in setup[2] if atoms[k].element.symbol == "O"]
    hydrogens = [k for k in setup[2] if atoms[k].element.symbol == "H"]
    proton = min(hydrogens, key=lambda k: np.linalg.norm(frame[k] - frame[oxygen]))
    waters = [k for k, atom in enumerate(atoms) if atom.residue.name == "HOH" and atom.name == "O"]
    acceptor = min(waters, key=lambda k: np.linalg.norm(frame[k] - frame[oxygen]))
    moved = frame.copy()
    away = (frame[oxygen] - frame[acceptor]) / np.linalg.norm(frame[oxygen] - frame[acceptor])
    moved[proton] = frame[acceptor] + 0.1 * away
    return moved


@pytest.mark.parametrize("embedding", ["mechanical", "subtractive"])
def test_frames_with_changed_bonds_are_reported(methanol, embedding):
    setup, frame = methanol
    frames = [frame, with_a_moved_proton(setup, frame), frame]
    with pytest.raises(
        SimulationError,
        match=r"in 1 of 3 frames \(1\) the region's bonds are not those of the topology, first in "
        r"frame 1: a bond broke between .*O.* and .*H",
    ):
        region_differences(*setup, positions=frames, embedding=embedding)
    found = region_differences(*setup, positions=frames, embedding=embedding, changed_bonds="nan")
    (same,) = region_differences(*setup, positions=[frame], embedding=embedding)
    np.testing.assert_allclose(found, [same, np.nan, same], rtol=0, atol=1e-9)


def test_link_atoms_with_subtractive_embedding_are_refused(methanol):
    setup, frame = methanol
    with pytest.raises(ConfigError, match="found link atoms with subtractive embedding"):
        region_differences(*setup, positions=[frame], embedding="subtractive", boundary=LinkAtoms())


SCALE = 1.02


@pytest.fixture
def waters(tmp_path, monkeypatch):
    """Settings and 150 frames of AMOEBA water, in which the network is AMOEBA, scaled."""
    modeller = water()
    with_water(modeller, 2)
    modeller.topology.setUnitCellDimensions(BOX * unit.nanometer)
    with (tmp_path / "box.pdb").open("w") as file:
        app.PDBFile.writeFile(modeller.topology, modeller.positions, file)
    system = app.ForceField("amoeba2018.xml").createSystem(
        modeller.topology, mutualInducedTargetEpsilon=1e-5, rigidWater=False
    )
    alone = OpenMMPotential(create_region_system(system, [0, 1, 2])).bind([8, 1, 1])

    def scaled(positions, numbers, charge):
        energy, forces = alone(positions)
        return SCALE * energy, SCALE * forces

    class Family:
        options, accepts = (), "scaled"

        def names(self):
            return ("scaled",)

        def recognizes(self, name):
            return name == "scaled"

        def load(self, name):
            return FunctionModel(scaled, "scaled")

    monkeypatch.setattr("nnpmm.models.registry.families", lambda: {"scaled": Family()})
    places = np.array(modeller.positions.value_in_unit(unit.nanometer))
    frames = places + np.random.default_rng(1).normal(0, 0.003, (150, *places.shape))
    topology = mdtraj.Topology.from_openmm(modeller.topology)
    sizes = np.broadcast_to(BOX, (150, 3)), np.full((150, 3), 90.0)
    mdtraj.Trajectory(
        frames, topology, unitcell_lengths=sizes[0], unitcell_angles=sizes[1]
    ).save_dcd(str(tmp_path / "mm.dcd"))
    settings = {
        "system": {"type": "amoeba", "structure": "box.pdb", "vdw_cutoff": "0.9 nm"},
        "region": {"selection": "resid 0", "model": "scaled"},
        "coupling": {"type": "subtractive"},
        "output": {"directory": "out"},
    }
    (tmp_path / "md.yaml").write_text(yaml.safe_dump(settings))
    written = mdtraj.load(str(tmp_path / "mm.dcd"), top=str(tmp_path / "box.pdb"))
    energies = np.array([alone(frame[:3])[0] for frame in written.xyz.astype(np.float64)])
    return tmp_path, energies


def test_reweighting_an_amoeba_trajectory(waters):
    """The result is the exponential average of all frames, which are independent."""
    folder, energies = waters
    config = load_config(folder / "md.yaml")
    found = reweight_trajectories(config, [folder / "mm.dcd"])
    kt = unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoule_per_mole / unit.kelvin)
    kt *= config.ensemble.temperature
    expected = -kt * np.log(np.mean(np.exp(-(SCALE - 1) * energies / kt)))
    assert 0 < found.error < 0.2
    assert abs(found.difference - expected) < 3 * found.error
    assert abs(expected) > 5 * found.error


def test_electrostatic_embedding_is_refused(waters):
    folder, _ = waters
    settings = yaml.safe_load((folder / "md.yaml").read_text())
    settings["coupling"] = {"type": "electrostatic", "charges": "network"}
    (folder / "md.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(ConfigError, match=r"coupling.type: found electrostatic, allowed: mech"):
        reweight_trajectories(load_config(folder / "md.yaml"), [folder / "mm.dcd"])

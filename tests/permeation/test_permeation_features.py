"""The eight features: on constructed cases, and against the tools of GROMACS."""

import numpy as np
import pytest
from martini_cases import STAGE, membrane, needs_gmx

from nnpmm.core.errors import SimulationError
from nnpmm.core.superposition import superposed_rmsd
from nnpmm.permeation.features import (
    BEAD_RADIUS,
    FEATURES,
    PROBE_RADIUS,
    bead_sasa,
    membrane_features,
    water_features,
)
from nnpmm.permeation.martini import MartiniSystem, interaction, lipid, parse_solute, water
from nnpmm.permeation.martini import gromacs_files as gf
from nnpmm.permeation.martini.builder import build_water_box
from nnpmm.permeation.martini.engines import Frame, read_frames
from nnpmm.permeation.martini.gromacs import GromacsEngine
from nnpmm.permeation.martini.pair_energy import unit_lennard_jones


def test_names_in_the_published_order():
    assert [feature.name for feature in FEATURES] == [
        *("bondener", "lj-mol-wat", "molwat-enthalpy", "sasa"),
        *("lj-mol-lip", "apl", "rmsd-lip", "rmsd-mollip"),
    ]


def test_water_features_of_a_constructed_frame():
    """A stretched dimer across the boundary, one bead of water 0.6 nm from its first bead."""
    system = MartiniSystem(((water(), 1), (parse_solute("C1-P4"), 1)))
    positions = np.array([[0.7, 1, 1], [0.1, 1, 1], [2.63, 1, 1]])
    frame = Frame(0.0, positions, np.full(3, 3.0))
    table = water_features(system, [frame, frame], np.array([-5.0]))
    depth, sigma = interaction("C1", "P4")
    near = depth * float(unit_lennard_jones(np.array(0.6), sigma))
    far = 5.0 * float(unit_lennard_jones(np.array(1.07), 0.47))
    expected = [1250 / 2 * (0.47 - 0.47) ** 2, (near + far) / 2, -5.0]
    np.testing.assert_allclose(table.values[0, :3], expected, rtol=1e-5, atol=1e-7)
    positions[2, 0] = 2.5  # now 0.6 nm from its partner
    assert water_features(system, [frame, frame], np.array([0.0])).values[0, 0] == pytest.approx(
        1250 / 2 * 0.13**2, rel=1e-5
    )


def test_sasa_of_one_bead_and_of_two():
    """Two spheres of radius R at distance d: each loses a cap of height R - d/2."""
    assert pytest.approx(0.26378, abs=1e-5) == BEAD_RADIUS == PROBE_RADIUS
    radius = BEAD_RADIUS + PROBE_RADIUS
    one = bead_sasa(np.zeros((1, 1, 3)))[0]
    assert one == pytest.approx(4 * np.pi * radius**2, rel=1e-6)
    d = 0.47
    pair = bead_sasa(np.array([[[0.0, 0, 0], [d, 0, 0]]]))[0]
    assert pair == pytest.approx(2 * 2 * np.pi * radius * (radius + d / 2), rel=3e-3)


def _membrane_of_two():
    system = MartiniSystem(((lipid("DLPC"), 2), (parse_solute("C1"), 1)))
    rng = np.random.default_rng(1)
    positions = rng.uniform(3.0, 5.0, (21, 3))
    for _ in range(2000):  # relax the bonds of the lipids
        for i, j, length, _ in system.bonds:
            d = positions[j] - positions[i]
            positions[j] = positions[i] + d * length / np.linalg.norm(d)
    positions[20] = [4, 4, positions[:20, 2].mean() + 0.1]
    return system, positions


def test_membrane_features_of_a_constructed_membrane():
    system, positions = _membrane_of_two()
    box = np.array([8.0, 6.0, 8.0])
    moved = positions.copy()
    moved[:10, 0] += 3.0  # some beads of one lipid cross the boundary
    later = moved.copy()
    later[:10, 0] += 1.0
    assert 0 < (moved[:10, 0] > 8.0).sum() < 10 or 0 < (later[:10, 0] > 8.0).sum() < 10
    frames = [Frame(n, x % box, box) for n, x in enumerate((positions, moved, later))]
    table = membrane_features(system, frames)
    np.testing.assert_allclose(table.values[:, 1], 2 * 48.0 / 2)
    for row, x in zip(table.values, (moved, later), strict=True):
        assert row[2] == pytest.approx(superposed_rmsd(x[:20], positions[:20]), rel=1e-5)
        assert row[3] == pytest.approx(superposed_rmsd(x, positions), rel=1e-5)
    np.testing.assert_allclose(table.heights, 0.1, atol=1e-6)
    assert table.phi.shape[:2] == (2, 1) and table.inner.shape == (2, 0)


def test_broken_solute_is_refused():
    system, start = build_water_box(parse_solute("C1-P4"))
    positions = start.positions.copy()
    positions[-1] = positions[-2] + 1.4
    frame = Frame(60.0, positions, start.box)
    with pytest.raises(SimulationError, match="flew apart at 60 ps"):
        water_features(system, [frame, frame], np.zeros(1))


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """A run of GROMACS, its folder and the features of its frames."""
    folder = tmp_path_factory.mktemp("run")
    system, start = membrane()
    engine = GromacsEngine(threads=1)
    result = engine.run(system, engine.minimize(system, start, folder), STAGE, folder)
    return system, engine, folder, membrane_features(system, read_frames(result.trajectory))


@needs_gmx
def test_lennard_jones_energy_matches_gmx_energy(short_run):
    system, engine, folder, _ = short_run
    (folder / "groups.mdp").write_text(
        (folder / "short.mdp").read_text() + "energygrps = Lipid Solute Water\n"
    )
    arguments = ["grompp", "-f", "groups.mdp", "-c", "short.gro", "-p", "short.top"]
    engine._call([*arguments, "-n", "short.ndx", "-o", "groups.tpr", "-maxwarn", "2"], folder)
    # A separate run, because -rerun of GROMACS 2022.5 can hang.
    engine._call(["mdrun", "-deffnm", "groups", "-ntmpi", "1", "-ntomp", "1"], folder)
    table = membrane_features(system, read_frames(folder / "groups.trr"))
    name = "LJ-SR:Lipid-Solute"
    expected = engine.read_energies(folder, "groups", (name,))[name][1:]
    n_beads = len(system.select("solute"))
    np.testing.assert_allclose(table.values[:, 0] * n_beads, expected, rtol=1e-4, atol=1e-3)


@needs_gmx
def test_rmsd_matches_gmx_rms(short_run):
    _, engine, folder, table = short_run
    whole = ["trjconv", "-f", "short.trr", "-s", "short.tpr", "-n", "short.ndx"]
    engine._call([*whole, "-pbc", "whole", "-o", "whole.trr"], folder, answer="System\n")
    nojump = ["trjconv", "-f", "whole.trr", "-s", "short.tpr", "-n", "short.ndx"]
    engine._call([*nojump, "-pbc", "nojump", "-o", "nojump.trr"], folder, answer="System\n")
    for group, column in (("Lipid", 2), ("Membrane", 3)):
        command = ["rms", "-s", "short.tpr", "-f", "nojump.trr", "-n", "short.ndx"]
        command += ["-o", "rms.xvg", "-xvg", "none"]
        engine._call(command, folder, answer=f"{group}\n{group}\n")
        expected = gf.read_xvg(folder / "rms.xvg")[1:, 1]
        np.testing.assert_allclose(table.values[:, column], expected, atol=2e-4)


@needs_gmx
def test_sasa_matches_gmx_sasa(short_run):
    _, engine, folder, _ = short_run
    radii = "".join(f"???  {name}  {BEAD_RADIUS}\n" for name in ("C1", "C3", "P4"))
    (folder / "vdwradii.dat").write_text(radii)
    whole = ["trjconv", "-f", "short.trr", "-s", "short.tpr", "-n", "short.ndx"]
    engine._call([*whole, "-pbc", "whole", "-o", "sol.trr"], folder, answer="Solute\n")
    command = ["sasa", "-s", "short.tpr", "-f", "short.trr", "-n", "short.ndx", "-o", "sasa.xvg"]
    command += ["-surface", "Solute", "-probe", str(PROBE_RADIUS), "-ndots", "5000"]
    engine._call([*command, "-xvg", "none"], folder)
    expected = gf.read_xvg(folder / "sasa.xvg")[:, 1]
    molecules = np.array([frame.positions for frame in read_frames(folder / "sol.trr")])
    np.testing.assert_allclose(bead_sasa(molecules), expected, rtol=5e-3)


@needs_gmx
def test_restrained_heights_stay_near_the_midplane(short_run):
    """The restraint keeps the solute within five standard deviations of the midplane."""
    _, _, _, table = short_run
    assert np.all(np.abs(table.heights) < 5 * np.sqrt(2.494 / 1000))

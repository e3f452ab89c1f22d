"""The OpenMM engine: energies against GROMACS, restraint, restarts."""

import numpy as np
import openmm
import pytest
from conftest import shared_data
from martini_cases import STAGE, membrane, needs_gmx

from nnpmm.core.errors import SimulationError
from nnpmm.permeation.martini import (
    Configuration,
    MartiniSystem,
    engines,
    lipid,
    parse_solute,
    tables,
    water,
)
from nnpmm.permeation.martini.builder import build_water_box
from nnpmm.permeation.martini.gromacs import GromacsEngine
from nnpmm.permeation.martini.openmm_engine import OpenMMEngine, gather
from nnpmm.permeation.martini.openmm_system import FORCE_GROUPS, create_openmm_system
from nnpmm.permeation.runs.simulations import run_stages

REFERENCE = OpenMMEngine(platform="Reference")


def _assert_same(a, b, rel=1e-4):
    for name, x, y in zip(a._fields, a, b, strict=True):
        assert x == pytest.approx(y, rel=rel), name
    assert a.total == pytest.approx(b.total, rel=rel)


@pytest.mark.slow
@needs_gmx
@pytest.mark.parametrize("solute", ["C1-P4", "C2-N0-C5", "P4-P5-Nda", "C1-C1-C1+1-3"])
@pytest.mark.parametrize("name", tables.LIPID_TAILS)
def test_energies_match_gromacs(name, solute, tmp_path):
    system, start = membrane(name, solute)
    gromacs = GromacsEngine(threads=1)
    relaxed = gromacs.minimize(system, start, tmp_path)
    _assert_same(OpenMMEngine(threads=1).energy(system, relaxed), gromacs.energy(system, relaxed))


@pytest.mark.data
@needs_gmx
def test_energies_of_the_published_bilayer_match_gromacs(tmp_path):
    """128 DPPC and 768 W, the example system of a published force-field package."""
    lines = shared_data("martini2/dppc-128/minimized.gro").read_text().splitlines()
    positions = np.array([line[20:44].split() for line in lines[2:-1]], dtype=float)
    place = Configuration(positions, np.array(lines[-1].split(), dtype=float))
    system = MartiniSystem(((lipid("DPPC"), 128), (water(), 768)))
    found = OpenMMEngine(threads=1).energy(system, place)
    _assert_same(found, GromacsEngine(threads=1).energy(system, place))
    _assert_same(found, REFERENCE.energy(system, place), rel=1e-5)


@needs_gmx
def test_energies_of_a_water_box_match_gromacs(tmp_path):
    system, start = build_water_box(parse_solute("P5-C1-N0"))
    gromacs = GromacsEngine(threads=1)
    relaxed = gromacs.minimize(system, start, tmp_path)
    _assert_same(REFERENCE.energy(system, relaxed), gromacs.energy(system, relaxed))


def test_split_and_combined_nonbonded_forces_agree():
    system, start = membrane("POPC")
    energies = []
    for split in (False, True):
        made = create_openmm_system(system, start.box, split_nonbonded=split)
        context = openmm.Context(
            made, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
        )
        context.setPositions(gather(system, start))
        energies.append(context.getState(getEnergy=True).getPotentialEnergy()._value)
    assert energies[0] == pytest.approx(energies[1], rel=1e-10)


def test_restraint_energy():
    system, start = membrane()
    restraint = engines.Restraint(z=0.3, force_constant=500.0)
    made = create_openmm_system(system, start.box, restraint=restraint)
    context = openmm.Context(
        made, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    positions = gather(system, start)
    context.setPositions(positions)
    groups = {FORCE_GROUPS["restraint"]}
    found = context.getState(getEnergy=True, groups=groups).getPotentialEnergy()._value
    height = positions[system.select("solute"), 2].mean()
    height -= positions[system.select("lipid"), 2].mean()
    assert found == pytest.approx(250.0 * (height - 0.3) ** 2, rel=1e-6)


def test_gathered_bilayer_is_whole():
    system, start = membrane()
    shifted = Configuration(
        (start.positions + np.array([0, 0, start.box[2] / 2])) % start.box, start.box
    )
    heights = gather(system, shifted)[system.select("lipid"), 2]
    assert heights.mean() == pytest.approx(start.box[2] / 2, abs=0.05)
    assert np.ptp(heights) < 7.0


def test_interrupted_run_resumes(tmp_path, monkeypatch):
    system, start = build_water_box(parse_solute("C1-P4"))
    stage = STAGE.model_copy(update={"length": 2.0, "frame_interval": 0.4, "restraint": None})
    stage = stage.model_copy(update={"isotropic": True})
    engine = OpenMMEngine(threads=1)
    relaxed = engine.minimize(system, start, tmp_path)

    class Stop(Exception):
        pass

    def stop(done):
        if done > 1.0:
            raise Stop

    monkeypatch.setattr("nnpmm.permeation.martini.openmm_engine._SECONDS_BETWEEN_SAVES", -1.0)
    with pytest.raises(Stop):
        engine.run(system, relaxed, stage, tmp_path, stop)
    done = []
    result = engine.run(system, relaxed, stage, tmp_path, done.append)
    assert min(done) > 0.8  # it did not start from the beginning
    frames = list(engines.read_frames(result.trajectory))
    np.testing.assert_allclose([f.time for f in frames], np.arange(6) * 0.4, atol=1e-5)
    observed = result.observables
    np.testing.assert_allclose(observed["time"], np.arange(6) * 0.4, atol=1e-9)
    pv = observed["volume"] * 0.0602214
    np.testing.assert_allclose(
        observed["enthalpy"], observed["potential"] + observed["kinetic"] + pv, rtol=1e-6
    )
    assert not list(tmp_path.glob("*.part.*"))


def test_finished_stages_are_not_repeated(tmp_path):
    system, start = build_water_box(parse_solute("C1"))
    stage = STAGE.model_copy(update={"length": 0.4, "frame_interval": 0.2, "restraint": None})
    engine = OpenMMEngine(threads=1)
    first = run_stages(system, start, [stage], engine, tmp_path)
    stamp = (tmp_path / "short.trr").stat().st_mtime_ns
    again = run_stages(system, start, [stage], engine, tmp_path)
    assert (tmp_path / "short.trr").stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(first.configuration.positions, again.configuration.positions)
    np.testing.assert_array_equal(first.observables["time"], again.observables["time"])


def test_unstable_run_is_an_error(tmp_path):
    system, start = build_water_box(parse_solute("C1"))
    stage = STAGE.model_copy(update={"length": 4.0, "restraint": None, "timestep": 0.4})
    with pytest.raises(SimulationError, match="blew up"):
        OpenMMEngine(threads=1).run(system, start, stage, tmp_path)

"""Runs that cannot start give one line, before the output folder is created."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from gromacs_files import ATOMS, TOP, gro, write
from openmm import unit
from toys import SpringEvaluator, SpringModel, prepare, prepared_water, protocol, water_box

from nnpmm.core.errors import ConfigError, InputFileError, SelectionError, SimulationError
from nnpmm.models import Evaluation
from nnpmm.simulation import PreparedSystem, load_run_system, parse_config, run_protocol
from nnpmm.simulation.preparation.start_checks import describe_atoms
from nnpmm.simulation.runner import prepare_system
from nnpmm.structures.inputs import checks

pytestmark = pytest.mark.usefixtures("empty_report")

NO_STAGES = {"minimize": None, "warmup": None, "equilibrate": None}


def load(system, ensemble="NVT"):
    region = {"selection": "all", "model": "ANI-2x"}
    return load_run_system(
        parse_config({"system": system, "region": region, "ensemble": {"type": ensemble}})
    )


def run_without_trace(tmp_path, prepared, **changes):
    """Run, expect an error, and check that nothing was written; return the error's text."""
    settings = protocol(tmp_path / "out", **changes)
    with pytest.raises(SimulationError) as raised:
        run_protocol(prepared, settings, progress=False)
    assert not (tmp_path / "out").exists()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def with_evaluator(evaluator) -> PreparedSystem:
    """Return a lattice of waters, the first of which is described by an evaluator."""
    model = SpringModel()
    model.bind = lambda atomic_numbers, charge=0: evaluator
    return prepare(water_box(3, periodic=True), model)


class Refusing(SpringEvaluator):
    """A network that raises."""

    def _evaluate(self, positions, box):
        raise ValueError("no such\nmolecule")


class Infinite(SpringEvaluator):
    """A network whose forces are not finite."""

    def _evaluate(self, positions, box):
        forces = np.zeros_like(positions)
        forces[1] = np.nan
        return Evaluation(1.0, forces, np.array([1.0]))


@pytest.mark.parametrize("stages", [{}, NO_STAGES, {"minimize": None}])
@pytest.mark.parametrize("evaluator", [Refusing, Infinite])
def test_network_that_fails_at_the_first_step_is_an_error(tmp_path, stages, evaluator):
    text = run_without_trace(tmp_path, with_evaluator(evaluator([8, 1, 1])), stages=stages)
    assert text.startswith("the simulation cannot start: ")


def test_non_finite_forces_report_the_atom(tmp_path):
    """The energy alone may be finite."""
    text = run_without_trace(tmp_path, with_evaluator(Infinite([8, 1, 1])))
    assert "1 atoms have forces that are not finite, first on H1 of HOH 1" in text


def test_non_finite_energy_is_an_error(tmp_path):
    prepared = prepared_water()
    force = openmm.CustomExternalForce("sqrt(x-100)")
    force.addParticle(3, [])
    prepared.hybrid.system.addForce(force)
    text = run_without_trace(tmp_path, prepared)
    assert "the potential energy is nan kJ/mol" in text
    assert "first on O of HOH 2" in text


def test_errors_of_openmm_at_the_start_are_reported(tmp_path):
    prepared = prepared_water(periodic=True, per_edge=3)
    for force in prepared.hybrid.system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setCutoffDistance(0.9)
    text = run_without_trace(tmp_path, prepared)
    assert "cutoff distance cannot be greater than half the periodic box size" in text


def test_invalid_restraint_is_refused_before_the_run(tmp_path):
    for restraint in ("resname XYZ", "resname ("):
        stages = {"warmup": {"length": "0.01 ps", "restraint": restraint}}
        with pytest.raises(SelectionError):
            run_protocol(prepared_water(), protocol(tmp_path / "out", stages=stages))
        assert not (tmp_path / "out").exists()


def test_invalid_restraint_is_refused_before_the_network_is_loaded(tmp_path):
    settings = {
        "system": write(tmp_path, nonbonded_method="NoCutoff"),
        "region": {"selection": "all", "model": "no-such-model.json"},
        "stages": {"warmup": {"restraint": "resname XYZ"}},
    }
    with pytest.raises(SelectionError, match="XYZ"):
        prepare_system(parse_config(settings))


def test_selection_by_residue_excludes_lone_pairs(tmp_path):
    """They are massless sites on the region's atoms, which are not passed to the network."""
    top = TOP.replace("[ moleculetype ]", "lp  0  0.0  0.0  V  0.0  0.0\n\n[ moleculetype ]")
    top = top.replace("\n\n[ bonds ]", "\n7  lp  1  MOL  LP1  1  0.1  0.0\n\n[ bonds ]")
    top = top.replace("-0.68", "-0.78")
    top = top.replace("[ system ]", "[ virtual_sites2 ]\n7 2 1 1 -0.5\n\n[ system ]")
    second = [(name, tuple(np.add(xyz, 0.5))) for name, xyz in ATOMS]
    site = ("LP1", (0.153, -0.077, -0.035))
    coordinates = gro([*ATOMS, site, *second, ("LP1", tuple(np.add(site[1], 0.5)))])
    system = write(tmp_path, top.replace("MOL 1\n", "MOL 2\n"), coordinates)
    settings = {
        "system": {**system, "nonbonded_method": "NoCutoff"},
        "region": {"selection": "resid 0", "model": "ANI-1x", "members": [0]},
    }
    prepared = prepare_system(parse_config(settings))
    assert prepared.hybrid.region.atoms.tolist() == [0, 1, 2, 3, 4, 5]
    assert prepared.hybrid.system.isVirtualSite(6)


def test_restrained_water_gives_a_warning(tmp_path, caplog):
    from nnpmm.simulation.preparation.start_checks import check_restraint

    topology = water_box(3).topology
    check_restraint(topology, protocol(tmp_path / "out"))
    assert caplog.messages == []
    stages = {"warmup": {"length": "0.01 ps", "restraint": "name O"}}
    check_restraint(topology, protocol(tmp_path / "out", stages=stages))
    assert "'name O' contains water too (27 of HOH)" in caplog.text
    assert describe_atoms(topology, np.zeros(0, dtype=np.int64)) == "no atoms"


@pytest.mark.parametrize("method", ["PME", "CutoffPeriodic", "LJPME"])
def test_cutoffs_over_half_the_box_are_refused(tmp_path, method):
    system = write(tmp_path, coordinates=gro(box="1.8 2.5 2.5"), nonbonded_method=method)
    with pytest.raises(
        ConfigError, match=r"system\.cutoff: found 1 nm, allowed: at most 0\.9 nm, half the width"
    ):
        load(system)
    assert load({**system, "cutoff": "0.9 nm"}).box_vectors is not None


def test_width_of_a_triclinic_box_limits_the_cutoff(tmp_path):
    """The third vector is 2.2 nm long, but the box is 1.8 nm high."""
    box = "2.2 2.2 1.8 0 0 0 0 1.0 0.8"
    with pytest.raises(ConfigError, match=r"at most 0\.9 nm"):
        load(write(tmp_path, coordinates=gro(box=box)))


def test_cutoff_of_a_serialized_system_is_checked(tmp_path):
    mm = load(write(tmp_path))
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(mm.system))
    mm.topology.setPeriodicBoxVectors(np.eye(3) * 1.8 * unit.nanometer)
    with open(tmp_path / "x.pdb", "w") as handle:
        openmm.app.PDBFile.writeFile(mm.topology, mm.positions * unit.nanometer, handle)
    files = {"system": str(tmp_path / "system.xml"), "structure": str(tmp_path / "x.pdb")}
    with pytest.raises(ConfigError, match=r"the cutoff in the serialized System: found 1 nm"):
        load({"type": "openmm", **files})


def test_box_that_may_shrink_below_the_cutoff_gives_a_warning(tmp_path, caplog):
    system = write(tmp_path, coordinates=gro(box="2.05 2.05 2.05"))
    load(system, "NVT")
    assert caplog.messages == []
    load(system, "NPT")
    assert "is nearly half the width of the box" in caplog.text


def test_negative_masses_are_refused():
    mm = water_box(2)
    checks.check_positive_masses(mm.topology, mm.system)
    mm.system.setParticleMass(4, -0.357)
    with pytest.raises(InputFileError, match=r"\(atom 5\) has a mass of -0\.357 amu: set a sm"):
        checks.check_positive_masses(mm.topology, mm.system)


def two_molecules(shift):
    """Return a topology and coordinates of two methanols, the second shifted (nm)."""
    second = [(name, tuple(np.add(xyz, shift))) for name, xyz in ATOMS]
    return TOP.replace("MOL 1\n", "MOL 2\n"), gro([*ATOMS, *second])


def test_overlapping_atoms_are_refused(tmp_path):
    top, coordinates = two_molecules((0.0, 0.0, 0.01))
    with pytest.raises(
        InputFileError, match=r"overlapping atoms: .* 0\.010 nm apart \(pairs like this: 2\)"
    ):
        load(write(tmp_path, top, coordinates))
    top, coordinates = two_molecules((0.0, 0.0, 0.5))
    assert len(load(write(tmp_path, top, coordinates)).positions) == 12


def test_overlaps_with_periodic_images_are_refused(tmp_path):
    top, coordinates = two_molecules((3.0, -6.0, 3.0))  # whole edges of the box
    with pytest.raises(InputFileError, match="overlapping atoms"):
        load(write(tmp_path, top, coordinates))


def test_close_hydrogens_are_accepted(tmp_path):
    """Water built by OpenMM has such contacts, which a minimisation removes."""
    mm = water_box(3)
    positions = mm.positions.copy()
    positions[4] = positions[1] + 0.01
    checks.check_contacts(mm.topology, mm.system, positions, None)


def test_equal_coordinates_are_refused(tmp_path):
    mm = water_box(3)
    with pytest.raises(InputFileError, match="27 atoms lie at the same point"):
        checks.check_contacts(mm.topology, mm.system, np.zeros((81, 3)), None)


def test_close_excluded_pairs_and_virtual_sites_are_accepted():
    mm = water_box(3)
    positions = mm.positions.copy()
    excluded = next(f for f in mm.system.getForces() if isinstance(f, openmm.NonbondedForce))
    excluded.addException(0, 6, 0, 1, 0)
    positions[6] = positions[0] + 0.01
    checks.check_contacts(mm.topology, mm.system, positions, None)
    positions[3] = positions[0]
    with pytest.raises(InputFileError, match="overlapping atoms: O of HOH"):
        checks.check_contacts(mm.topology, mm.system, positions, None)
    mm.system.setParticleMass(3, 0.0)
    mm.system.setVirtualSite(3, openmm.TwoParticleAverageSite(4, 5, 0.5, 0.5))
    checks.check_contacts(mm.topology, mm.system, positions, None)

"""MM systems from Tinker files: options of a key file, and refused key words."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from conftest import shared_data
from openmm import unit
from tinker_files import HEADER, PEROXIDE, WATER, coordinates, write

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.structures.amoeba_terms import shorten_amoeba_terms
from nnpmm.structures.inputs import TinkerSystem, load_system

EWALD = "ewald\newald-cutoff 7.0\nvdw-cutoff 9.0\n"


@pytest.fixture
def files(tmp_path):
    """Settings of the small system, for tests to modify."""
    return {
        "type": "tinker",
        "xyz": coordinates(tmp_path),
        "parameters": (
            write(tmp_path, "force_field.prm", HEADER + WATER),
            write(tmp_path, "solute.prm", PEROXIDE),
        ),
    }


@pytest.fixture
def with_key(files, tmp_path):
    def load(text, **settings):
        key = write(tmp_path, "run.key", text)
        return load_system(TinkerSystem(**{**files, "key": key, **settings}))

    return load


def force_of(mm, kind):
    (force,) = [f for f in mm.system.getForces() if isinstance(f, kind)]
    return force


def multipoles(mm):
    return force_of(mm, openmm.AmoebaMultipoleForce)


def vdw(mm):
    return force_of(mm, openmm.AmoebaVdwForce)


def test_defaults_without_a_key_file(files):
    mm = load_system(TinkerSystem(**{**files, "vdw_cutoff": 0.9}))
    assert mm.topology.getNumAtoms() == 4 + 40 * 3
    np.testing.assert_allclose(mm.box_vectors, np.diag([2.0, 2.0, 2.0]))
    assert multipoles(mm).getCutoffDistance() == 0.7 * unit.nanometer
    assert multipoles(mm).getMutualInducedTargetEpsilon() == 1e-5
    assert multipoles(mm).getPolarizationType() == openmm.AmoebaMultipoleForce.Mutual
    assert vdw(mm).getUseDispersionCorrection()


def test_constants_of_earlier_files_are_kept(files):
    """OpenMM's reader would fall back to its own torsionunit, as the second file has none."""
    mm = load_system(TinkerSystem(**{**files, "vdw_cutoff": 0.9}))
    torsions = force_of(mm, openmm.PeriodicTorsionForce)
    heights = [
        torsions.getTorsionParameters(k)[-1]._value for k in range(torsions.getNumTorsions())
    ]
    np.testing.assert_allclose(sorted(heights), [0.5 * 0.5 * 4.184, 0.5 * 4.184, 1.0 * 4.184])


def test_the_options_of_a_key_file_are_used(with_key):
    mm = with_key(
        "ewald\newald-cutoff 6.5\nvdw-cutoff 8.0\nvdw-correction\npolar-eps 0.0001\n"
        "polarization direct\npme-grid 32 36 40\newald-alpha 0.5\nverbose\nintegrator respa\n"
    )
    assert multipoles(mm).getCutoffDistance()._value == pytest.approx(0.65)
    assert vdw(mm).getCutoffDistance()._value == pytest.approx(0.8)
    assert vdw(mm).getUseDispersionCorrection()
    assert multipoles(mm).getMutualInducedTargetEpsilon() == 1e-4
    assert multipoles(mm).getPolarizationType() == openmm.AmoebaMultipoleForce.Direct
    alpha, *grid = multipoles(mm).getPMEParameters()
    assert (alpha._value if unit.is_quantity(alpha) else alpha) == pytest.approx(5.0)
    assert grid == [32, 36, 40]


def test_tinkers_defaults_for_missing_key_words(with_key):
    """An Ewald coefficient of 0.5446 per angstrom for 7 angstrom is Tinker's own output."""
    mm = with_key("ewald\n")
    assert multipoles(mm).getCutoffDistance()._value == pytest.approx(0.7)
    assert vdw(mm).getCutoffDistance()._value == pytest.approx(0.9)
    assert not vdw(mm).getUseDispersionCorrection()
    alpha, *grid = multipoles(mm).getPMEParameters()
    assert (alpha._value if unit.is_quantity(alpha) else alpha) == pytest.approx(5.446, abs=1e-3)
    assert grid == [24, 24, 24]


@pytest.mark.parametrize(
    ("axes", "edges"),
    [
        ("a-axis 21.0\nc-axis 22.0\n", [2.1, 2.1, 2.2]),
        ("b-axis 21.0\nc-axis 22.0\n", [2.2, 2.1, 2.2]),
        ("c-axis 21.0\n", [2.1, 2.1, 2.1]),
        ("a-axis 21.0\na-axis 22.0\n", [2.1, 2.1, 2.1]),
    ],
)
def test_box_of_the_key_file(files, tmp_path, with_key, axes, edges):
    """Edges that are not given are those of Tinker's subroutine unitcell."""
    files["xyz"] = coordinates(tmp_path, box=False)
    np.testing.assert_allclose(with_key(EWALD + axes).box_vectors, np.diag(edges))


def test_group_of_the_network(with_key):
    mm = with_key(EWALD + "mlpot embedding\ngroup 1 -1 4\ngroup 2 5 6 7\n")
    assert mm.ligand_atoms.tolist() == [0, 1, 2, 3]
    assert with_key(EWALD + "group 1 -1 4\n").ligand_atoms is None


def test_heavy_hydrogens_of_flexible_water(files):
    mm = load_system(TinkerSystem(**{**files, "vdw_cutoff": 0.9, "hydrogen_mass": 3.0}))
    masses = [mm.system.getParticleMass(k)._value for k in range(4, 7)]
    np.testing.assert_allclose(masses, [15.999 - 2 * (3.0 - 1.008), 3.0, 3.0])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (EWALD + "vdwterm none\n", "line 4: found the key word 'vdwterm'"),
        (EWALD + "restrain-groups 1 2 15.0 0\n", "'restrain-groups'"),
        (EWALD + "ele-lambda 0.1\n", "found ele-lambda 0.1, allowed with OpenMM's AMOEBA: 1"),
        (EWALD + "mpole-14-scale 0.5\n", "found mpole-14-scale 0.5"),
        (EWALD + "heavy-hydrogen\n", "'heavy-hydrogen'"),
        (EWALD + "pme-order 6\n", "found pme-order 6"),
        (EWALD + "polarization tcg2\n", "found polarization tcg2, allowed: mutual"),
        (EWALD + "mlpot only\n", "found mlpot only, allowed: embedding"),
        (EWALD + "mlpot embedding\n", "0 definitions of group 1"),
        ("vdw-cutoff 9.0\n", "has no key word ewald"),
        (EWALD + "a-axis 25.0\n", "found different boxes in system.xyz and run.key"),
    ],
)
def test_unsupported_key_words_are_refused(with_key, text, match):
    with pytest.raises(ConfigError, match=match):
        with_key(text)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (EWALD + "mlpot embedding\ngroup 1 -1 400\n", "atoms outside 1 to 124"),
        ("ewald\newald-cutoff seven\n", "cannot read 'ewald-cutoff seven'"),
        (EWALD + "bond 1 2 600.0 0.95\n", "both have bond 1 2, with different values"),
    ],
)
def test_invalid_key_files_are_refused(with_key, text, match):
    with pytest.raises(InputFileError, match=match):
        with_key(text)


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"cutoff": 0.8}, "system.cutoff: found 0.8, and ewald-cutoff in run.key"),
        ({"vdw_cutoff": 0.8}, "system.vdw_cutoff: found 0.8, and vdw-cutoff in run.key"),
        ({"box": (2.5, 2.5, 2.5)}, "found different boxes in system.xyz and system.box"),
    ],
)
def test_options_in_both_settings_and_key_file(with_key, setting, match):
    with pytest.raises(ConfigError, match=match):
        with_key(EWALD, **setting)


@pytest.mark.parametrize(
    ("left_out", "match"),
    [
        ("bond         11   11", r"no 'bond' for the classes 11-11 \(atoms O1-O2\)"),
        ("angle        11", r"no 'angle' for the classes 11-11-12 \(atoms"),
        ("torsion", r"no 'torsion' for the classes 12-11-11-12 \(atoms H3-O1-O2-H4\)"),
        ("vdw          12", r"no 'vdw' for the classes 12 \(atom H3\)"),
        ("polarize     12", r"no 'polarize' for the types 12 \(atom H3\)"),
    ],
)
def test_missing_parameters_are_named_with_their_atoms(files, tmp_path, left_out, match):
    kept = [line for line in PEROXIDE.splitlines() if not line.startswith(left_out)]
    assert len(kept) < len(PEROXIDE.splitlines())
    solute = write(tmp_path, "incomplete.prm", "\n".join(kept))
    with pytest.raises(InputFileError, match=match):
        load_system(TinkerSystem(**{**files, "parameters": (files["parameters"][0], solute)}))


def test_multipoles_that_differ_only_after_the_charge(files, tmp_path):
    """Dipole and quadrupole are on lines of their own."""
    lines = PEROXIDE.splitlines()
    (first,) = [n for n, line in enumerate(lines) if line.split()[:2] == ["multipole", "11"]]
    block = lines[first : first + 5]
    same = write(tmp_path, "same.prm", "\n".join(block) + "\n")
    settings = {**files, "vdw_cutoff": 0.9}
    load_system(TinkerSystem(**{**settings, "parameters": (*files["parameters"], same)}))
    block[3] = block[3].replace("-0.15000", "-0.16000")
    other = write(tmp_path, "other.prm", "\n".join(block) + "\n")
    with pytest.raises(InputFileError, match="both have multipole 11 11 12, with different values"):
        load_system(TinkerSystem(**{**settings, "parameters": (*files["parameters"], other)}))


def test_unknown_atom_type_is_refused(files):
    with pytest.raises(InputFileError, match="Atom type 11 not found"):
        load_system(TinkerSystem(**{**files, "parameters": files["parameters"][:1]}))


def test_a_thole_factor_for_a_pair(files, tmp_path):
    extra = write(tmp_path, "pair.prm", "polpair 1 11 0.3\n")
    with pytest.raises(InputFileError, match=r"types 1 and 11 have a Thole factor .*polpair"):
        load_system(TinkerSystem(**{**files, "parameters": (*files["parameters"], extra)}))


def test_box_smaller_than_twice_the_cutoff_is_refused(files):
    with pytest.raises(ConfigError, match=r"vdw_cutoff .* found 1.2 nm, allowed: at most 1 nm"):
        load_system(TinkerSystem(**files))


def test_missing_box_is_refused(files, tmp_path):
    files["xyz"] = coordinates(tmp_path, box=False)
    with pytest.raises(ConfigError, match="found PME, but neither the xyz file"):
        load_system(TinkerSystem(**files))
    mm = load_system(TinkerSystem(**{**files, "nonbonded_method": "NoCutoff"}))
    assert not mm.system.usesPeriodicBoundaryConditions()


def test_molecules_with_scattered_atoms(files, tmp_path):
    """OpenMM would list the atoms of such a file in another order than the coordinates."""
    lines = files["xyz"].read_text().splitlines()
    swapped = {"4": "5", "5": "4"}
    rows = [line.split() for line in lines[2:]]
    for row in rows:
        row[0] = swapped.get(row[0], row[0])
        row[6:] = [swapped.get(b, b) for b in row[6:]]
    rows[3], rows[4] = rows[4], rows[3]
    files["xyz"] = write(
        tmp_path, "mixed.xyz", "\n".join([*lines[:2], *(" ".join(row) for row in rows)]) + "\n"
    )
    with pytest.raises(InputFileError, match="write the atoms molecule by molecule"):
        load_system(TinkerSystem(**{**files, "vdw_cutoff": 0.9}))


def test_key_words_of_a_run_in_a_parameter_file(files, tmp_path, caplog):
    extra = write(tmp_path, "more.prm", "ele-lambda 0.1\nvdw-cutoff 5.0\n")
    settings = {**files, "parameters": (*files["parameters"], extra), "vdw_cutoff": 0.9}
    mm = load_system(TinkerSystem(**settings))
    assert vdw(mm).getCutoffDistance()._value == pytest.approx(0.9)
    assert "not read, as in Tinker (ele-lambda 0.1, vdw-cutoff 5.0)" in caplog.text


# kcal/mol, of Tinker's program analyze, as OpenMM's own test of its reader quotes it.
TINKER = {
    "AmoebaBondForce": 1104.0455,
    "angles": 602.7082,
    "AmoebaStretchBendForce": -0.1361,
    "HarmonicBondForce": -33.8595,
    "AmoebaOutOfPlaneBendForce": 2.0572,
    "PeriodicTorsionForce": -0.8625,
}


@pytest.mark.data
@pytest.mark.slow
def test_valence_energies_equal_those_of_tinker():
    folder = shared_data("phenol-amoeba")
    parameters = (folder / "amoebabio18.prm", folder / "amoeba_phenol.prm")
    source = TinkerSystem(
        type="tinker", xyz=folder / "amoeba_solvated_phenol.xyz", parameters=parameters
    )
    mm = load_system(source)
    found = {name: energy / 4.184 for name, energy in valence_energies(mm).items()}
    found["angles"] = found.pop("AmoebaAngleForce") + found.pop("AmoebaInPlaneAngleForce")
    for name, expected in TINKER.items():
        assert found[name] == pytest.approx(expected, abs=max(1e-4, 1e-5 * abs(expected)))


def valence_energies(mm):
    system, names = openmm.System(), []
    shorten_amoeba_terms(mm.system)
    for index in range(mm.system.getNumParticles()):
        system.addParticle(mm.system.getParticleMass(index))
    for force in mm.system.getForces():
        if isinstance(force, (openmm.AmoebaMultipoleForce, openmm.AmoebaVdwForce)):
            continue
        copied = copy.deepcopy(force)
        copied.setForceGroup(len(names))
        names.append(force.getName())
        system.addForce(copied)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(mm.positions)
    return {
        name: context.getState(energy=True, groups={group}).getPotentialEnergy()._value
        for group, name in enumerate(names)
    }

"""Binding free energies: from a complex to a number, its parts, its error and a report."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import openmm
import pytest
from campaign_jobs import assert_job_finds
from cases import energy_and_forces
from complexes import write_pdb
from conftest import shared_data
from force_fields import dipeptide
from rdkit import Chem

from nnpmm.cli.main import main
from nnpmm.core.errors import ConfigError, RegionError, SelectionError, SimulationError
from nnpmm.core.settings.reading import parse_settings, read_settings
from nnpmm.coupling.forces import find_nonbonded_force
from nnpmm.freeenergy.binding import BindingSettings, create_restraint_force, run_binding
from nnpmm.freeenergy.binding.boresch import mean_restraint_energy
from nnpmm.freeenergy.binding.complexes import ligand_in_water, load_complex
from nnpmm.freeenergy.binding.ladders import complex_leg, leg_states
from nnpmm.freeenergy.binding.pilot import run_pilot
from nnpmm.freeenergy.binding.result import restraint_energies_of_states
from nnpmm.freeenergy.binding.site import Solute
from nnpmm.freeenergy.binding.template import template
from nnpmm.freeenergy.legs import create_simulation
from nnpmm.sampling import read_samples
from nnpmm.structures import load_system, molecule_from_smiles

TIMES = {
    "time": "2 ps",
    "interval": "0.1 ps",
    "equilibration": "1 ps",
    "state_equilibration": "0.2 ps",
    "electrostatics": [1, 0.75, 0.5, 0.25, 0],
    "sterics": [0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0],
}
SMALL = {
    "padding": "0.6 nm",
    "model": "ANI-1x",
    "members": [0],
    "network": [1.0],
    "platform": "CPU",
    "threads": 1,
    "restraint": {
        "distance_constant": 1000.0,
        "angle_constant": 200.0,  # so weak that the angles of any short run are allowed
        "site_radius": "1.5 nm",
    },
    "pilot": {"equilibration": "1 ps", "length": "2 ps", "interval": "0.1 ps"},
    "complex_ladder": {**TIMES, "restraints": [0, 0.01, 0.06, 0.3, 1]},
    "solvent_ladder": TIMES,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Ethanol next to alanine dipeptide, which stands for a protein."""
    folder = tmp_path_factory.mktemp("complex")
    protein = dipeptide()
    write_pdb(folder / "protein.pdb", protein.topology, protein.positions)
    ligand = molecule_from_smiles("CCO", seed=1)
    conformer = ligand.GetConformer()
    middle = np.array(protein.positions._value).mean(axis=0) * 10
    places = conformer.GetPositions() + middle + [0.0, 0.0, 4.5]
    for index, place in enumerate(places):
        conformer.SetAtomPosition(index, place.tolist())
    with Chem.SDWriter(str(folder / "ligand.sdf")) as writer:
        writer.write(ligand)
    return folder


def settings(folder, **changes) -> BindingSettings:
    system = {
        "type": "build",
        "ligand": str(folder / "ligand.sdf"),
        "protein": str(folder / "protein.pdb"),
        "padding": "0.6 nm",
        "cutoff": "0.6 nm",
    }
    return parse_settings(BindingSettings, {"system": system, **SMALL, **changes})


@pytest.fixture(scope="module")
def finished(files, tmp_path_factory):
    """A calculation with both potentials, far too short to be converged."""
    folder = tmp_path_factory.mktemp("binding")
    announced, reasons = [], []

    def announce(*ladder):
        announced.append(ladder)
        return lambda *_: None

    result = run_binding(settings(files), folder, announce=announce, explain=reasons.append)
    return folder, result, announced, reasons


@pytest.mark.slow
def test_run_calculates_a_binding_free_energy(files, finished):
    folder, result, announced, reasons = finished
    assert_job_finds("binding", settings(files), folder, result)
    assert [what for what, *_ in announced] == [
        "short run of the complex",
        "solvent joint",
        "complex joint",
    ]
    assert "no three of them in a ring" in reasons[0]
    assert reasons[-1].startswith("anchors: ")
    for potential, total in result.potentials.items():
        parts = result.parts[potential]
        assert total.value == pytest.approx(sum(part.value for part in parts.values()))
        assert 0 < total.error < 12
        # six seeds gave -52 to -27, 5 to 29 and 36 kJ/mol
        assert -100 < parts["complex"].value < 20
        assert -25 < parts["solvent"].value < 60
        assert 25 < parts["restraint"].value < 50
        assert parts["symmetry"].value == 0
    network, mm = (result.potentials[name] for name in ("network", "force field"))
    assert result.difference.value == pytest.approx(network.value - mm.value)
    record = json.loads((folder / "result.json").read_text())
    assert record["network"]["kcal/mol"] == pytest.approx(network.value / 4.184)
    assert record["ladders"]["complex joint"][0]["iterations"] == 20
    restraint = record["restraint"]
    assert restraint["release_kJ/mol"] == pytest.approx(restraint["release_stiff_kJ/mol"], abs=1)


@pytest.mark.slow
def test_restraint_energies_of_states_match_the_samples(finished, files):
    """The mean is about 3 kT, and the energies are those in the ladder's samples."""
    folder, result, _, _ = finished
    (leg,) = result.ladders["complex"]["joint"]
    energies = restraint_energies_of_states(leg)
    assert energies.shape == (20, len(leg.names))
    assert (energies > -1e-3).all()
    on, off = leg.names.index("restraint 1"), leg.names.index("restraint 0")
    found = leg.samples.energies[:, :5, on] - leg.samples.energies[:, :5, off]
    np.testing.assert_allclose(energies[:, :5], found, atol=1e-2, rtol=0)
    mm, solute = load_complex(settings(files)), None
    solute = Solute(mm)
    pilot = run_pilot(settings(files), mm, solute, folder / "pilot.safetensors", lambda *_: None)
    expected = mean_restraint_energy(pilot.restraint, 298.15)
    assert energies[:, leg.names.index("LJ 0")].mean() == pytest.approx(expected, abs=5)


@pytest.mark.slow
def test_report_warns_of_missing_convergence(finished):
    folder, _, _, _ = finished
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3 + 4 + 5
    assert "Not converged: 2 ps for each state" in page
    assert "by numerical integration, which is used" in page
    assert len(list((folder / "alchemlyb/complex-joint/repeat-1").glob("*.xvg"))) == 18


@pytest.mark.slow
def test_resume_continues_the_calculation(finished, files):
    """The same settings sample nothing; a longer time samples only the rest."""
    folder, first, _, _ = finished
    again = run_binding(settings(files), folder, resume=True)
    assert again.record == first.record
    before = read_samples(folder / "complex-joint/repeat-1").energies
    longer = {**SMALL["complex_ladder"], "time": "2.4 ps"}
    run_binding(settings(files, complex_ladder=longer), folder, resume=True)
    after = read_samples(folder / "complex-joint/repeat-1").energies
    assert len(after) == 24
    np.testing.assert_array_equal(after[:20], before)
    assert len(read_samples(folder / "solvent-joint/repeat-1").energies) == 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"temperature": "310 K"}, "started with temperature"),
        ({"restraint": {"distance_constant": 900.0}}, "started with restraint"),
        ({"pilot": {"length": "3 ps", "interval": "0.1 ps"}}, "started with pilot"),
    ],
)
def test_resume_with_other_settings_is_refused(finished, files, changes, words):
    folder, _, _, _ = finished
    with pytest.raises(ConfigError, match=words):
        run_binding(settings(files, **changes), folder, resume=True)
    with pytest.raises(ConfigError, match="contains a calculation; resume it"):
        run_binding(settings(files), folder)


@pytest.mark.slow
def test_unrestrained_alchemical_complex_equals_the_complex(finished, files):
    """At full interaction, restraint 0 and either potential; the restraint adds its energy."""
    folder, _, _, _ = finished
    chosen = settings(files)
    mm = load_complex(chosen)
    solute = Solute(mm)
    pilot = run_pilot(chosen, mm, solute, folder / "pilot.safetensors", lambda *_: None)
    leg = complex_leg(chosen, mm, pilot, solute, "joint")
    states = leg_states(chosen, "complex", "joint")
    index = [state.name for state in states].index("restraint 0")
    platform = openmm.Platform.getPlatformByName("Reference")

    def evaluate(system, state):
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        context.setPeriodicBoxVectors(*pilot.box)
        context.setPositions(pilot.positions)
        for name, value in state.items():
            context.setParameter(name, value)
        return energy_and_forces(context)

    energy, forces = evaluate(mm.system, {})
    found, found_forces = evaluate(leg.system, leg.states[index])
    assert found == pytest.approx(energy, abs=1e-3, rel=0)
    np.testing.assert_allclose(found_forces, forces, atol=1e-2, rtol=0)
    on, _ = evaluate(leg.system, {**leg.states[index], "lambda_restraints": 1.0})
    alone = openmm.System()
    for _ in range(mm.system.getNumParticles()):
        alone.addParticle(1.0)
    alone.addForce(create_restraint_force(pilot.restraint, periodic=True))
    expected, _ = evaluate(alone, {"lambda_restraints": 1.0})
    assert on - found == pytest.approx(expected, abs=1e-3, rel=0)


@pytest.mark.slow
def test_ladder_stops_if_the_ligand_leaves_its_site(finished, files):
    folder, _, _, _ = finished
    chosen = settings(files)
    mm = load_complex(chosen)
    solute = Solute(mm)
    pilot = run_pilot(chosen, mm, solute, folder / "pilot.safetensors", lambda *_: None)
    narrow = dataclasses.replace(pilot, site=dataclasses.replace(pilot.site, radius=1e-4))
    leg = complex_leg(chosen, mm, narrow, solute, "force field")
    context = create_simulation(chosen, leg.system, leg.mm, 1).context
    with pytest.raises(SimulationError, match="left its site while the ladder"):
        leg.watch(context)
    complex_leg(chosen, mm, pilot, solute, "force field").watch(context)


def test_charged_ligand_is_refused_before_parameterization(files, tmp_path, monkeypatch):
    molecule = molecule_from_smiles("CC[NH3+]", seed=1)
    with Chem.SDWriter(str(tmp_path / "ion.sdf")) as writer:
        writer.write(molecule)
    changed = settings(files).model_dump()
    changed["system"]["ligand"] = str(tmp_path / "ion.sdf")
    monkeypatch.setattr("nnpmm.freeenergy.binding.complexes.load_system", None)
    words = r"a ligand with a charge of \+1 e, allowed: neutral ligands, .* size of the box"
    with pytest.raises(RegionError, match=words):
        run_binding(BindingSettings.model_validate(changed), tmp_path / "out")


def test_fractional_total_charge_is_refused(files, monkeypatch):
    """They are refused before the short run, not by decoupling after it."""

    def load_changed(source, **options):
        mm = load_system(source, **options)
        force, atom = find_nonbonded_force(mm.system), int(mm.ligand_atoms[0])
        charge, *others = force.getParticleParameters(atom)
        force.setParticleParameters(atom, charge._value + 0.3, *others)
        return mm

    monkeypatch.setattr("nnpmm.freeenergy.binding.complexes.load_system", load_changed)
    with pytest.raises(RegionError, match=r"a ligand with a charge of \+0\.3 e, allowed"):
        load_complex(settings(files))


def test_short_run_stops_if_the_ligand_leaves_its_site(files, tmp_path):
    moving = settings(files, restraint={"site_radius": "0.01 nm"}, potentials=["force field"])
    with pytest.raises(SimulationError, match="left its site in the short run"):
        run_binding(moving, tmp_path)
    assert not (tmp_path / "pilot.safetensors").exists()


@pytest.mark.slow
def test_ligand_in_water_has_the_parameters_of_the_complex(files):
    """For the same geometry without a cutoff, the ligand's internal energy is the same."""
    chosen = settings(files)
    mm = load_complex(chosen)
    box = ligand_in_water(chosen, mm)
    n = len(mm.ligand_atoms)
    assert box.ligand_atoms.tolist() == list(range(n))
    masses = [mm.system.getParticleMass(int(i))._value for i in mm.ligand_atoms]
    assert [box.system.getParticleMass(i)._value for i in range(n)] == masses
    charges = []
    for system, atoms in ((mm.system, mm.ligand_atoms.tolist()), (box.system, range(n))):
        (force,) = [f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)]
        charges.append([force.getParticleParameters(i) for i in atoms])
    assert charges[0] == charges[1]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"selection": "resname ABC"}, SelectionError, "ABC"),
        ({"selection": "resname ALA and name CA"}, RegionError, "select whole molecules"),
        ({"restraint": {"anchors": [0, 1, 2, 3, 4, 5]}}, ConfigError, "three of the ligand"),
        ({"timestep": "5 fs"}, ConfigError, "timestep: found 5 fs, the limit is 4 fs"),
        ({"padding": "1.6 nm"}, ConfigError, "use a smaller padding"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(files, tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        run_binding(settings(files, potentials=["force field"], **changes), tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"complex_ladder": {"restraints": [0, 1, 0.5]}}, "values that rise from 0 to 1"),
        ({"symmetry_number": 0}, "must be >= 1"),
        ({"pilot": {"length": "1 ps", "interval": "1 ps"}}, "ten frames or more"),
        ({"network": [0.5]}, "weights that rise"),
        ({"system": {"type": "build", "smiles": "CO"}}, "a ligand without a protein"),
        (
            {"system": {"type": "amber", "topology": "a.prmtop", "coordinates": "a.rst7"}},
            "'selection' is missing",
        ),
    ],
)
def test_invalid_settings_are_refused(files, changes, words):
    with pytest.raises(ConfigError, match=words):
        settings(files, **changes)


def test_symmetry_number_contributes_its_logarithm(files):
    """If one of two equivalent poses is sampled, -kT ln 2 is added."""
    from nnpmm.freeenergy.binding import result

    kt = 8.31446261815324e-3 * 298.15
    chosen = settings(files, symmetry_number=14)
    assert result.symmetry_free_energy(chosen) == pytest.approx(-kt * np.log(14))
    assert result.symmetry_free_energy(settings(files)) == 0


def test_template_is_a_valid_settings_file(tmp_path):
    path = tmp_path / "binding.yaml"
    path.write_text(template())
    read = read_settings(BindingSettings, path)
    system = {"type": "amber", "topology": "complex.prmtop", "coordinates": "complex.inpcrd"}
    data = {"system": system, "selection": "resname LIG"}
    assert read == parse_settings(BindingSettings, data, base=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["found no complex", "--selection"]),
        (["--topology", "a.prmtop"], ["--coordinates is missing", "--topology"]),
        (["--protein", "a.pdb", "--topology", "a.prmtop"], ["--ligand and --protein"]),
        (
            ["--topology", "a.prmtop", "--coordinates", "a.rst7"],
            ["'selection' is missing"],
        ),
        (
            [
                *("--topology", "a.prmtop", "--coordinates", "a.rst7", "--selection", "resname B"),
                *("--model", "ANI-1x"),
            ],
            ["a.prmtop", "no such file"],
        ),
        (
            ["--topology", "a.top", "--coordinates", "a.gro", "--selection", "all", "--time", "0"],
            ["complex_ladder.time", "must be > 0"],
        ),
        (["none.yaml"], ["none.yaml"]),
    ],
)
def test_bad_arguments_give_one_line(call, tmp_path, arguments, words):
    result = call(main, "binding", *arguments, "-o", tmp_path / "out")
    result.assert_one_line_error(*words)


@pytest.mark.slow
def test_command_prints_the_result(call, finished, files):
    folder, _, _, _ = finished
    path = files / "again.yaml"
    system = {
        "type": "build",
        "ligand": "ligand.sdf",
        "protein": "protein.pdb",
        "padding": "0.6 nm",
        "cutoff": "0.6 nm",
    }
    path.write_text(json.dumps({"system": system, **SMALL}))
    result = call(main, "binding", path, "-o", folder, "--resume")
    assert result.status == 0, result.err
    for words in ("complex joint, repeat 1 of 1", "anchors: ", "restraint", "Not converged"):
        assert words in result.out


@pytest.mark.data
def test_amber_files_of_a_host_guest_complex():
    """CB7-B2: 126 + 30 atoms, and the guest's own box with the charges of the files."""
    folder = shared_data("cb7-b2")
    system = {
        "type": "amber",
        "topology": str(folder / "complex-explicit.prmtop"),
        "coordinates": str(folder / "complex-explicit.inpcrd"),
    }
    data = {"system": system, "selection": "resname B2", "padding": "0.75 nm"}
    chosen = parse_settings(BindingSettings, data)
    mm = load_complex(chosen)
    solute = Solute(mm)
    assert (len(solute.receptor), len(solute.ligand)) == (126, 30)
    assert ligand_in_water(chosen, mm).ligand_atoms.tolist() == list(range(30))

"""Solvation free energies of ions: required settings, and the finite-size correction."""

from __future__ import annotations

import json

import numpy as np
import pytest
from openmm import app
from rdkit import Chem

from nnpmm.cli.main import main
from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.core.errors import ConfigError, InputFileError, RegionError
from nnpmm.core.settings.reading import parse_settings
from nnpmm.freeenergy.solvation import SoluteSettings, SolvationSettings, run_solvation
from nnpmm.freeenergy.solvation.net_charge import correct_for_box, settings_for_solute
from nnpmm.freeenergy.solvation.preparation import prepare
from nnpmm.structures import create_ligand_system, to_openmm_topology
from nnpmm.structures.ligands.source import read_molecule

ION = {
    "solute": {"smiles": "C[NH3+]", "parameters": "fallback"},
    "padding": "0.6 nm",
    "cutoff": "0.6 nm",
    "potentials": ["force field"],
    "platform": "CPU",
    "threads": 1,
    "ladder": {
        "sterics": [0.8, 0.6, 0.4, 0.2, 0],
        "time": "2 ps",
        "interval": "0.1 ps",
        "equilibration": "2 ps",
        "state_equilibration": "0.2 ps",
    },
}


def settings(**changes) -> SolvationSettings:
    return parse_settings(SolvationSettings, {**ION, **changes})


@pytest.mark.slow
def test_command_calculates_the_solvation_free_energy_of_an_ion(call, tmp_path):
    """The intrinsic value of methylammonium is near -75 kcal/mol; MMFF94 and 2 ps are imprecise."""
    path = tmp_path / "ion.yaml"
    path.write_text(json.dumps(ION))
    result = call(main, "solvation", path, "--charge", 1, "-o", tmp_path / "out")
    assert result.status == 0, result.err
    assert "corrected for the size of the box: net charge " in result.out
    assert "zero of the potential: outside of the solvent's molecules" in result.out
    record = json.loads((tmp_path / "out/result.json").read_text())
    found, size = record["force field"], record["finite size"]
    assert found["in the box"]["kJ/mol"] + size["sum_kJ/mol"] == pytest.approx(found["kJ/mol"])
    assert -100 < found["kcal/mol"] < -60
    parts = [value for name, value in size.items() if name.endswith("_kJ/mol")]
    assert sum(parts) == pytest.approx(2 * size["sum_kJ/mol"])
    assert found["repeats"][0]["kJ/mol"] == pytest.approx(found["kJ/mol"])
    states = record["ladders"]["force field"]["states"]
    assert [name for name in states if name.startswith("q")] == [
        f"q {1 - n / 8:g}" for n in range(9)
    ]
    page = (tmp_path / "out/report.html").read_text()
    assert "force field in the box" in page and "discrete solvent" in page


@pytest.mark.parametrize("model", ["tip3p", "opc3", "opc", "tip4pew"])
def test_discrete_solvent_correction_of_each_water_model(tmp_path, model):
    """From the published geometries; M lies on the bisector."""
    geometry = {  # O-H, nm; H-O-H, degrees; O-M, nm; charge of H
        "tip3p": (0.09572, 104.52, 0.0, 0.417),
        "opc3": (0.09789, 109.47, 0.0, 0.447585),
        "opc": (0.08724, 103.6, 0.01594, 0.6791),
        "tip4pew": (0.09572, 104.52, 0.0125, 0.52422),
    }
    bond, _, site, charge = geometry[model]
    trace = 2 * charge * (bond**2 - site**2)
    wanted = settings(solvent={"name": model, "permittivity": 80})
    prepared = prepare(wanted, tmp_path)
    found = correct_for_box(wanted, prepared, np.array([20.0]))
    waters = sum(r.name == "HOH" for r in prepared.box.topology.residues())
    expected = -2 * np.pi / 3 * COULOMB_CONSTANT * trace * waters / 20.0
    assert found.discrete_solvent == pytest.approx(expected, rel=2e-3)
    assert found.net_charge == pytest.approx(0.5 * COULOMB_CONSTANT * 2.837297 / 20 ** (1 / 3))
    assert found.undersolvation == pytest.approx(-(1 - 1 / 80) * found.net_charge)
    assert 0 < found.integrated_potential < 3


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"solute": {"smiles": "C[NH3+]", "charge": 0}},
            RegionError,
            r"charge of \+1 e, allowed: \+0 e, as solute.charge says",
        ),
        (
            {"solvent": "toluene"},
            ConfigError,
            r"\+1 e in toluene, whose permittivity is not known; set solvent.permittivity",
        ),
        ({"solvent": "tip4pew"}, ConfigError, "TIP4PEW water, whose permittivity is not known"),
        (
            {"potentials": ["network"], "model": "ANI-1x"},
            RegionError,
            r"ANI-1x describes only neutral molecules; use .* AIMNet2",
        ),
    ],
)
def test_missing_settings_of_a_charged_solute_are_reported(tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        run_solvation(settings(**changes), tmp_path)


def test_number_of_states_depends_on_the_charge():
    assert settings_for_solute(settings()).ladder.electrostatics == tuple(
        1 - n / 8 for n in range(9)
    )
    double = settings(solute={"smiles": "C(C[NH3+])[NH3+]"})
    assert len(settings_for_solute(double).ladder.charge_factors()) == 17
    neutral = settings(solute={"smiles": "CO"})
    assert settings_for_solute(neutral).ladder.electrostatics == (1.0, 0.75, 0.5, 0.25, 0.0)
    given = settings(ladder={**ION["ladder"], "electrostatics": [1, 0.5, 0]})
    assert settings_for_solute(given).ladder.electrostatics == (1, 0.5, 0)
    other = settings(solvent={"name": "acetonitrile", "permittivity": 30})
    assert settings_for_solute(other).solvent.permittivity == 30


def test_a_neutral_solute_is_not_corrected(tmp_path):
    wanted = settings(solute={"smiles": "CO", "parameters": "fallback"})
    assert correct_for_box(wanted, prepare(wanted, tmp_path), np.array([20.0])) is None


def test_difference_between_potentials_needs_no_permittivity():
    """The correction does not apply: nothing is decoupled, and both ends have the same charges."""
    changes = {"potentials": ["network", "force field"], "route": "correction"}
    wanted = settings(solvent="toluene", model="AIMNet2", **changes)
    assert not wanted.decouples


def test_solute_charge_is_the_sum_of_the_amber_charges(tmp_path):
    parmed = pytest.importorskip("parmed")
    molecule, parameters = read_molecule(SoluteSettings(smiles="CC(=O)[O-]", parameters="fallback"))
    topology, positions = to_openmm_topology(molecule)
    structure = parmed.openmm.load_topology(
        topology, create_ligand_system(molecule, parameters), xyz=positions * 10
    )
    paths = tmp_path / "acetate.prmtop", tmp_path / "acetate.rst7"
    structure.save(str(paths[0]), format="amber")
    structure.save(str(paths[1]), format="rst7")
    files = {"topology": paths[0], "coordinates": paths[1]}
    assert settings_for_solute(settings(solute={**files, "charge": -1})).solute.charge == -1
    for atom in structure.atoms:
        atom.charge += 0.05
    structure.save(str(paths[0]), format="amber", overwrite=True)
    with pytest.raises(InputFileError, match=r"add up to -0\.650 e, allowed: an integer"):
        read_molecule(SoluteSettings(**files))


def test_monatomic_ion_has_the_charge_of_its_parameters(tmp_path):
    """The charge is that of the parameters, since there are no bonds to derive it from."""
    parmed = pytest.importorskip("parmed")
    topology = app.Topology()
    residue = topology.addResidue("NA", topology.addChain())
    topology.addAtom("NA", app.element.sodium, residue)
    system = app.ForceField("amber14/tip3p.xml").createSystem(topology)
    structure = parmed.openmm.load_topology(topology, system, xyz=[[0.0, 0.0, 0.0]])
    paths = tmp_path / "na.prmtop", tmp_path / "na.rst7"
    for path, kind in zip(paths, ("amber", "rst7"), strict=True):
        structure.save(str(path), format=kind)
    molecule, parameters = read_molecule(SoluteSettings(topology=paths[0], coordinates=paths[1]))
    assert Chem.GetFormalCharge(molecule) == 1
    np.testing.assert_array_equal(parameters.charges, [1.0])

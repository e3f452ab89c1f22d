"""A charged ligand in the settings of ``nnpmm run``, and the setting that allows it."""

from __future__ import annotations

import json
import logging

import openmm
import pytest

from nnpmm.core.errors import RegionError
from nnpmm.freeenergy.solvation import SoluteSettings, SolvationSettings, run_solvation
from nnpmm.simulation import parse_config, run
from nnpmm.simulation.runner import prepare_system
from nnpmm.simulation.stages import final_state

AMINE, ACETATE = "C[NH3+]", "CC(=O)[O-]"


def settings(smiles, folder="out", **region):
    return parse_config(
        {
            "system": {
                **{"type": "build", "smiles": smiles, "padding": "0.6 nm", "cutoff": "0.7 nm"},
                "parameters": "fallback",
            },
            "region": {"model": "ANI-1x", "members": 0, **region},
            "stages": {
                **{"minimize": {"max_iterations": 20}, "warmup": None, "equilibrate": None},
                "production": {"length": "2 fs"},
            },
            "output": {"directory": str(folder)},
        }
    )


@pytest.mark.parametrize(("smiles", "charge"), [(AMINE, "+1"), (ACETATE, "-1")])
def test_charged_region_is_refused_with_a_remedy(smiles, charge):
    with pytest.raises(RegionError) as error:
        prepare_system(settings(smiles))
    message = str(error.value)
    assert f"the region has charge {charge} e" in message
    assert "only neutral molecules" in message and "region.allow_charged" in message


@pytest.mark.parametrize(("smiles", "charge", "ion"), [(AMINE, 1, "CL"), (ACETATE, -1, "NA")])
def test_allow_charged_runs_a_charged_region(smiles, charge, ion, caplog):
    prepared = prepare_system(settings(smiles, allow_charged=True))
    assert prepared.hybrid.region.charge == charge
    residues = [residue.name for residue in prepared.mm.topology.residues()]
    assert residues.count(ion) == 1
    (force,) = [f for f in prepared.mm.system.getForces() if isinstance(f, openmm.NonbondedForce)]
    total = sum(force.getParticleParameters(i)[0]._value for i in range(force.getNumParticles()))
    assert total == pytest.approx(0, abs=1e-6)
    note = prepared.model_provenance["note"]
    assert f"does not see the charge of the region, {charge:+d} e in all" in note
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING].count(note) == 1


def test_report_shows_the_note_on_the_charge(tmp_path, monkeypatch):
    titles = []
    write = final_state.write_report

    def noted(*arguments, title, **options):
        titles.append(title)
        return write(*arguments, title=title, **options)

    monkeypatch.setattr(final_state, "write_report", noted)
    result = run(settings(AMINE, tmp_path / "run", allow_charged=True), progress=False)
    assert result.report is not None and result.report.exists()
    (title,) = titles
    assert title.startswith("allow_charged: true: ANI-1x, trained on neutral molecules")
    record = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert record["sessions"][0]["model"]["note"] == title
    assert record["sessions"][0]["model"]["ligand_parameters"].startswith("fallback")


def test_neutral_network_is_refused_for_a_charged_solute(tmp_path):
    solute = SoluteSettings(smiles=ACETATE, parameters="fallback")
    with pytest.raises(RegionError, match=r"charge of -1 e, but ANI-1x .* as AIMNet2"):
        run_solvation(SolvationSettings(solute=solute, model="ANI-1x"), tmp_path)

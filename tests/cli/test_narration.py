"""A run describes itself before its first step; a dry run estimates its cost."""

from __future__ import annotations

import io
import logging
import re

import openmm
import pytest
from complexes import Inputs, methanol_system
from openmm import unit

from nnpmm import simulation
from nnpmm.cli.main import main
from nnpmm.cli.narration import starting
from nnpmm.simulation.preparation import narration


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    monkeypatch.delenv("NNPMM_MODEL_DIR", raising=False)
    (tmp_path / "in").mkdir()
    return Inputs(tmp_path / "in")


def facts(text):
    """The facts by name; a name stands at the beginning of its line."""
    return dict(re.findall(r"^([a-z]+(?: step)?) {2,}(.+)$", text, flags=re.M))


def test_run_prints_its_preparation(inputs, call):
    path = inputs.write_settings()
    result = call(main, "run", path)
    assert result.status == 0, result.err
    found = facts(result.out)
    assert found["settings"] == str(path)
    assert found["stages"] == "production 0.002 ps (NVT, 300 K)"
    assert found["results"] == str(inputs.folder / "out")
    assert found["system"] == "18 atoms, no periodic box"
    assert found["region"] == "CH4O, 6 atoms, residue MOL 1"
    assert found["charge"] == "0 e"
    assert found["model"].startswith("ANI-1x, 1 network; backend cpu, device cpu")
    assert "torchani" in found["weights"]
    assert re.match(r"0\.5 fs; limit \S+ fs \(.+\)", found["time step"])
    assert found["platform"] == "Reference"


def test_message_precedes_slow_steps(inputs, call):
    out = call(main, "run", inputs.write_settings()).out
    in_order = [
        "settings",
        "stages",
        "results",
        "reading system.xml and complex.pdb ...",
        "system",
        "region",
        "loading the network ANI-1x ...",
        "model",
        "coupling",
        "time step",
        "platform",
        "first forces",
        "production reached",
    ]
    places = [re.search(rf"^{re.escape(word)}", out, flags=re.M).start() for word in in_order]
    assert places == sorted(places)


def test_messages_are_printed_before_an_error(inputs, call):
    inputs.set("region.selection", "resname LIG")
    result = call(main, "run", inputs.write_settings())
    result.assert_one_line_error("resname LIG")  # stderr contains the error alone
    assert facts(result.out)["system"] == "18 atoms, no periodic box"
    assert "region" not in facts(result.out)


def test_refused_settings_print_no_messages(inputs, call):
    inputs.set("seed", 0)
    assert call(main, "run", inputs.write_settings()).out == ""


def test_library_prints_nothing(inputs, capsys):
    simulation.run(inputs.write_settings(), progress=False)
    assert capsys.readouterr() == ("", "")


def test_messages_can_be_logged_by_a_script(inputs, caplog):
    caplog.set_level(logging.INFO, narration.LOGGER.name)
    simulation.run(inputs.write_settings(), progress=False)
    assert any(message.startswith("region ") for message in caplog.messages)


def test_handler_is_removed_after_the_command(inputs, call, capsys):
    call(main, "run", inputs.write_settings())
    assert narration.LOGGER.handlers == [] and narration.LOGGER.propagate
    narration.fact("region", "another run")
    assert capsys.readouterr() == ("", "")


def test_charge_of_the_region_is_printed(inputs, call):
    inputs.set("region.model", "neutral.pt")
    inputs.settings["region"].pop("members")
    import torch

    class Flat(torch.nn.Module):
        def forward(self, positions: torch.Tensor) -> torch.Tensor:
            return (positions * 0.0).sum()

    torch.jit.script(Flat()).save(inputs.folder / "neutral.pt")
    system = methanol_system(inputs.topology)
    (nonbonded,) = [f for f in system.getForces() if f.getName() == "NonbondedForce"]
    q, sigma, epsilon = nonbonded.getParticleParameters(0)
    nonbonded.setParticleParameters(0, q - 1 * unit.elementary_charge, sigma, epsilon)
    inputs.write_system(system)
    result = call(main, "run", inputs.write_settings())
    assert result.status == 0, result.err
    assert facts(result.out)["charge"] == "-1 e in the force field"


@pytest.mark.parametrize("kind", ["dynamics", "minimisation", "respa"])
def test_dry_run_writes_nothing_and_prints_a_forecast(inputs, call, kind):
    stages = {"minimize": {"max_iterations": 5}, "warmup": None, "equilibrate": None}
    stages["production"] = None if kind == "minimisation" else {"length": "2 ps"}
    inputs.set("stages", stages)
    if kind == "respa":
        del inputs.settings["timestep"]
        inputs.set("integrator", {"type": "respa", "inner": "0.25 fs", "outer": "0.5 fs"})
        inputs.set("integrator.watchdog", None)
    path = inputs.write_settings()
    before = sorted(inputs.folder.rglob("*"))
    result = call(main, "run", path, "--dry-run")
    assert result.status == 0, result.err
    assert result.err == ""
    assert sorted(inputs.folder.rglob("*")) == before
    found = facts(result.out)
    assert found["region"] == "CH4O, 6 atoms, residue MOL 1"
    assert "kJ/mol" in found["energy"] and "ns/day" in found["speed"]
    assert ("production" in found) == (kind != "minimisation")
    assert result.out.splitlines()[-1] == f"nothing was written; start it with: nnpmm run {path}"


def test_forecast_adds_up(inputs):
    inputs.set("stages.equilibrate", {"length": "1 ps"})
    inputs.set("stages.production", {"length": "4 ps"})
    path = inputs.write_settings()
    forecast = simulation.dry_run(path)
    equilibrate, production = forecast.stages
    assert (equilibrate.name, production.name) == ("equilibrate", "production")
    assert production.seconds == pytest.approx(4 * equilibrate.seconds)
    assert production.seconds == pytest.approx(8000 * forecast.seconds_per_step)
    per_day = 86400 / production.seconds * 0.004
    assert forecast.ns_per_day == pytest.approx(per_day)
    prepared = simulation.prepare_system(simulation.load_config(path))
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(prepared.hybrid.system, openmm.VerletIntegrator(0.001), reference)
    context.setPositions(prepared.mm.positions)
    energy = context.getState(energy=True).getPotentialEnergy()._value
    assert forecast.potential_energy == pytest.approx(energy, abs=0.01)


def test_dry_run_reports_the_errors_of_a_run(inputs, call):
    inputs.set("ensemble", {"type": "NPT"})
    call(main, "run", inputs.write_settings(), "--dry-run").assert_one_line_error("NPT", "NVT")


def test_dry_run_in_the_folder_of_a_run(inputs, call):
    path = inputs.write_settings()
    call(main, "run", path)
    before = {p: p.stat().st_mtime_ns for p in inputs.folder.rglob("*")}
    result = call(main, "run", path, "--dry-run")
    assert result.status == 0
    assert "--overwrite" in result.out and "--resume" in result.out
    assert {p: p.stat().st_mtime_ns for p in inputs.folder.rglob("*")} == before


def test_dry_run_and_resume_exclude_each_other(inputs, call):
    result = call(main, "run", inputs.write_settings(), "--dry-run", "--resume")
    result.assert_one_line_error("--dry-run and --resume", "one of them")


def test_overlapping_atoms_are_reported(inputs, call):
    path = inputs.folder / "complex.pdb"
    lines = path.read_text().splitlines()
    rows = [i for i, line in enumerate(lines) if line.startswith("HETATM")]
    lines[rows[-1]] = lines[rows[-1]][:30] + lines[rows[-4]][30:54] + lines[rows[-1]][54:]
    path.write_text("\n".join(lines) + "\n")
    result = call(main, "run", inputs.write_settings(), "--dry-run")
    result.assert_one_line_error("the simulation cannot start", "not finite", "atoms overlap")


def test_terminal_shows_a_message_during_imports(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with starting():
        assert screen.getvalue() == "starting nnpmm ..."
    assert screen.getvalue().endswith("\r\033[K")  # nothing of it is left

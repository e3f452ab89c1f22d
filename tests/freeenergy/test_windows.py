"""Independent windows: the same ladder as jobs, with the same files and result."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_ladders import METHANE

from nnpmm.campaigns import ClusterSettings
from nnpmm.cli.main import main
from nnpmm.core.errors import ConfigError, InputFileError, SimulationError
from nnpmm.core.settings.reading import parse_settings
from nnpmm.freeenergy.solvation import SolvationSettings, run_solvation
from nnpmm.sampling import read_samples

APART = {
    "sterics": [0.6, 0.45, 0.3, 0],
    "time": "4 ps",
    "state_equilibration": "1 ps",
    "exchange": False,
}


def settings(**ladder) -> SolvationSettings:
    return parse_settings(
        SolvationSettings, {**METHANE, "ladder": {**METHANE["ladder"], **APART, **ladder}}
    )


@pytest.mark.slow
def test_windows_sampled_by_dask_workers(tmp_path):
    """Two workers sample the windows; a longer run continues each of them."""
    calls = []
    result = run_solvation(
        settings(),
        tmp_path / "apart",
        cluster=ClusterSettings(kind="local", workers=2),
        windows=lambda job, done, total: calls.append((job.done, done, total)),
    )
    assert calls == [(True, n, 6) for n in range(1, 7)]
    ladder = tmp_path / "apart/force-field/repeat-1"
    before = read_samples(ladder)
    assert before.energies.shape == (40, 6, 6)
    np.testing.assert_array_equal(before.mixing, np.eye(6))
    page = (tmp_path / "apart/report.html").read_text()
    assert page.count("data:image/png;base64,") == 3  # no mixing
    assert len(list((tmp_path / "apart/alchemlyb/force-field/repeat-1").glob("*.xvg"))) == 6
    longer = run_solvation(settings(time="5 ps"), tmp_path / "apart", resume=True)
    after = read_samples(ladder)
    assert len(after.energies) == 50
    np.testing.assert_array_equal(after.energies[:40], before.energies)
    for found in (result, longer):  # 10 kJ/mol; a few ps are enough for its size
        assert -15 < found.potentials["force field"].value < 35
    assert result.potentials["force field"].error < 5


def test_windows_use_the_chosen_parameters(tmp_path, monkeypatch):
    """Workers do not choose the providers by ``auto`` again."""
    from nnpmm.freeenergy.solvation import workflow

    calls = []
    monkeypatch.setattr(workflow, "sample_windows", lambda found, *_: calls.append(found))
    solutes = {"solute": {"smiles": "C"}, "solvent": "tip3p"}
    wanted = parse_settings(SolvationSettings, {**settings().model_dump(), **solutes})
    assert wanted.solute.parameters == "auto"
    with pytest.raises(InputFileError):  # nothing was sampled
        run_solvation(wanted, tmp_path)
    assert calls[0].solute.parameters == "fallback"
    assert calls[0].model_copy(update={"solute": wanted.solute}) == wanted


@pytest.mark.slow
def test_failed_windows_are_reported(tmp_path, monkeypatch):
    from nnpmm.freeenergy.solvation import windows

    def blow_up(*_, sampled, **__):
        raise SimulationError(f"state {sampled[0]} blew up")

    monkeypatch.setattr(windows, "sample_leg", blow_up)
    words = r"6 of 6 windows failed; force-field/repeat-1/state-00: .*state 0 blew up"
    with pytest.raises(SimulationError, match=words):
        run_solvation(settings(), tmp_path)


def test_exchange_cannot_be_changed_on_resume(tmp_path):
    (tmp_path / "settings.json").write_text(settings(exchange=True).model_dump_json())
    (tmp_path / "force-field").mkdir()  # something was sampled
    with pytest.raises(ConfigError, match="was started with ladder"):
        run_solvation(settings(), tmp_path, resume=True)


def test_workers_require_independent_windows(call, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(METHANE))
    result = call(main, "solvation", path, "--workers", 2, "-o", tmp_path / "out")
    result.assert_one_line_error("--workers or --cluster", "ladder.exchange off")

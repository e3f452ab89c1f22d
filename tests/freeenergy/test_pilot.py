"""A pilot run places the states of the decoupling ladder."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nnpmm.cli.main import main
from nnpmm.core.errors import ConfigError
from nnpmm.core.settings.reading import read_settings
from nnpmm.freeenergy.alchemy import decoupling_schedule
from nnpmm.freeenergy.solvation import SolvationSettings
from nnpmm.freeenergy.solvation.pilot import place_decoupling


def test_states_are_distributed_by_thermodynamic_length():
    """Length 2 of charges and 6 of Lennard-Jones: one and three of four intervals."""
    charges, sterics = place_decoupling((1, 0.5, 0), (0.5, 0), [1, 1, 2, 4], count=5)
    assert charges == (1.0, 0.0)
    assert len(sterics) == 3 and sterics[0] == pytest.approx(0.5, abs=1e-4)
    assert 0 == sterics[2] < sterics[1] < 0.5
    decoupling_schedule(charges, sterics)
    kept = place_decoupling((1, 0.5, 0), (0.5, 0), [1, 1, 1, 1])
    assert kept == ((1.0, 0.5, 0.0), (0.5, 0.0))


def test_each_stage_has_at_least_one_interval():
    assert place_decoupling((1, 0), (0.5, 0), [0.0, 3.0, 3.0], count=3) == ((1, 0), (0,))
    with pytest.raises(ConfigError, match="found 2 states to place, allowed: three"):
        place_decoupling((1, 0), (0.5, 0), [1.0, 3.0, 3.0], count=2)


@pytest.mark.slow
def test_pilot_command(call, tmp_path):
    config = tmp_path / "methane.yaml"
    ladder = {
        "electrostatics": [1, 0],
        "sterics": [0.6, 0.3, 0.2, 0.1, 0],
        "interval": "0.1 ps",
        "equilibration": "1 ps",
        "state_equilibration": "0.2 ps",
    }
    settings = {
        **{"solute": {"smiles": "C"}, "padding": "0.6 nm", "cutoff": "0.6 nm", "ladder": ladder},
        **{"platform": "CPU", "threads": 1},
    }
    config.write_text(json.dumps(settings))
    arguments = ("--pilot", "--time", "6 ps", "--states", 6, "-o", tmp_path / "pilot")
    result = call(main, "solvation", config, *arguments)
    assert result.status == 0, result.err
    assert "electrostatics: [1.0, 0.0]" in result.out  # methane has next to no charges
    found = read_settings(SolvationSettings, tmp_path / "pilot/settings.yaml")
    assert found.ladder.time == 1000 and found.potentials == ("network", "force field")
    sterics = np.array(found.ladder.sterics)
    assert len(sterics) == 4 and (np.diff(sterics) < 0).all() and sterics[-1] == 0


def test_states_option_requires_a_pilot(call, tmp_path):
    result = call(main, "solvation", "--smiles", "C", "--states", 5, "-o", tmp_path / "out")
    result.assert_one_line_error("--states requires --pilot")

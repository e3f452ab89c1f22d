"""A complete run of a built box has the temperature and density of its settings."""

from __future__ import annotations

import numpy as np
import pytest
from pymbar import timeseries

from nnpmm.simulation import parse_config, run
from nnpmm.simulation.preparation.density import expected_density
from nnpmm.simulation.record.energy_log import Thermometer, read_log
from nnpmm.simulation.runner import prepare_system


def settings(folder):
    return parse_config(
        {
            "system": {"type": "build", "smiles": "CO", "padding": "0.6 nm", "cutoff": "0.5 nm"},
            "region": {"model": "ANI-1x", "members": 0},
            "timestep": "1 fs",
            "ensemble": {"temperature": "300 K", "friction": "5 1/ps", "barostat_interval": 5},
            "stages": {
                "minimize": {"max_iterations": 100},
                "warmup": {"length": "0.5 ps"},
                "equilibrate": {"length": "1.5 ps"},
                "production": {"length": "8 ps"},
            },
            "output": {
                "directory": folder,
                "trajectory_interval": "1 ps",
                "log_interval": "10 fs",
                "checkpoint_interval": "1 ps",
            },
            "platform": {"name": "CPU", "threads": 1},
        }
    )


@pytest.mark.slow
def test_production_has_the_set_temperature_and_density(tmp_path):
    config = settings(tmp_path / "run")
    result = run(config, progress=False)
    stages, log = read_log(result.log)
    production = np.array(stages) == "production"
    temperature = log["temperature_k"][production]
    prepared = prepare_system(config)

    # The relative standard deviation of the kinetic energy is sqrt(2 / degrees of freedom).
    freedom = Thermometer(prepared.hybrid.system).degrees_of_freedom
    inefficiency = timeseries.statistical_inefficiency(temperature)
    sigma = 300.0 * np.sqrt(2 / freedom * inefficiency / len(temperature))
    assert sigma < 5.0
    # Runs are not reproducible. Chance exceeds four standard errors once in 16,000 runs.
    assert abs(temperature.mean() - 300.0) < 4 * sigma
    assert temperature.std() == pytest.approx(300.0 * np.sqrt(2 / freedom), rel=0.25)

    # The tolerance covers the error of the estimate and fluctuations of the volume. The density of
    # the built box, with gaps around the solute, is outside.
    mm = prepared.mm
    expected = expected_density(mm.topology, mm.system, "tip3p", config.ensemble)
    built = Thermometer(mm.system).density(np.linalg.det(mm.box_vectors))
    found = log["density_g_ml"][production].mean()
    assert abs(found - expected.density) < expected.tolerance
    assert built < expected.density - expected.tolerance

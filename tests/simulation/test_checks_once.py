"""A run performs each check before its first step only once."""

from __future__ import annotations

import functools
import importlib
from collections import Counter

import pytest
from runs import write_settings
from toys import SpringFamily, SpringModel, springs_alone, water_box

from nnpmm.simulation import run

CHECKS = (
    "nnpmm.simulation.runner.load_config",
    "nnpmm.simulation.settings.config.parse_settings",
    "nnpmm.simulation.runner.check_restraint",
    "nnpmm.simulation.runner.couple",
    "nnpmm.simulation.runner.region_limit",
    "nnpmm.simulation.protocol.check_prepared",
    "nnpmm.simulation.protocol.check_integrator",
    "nnpmm.simulation.protocol.choose_platform",
    "nnpmm.simulation.protocol.check_start",
)


@pytest.fixture
def counts(monkeypatch):
    """How often each function and method is called."""
    found = Counter()

    def count(owner, name, label):
        original = getattr(owner, name)

        @functools.wraps(original)
        def counted(*args, **kwargs):
            found[label] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    for path in CHECKS:
        module, name = path.rsplit(".", 1)
        count(importlib.import_module(module), name, name)
    for name in ("runner", "protocol"):  # both modules import this function
        module = importlib.import_module(f"nnpmm.simulation.{name}")
        count(module, "surroundings_limit", "surroundings_limit")
    count(SpringFamily, "load", "load")
    count(SpringModel, "bind", "bind")
    monkeypatch.setattr("nnpmm.models.registry.families", springs_alone)
    return found


def test_run_checks_everything_once(tmp_path, counts):
    write_settings(tmp_path, water_box(per_edge=3, periodic=True))
    run(tmp_path / "md.yaml", progress=False)
    names = {path.rsplit(".", 1)[1] for path in CHECKS} | {"load", "bind"}
    # The surroundings are checked once more before the network is loaded.
    assert counts == dict.fromkeys(names, 1) | {"surroundings_limit": 2}

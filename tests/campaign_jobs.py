"""Checks that every free-energy calculation must pass as the job of a campaign."""

from __future__ import annotations

import pytest

from nnpmm.calculations import calculate
from nnpmm.campaigns import Attempt


def assert_job_finds(command, settings, folder, result):
    """Check that the job of a campaign continues in a finished folder and returns its values."""
    given = settings.model_dump(mode="json")
    output = calculate(command, given, attempt=Attempt(folder, 1))
    values = dict(output.record["values"])
    found = {**result.potentials, "network minus force field": result.difference}
    expected = {}
    for name, one in found.items():
        if one is not None:
            expected[f"{name} (kcal/mol)"] = one.value / 4.184
            expected[f"{name} error (kcal/mol)"] = one.error / 4.184
    assert values == pytest.approx(expected, rel=0, abs=1e-9)

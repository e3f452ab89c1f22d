"""``import nnpmm`` alone reaches what the documentation calls by its full name."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nnpmm


@pytest.mark.parametrize(
    "name",
    ["integrators.create_respa_integrator", "freeenergy.reweight", "simulation.run"],
)
def test_import_nnpmm_reaches(name):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import nnpmm; print(nnpmm.{name}.__name__)"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == name.rpartition(".")[2]


def test_what_there_is_not_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'nnpmm' has no attribute 'nonsense'"):
        nnpmm.nonsense  # noqa: B018

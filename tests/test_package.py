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


@pytest.mark.parametrize("name", nnpmm.__all__)
def test_every_public_name_can_be_had(name):
    assert name in dir(nnpmm)
    assert getattr(nnpmm, name) is not None


def test_lazy_names_are_those_of_the_type_checker():
    """What stands under TYPE_CHECKING, for type checkers, is what is imported on demand."""
    import ast
    import inspect

    (block,) = [
        node
        for node in ast.parse(inspect.getsource(nnpmm)).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {alias.name for node in block.body for alias in node.names} - {"ModuleType"}
    assert seen == set(nnpmm._LAZY)
    assert seen <= set(nnpmm.__all__)

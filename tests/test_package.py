"""``import nnpmm`` alone reaches what the documentation calls by its full name."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize("package", [nnpmm, nnpmm.structures], ids=lambda p: p.__name__)
def test_lazy_names_are_those_of_the_type_checker(package):
    """What stands under TYPE_CHECKING, for type checkers, is what is imported on demand."""
    body = ast.parse(inspect.getsource(package)).body
    (block,) = [
        node
        for node in body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    (table,) = [node.value.args[1] for node in body if "lazy_names(" in ast.unparse(node)]
    seen = {alias.name: str(node.module) for node in block.body for alias in node.names}
    sources = ast.literal_eval(table)
    assert set(seen) == set(sources) <= set(package.__all__)
    for name, module in seen.items():
        assert sources[name] in (module, f"{module}.{name}")


def test_type_checkers_know_which_names_there_are_not():
    """With a ``__getattr__`` in its source a package has every name, also one that is misspelt."""
    sources = list(Path(nnpmm.__file__).parent.rglob("__init__.py"))
    assert sources
    assert not [path for path in sources if "__getattr__" in path.read_text()]

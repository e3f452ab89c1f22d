"""Learning knows nothing of what is learned: which modules it imports, at once and later."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nnpmm.learning

SOURCES = sorted(Path(nnpmm.learning.__file__).parent.rglob("*.py"))
ALLOWED = {"nnpmm._version", "nnpmm.core.section", "nnpmm.errors", "nnpmm.learning"}
CHEMISTRY = {"rdkit", "openmm", "mdtraj", "parmed", "openff", "torchani"}


def _imported(path):
    """Names of the modules that a file imports anywhere, also within functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            # `from nnpmm import errors` imports a module too
            names = [f"nnpmm.{a.name}" for a in node.names] if node.module == "nnpmm" else []
            yield from names or [node.module]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_what_a_module_imports(path):
    for name in _imported(path):
        within = name.startswith("nnpmm.learning.")
        assert not name.startswith("nnpmm") or name in ALLOWED or within, name
        assert name.partition(".")[0] not in CHEMISTRY, name


def test_importing_it_loads_no_science():
    code = "import sys, nnpmm.learning; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "nnpmm.learning.training" in loaded
    refused = ("permeation", "ligands", "models", "structures", "region", "simulation", "coupling")
    assert not {name for name in loaded if name.startswith(tuple(f"nnpmm.{r}" for r in refused))}
    assert not loaded & {"rdkit", "openmm", "mdtraj", "parmed", "matplotlib"}


def test_public_names():
    assert nnpmm.learning.__all__ == sorted(nnpmm.learning.__all__, key=_by_kind)
    assert all(getattr(nnpmm.learning, name) is not None for name in nnpmm.learning.__all__)


def _by_kind(name):
    """Order of ruff: constants, classes, functions."""
    return (not name.isupper(), not name[0].isupper(), name)

"""Imports point down, without cycles; modules stay small; packages name what they offer."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "nnpmm"
MODULES = sorted(PACKAGE.rglob("*.py"))
# From the top down. A module may import from its own subpackage and from the layers below it.
LAYERS = (
    ("cli", "diagnosis"),
    ("calculations",),
    ("permeation", "simulation", "benchmarking", "plugin"),
    ("analysis",),
    ("freeenergy",),
    ("sampling",),
    ("integrators",),
    ("coupling",),
    ("graphs",),
    ("conformers",),
    ("torsions",),
    ("engines",),
    ("campaigns", "learning"),
    ("models",),
    ("structures",),
    ("plots",),
    ("core",),
    ("_version",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# Benchmarks, the diagnosis and the command line import from every layer; `nnpmm` itself is lazy.
ABOVE_ALL = {"cli", "diagnosis", "benchmarking"}
# Subpackages that must not import each other.
INDEPENDENT = ({"permeation", "simulation"},)
# Subpackages without molecules, and all that they may import besides the standard library.
KNOWN_TO = {
    "core": {"nnpmm.core", "numpy", "openmm", "pydantic", "safetensors", "yaml"},
    "plots": {"nnpmm.plots", "nnpmm.core", "numpy", "matplotlib"},
    "campaigns": {
        *("nnpmm.campaigns", "nnpmm.core"),
        *("numpy", "pydantic", "yaml", "distributed", "dask_jobqueue", "pyarrow"),
    },
    "learning": {
        *("nnpmm.learning", "nnpmm.core", "nnpmm._version"),
        *("deeptime", "numpy", "pydantic", "safetensors", "scipy", "torch", "typing_extensions"),
    },
}
LONGEST = 400


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(path: Path) -> set[str]:
    """What a module imports, also within functions; what type checkers alone see does not count."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found.add(str(node.module))
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found - {"nnpmm"}


def imports_of(path: Path) -> set[str]:
    """Modules of the package that a module imports."""
    names = {name_of(module) for module in MODULES}
    return (imported_names(path) & names) - {name_of(path), "nnpmm"}


def package_of(module: str) -> str:
    return module.split(".")[1]


def test_every_module_has_a_layer():
    assert {package_of(name_of(path)) for path in MODULES if path.parent != PACKAGE} <= set(RANK)
    top = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert top <= set(RANK), top - set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path):
    module = name_of(path)
    if module == "nnpmm" or package_of(module) in ABOVE_ALL:
        return
    here = package_of(module)
    for other in imports_of(path):
        there = package_of(other)
        assert RANK[there] >= RANK[here], f"{module} imports {other}"
        assert {here, there} not in INDEPENDENT, f"{module} imports {other}"


@pytest.mark.parametrize("package", KNOWN_TO)
def test_imports_of_subpackages_without_molecules(package):
    for path in (PACKAGE / package).rglob("*.py"):
        for name in imported_names(path):
            parts = name.split(".")
            known = ".".join(parts[: 2 if parts[0] == "nnpmm" else 1])
            assert known in KNOWN_TO[package] | sys.stdlib_module_names, f"{path} imports {name}"


def test_there_are_no_import_cycles():
    graph = {name_of(path): imports_of(path) for path in MODULES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for other in graph[module]:
                # A package's __init__ imports its modules: only they can close a cycle.
                if not module.startswith(f"{other}."):
                    visit(other, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_fits_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.name == "__init__.py"], ids=name_of
)
def test_packages_name_what_they_offer(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    imports = any(
        isinstance(node, ast.ImportFrom) and node.module != "__future__" for node in tree.body
    )
    assert not imports or "__all__" in path.read_text()


def test_import_nnpmm_is_light():
    code = "import sys, nnpmm; print(sum(m.startswith('nnpmm') for m in sys.modules), *sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    count, *modules = answer.stdout.split()
    assert int(count) <= 8
    assert not {"torch", "openmm", "matplotlib", "numba", "rdkit", "numpy"} & set(modules)

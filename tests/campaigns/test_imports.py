"""Imports point down: permeation stands on campaigns, campaigns on core, core on nothing."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import nnpmm
from nnpmm import campaigns, core

OWN = {"core": {"core", "errors"}, "campaigns": {"campaigns", "core", "errors", "fields"}}
OTHERS = {
    "core": {"numpy", "safetensors"},
    "campaigns": {"numpy", "pydantic", "yaml", "distributed", "dask_jobqueue"},
}


def imported(path):
    """Yield the absolute names that a module imports anywhere, functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "nnpmm":
                yield from (f"nnpmm.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("package", ["core", "campaigns"])
def test_nothing_points_up(package):
    files = sorted((Path(nnpmm.__file__).parent / package).rglob("*.py"))
    assert len(files) > 3
    for path in files:
        for name in imported(path):
            first, _, rest = name.partition(".")
            if first == "nnpmm":
                assert rest.split(".")[0] in OWN[package], f"{path} imports {name}"
            elif first not in sys.stdlib_module_names:
                assert first in OTHERS[package], f"{path} imports {name}"


@pytest.mark.parametrize("package", [core, campaigns])
def test_all_public_names_can_be_had(package):
    public = {name for name in vars(package) if not name.startswith("_")}
    modules = {path.stem for path in Path(package.__path__[0]).glob("*.py")}
    assert public - modules - {"campaign"} == set(package.__all__) - modules

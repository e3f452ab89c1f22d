"""Modules that only POSIX systems have are asked for where they are used, not at import."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT

CODE = """
import importlib, sys
sys.modules.update(dict.fromkeys(("fcntl", "resource", "termios", "pwd", "grp")))
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def modules_of(package: str) -> list[str]:
    """Return the names of all modules of a subpackage."""
    paths = sorted((ROOT / "nnpmm" / package).rglob("*.py"))
    parts = (path.relative_to(ROOT).with_suffix("").parts for path in paths)
    return [".".join(p[:-1] if p[-1] == "__init__" else p) for p in parts]


@pytest.mark.parametrize("package", ["campaigns", "cli", "permeation"])
def test_imports_without_the_modules_of_posix(package):
    names = modules_of(package)
    assert len(names) > 5
    answer = subprocess.run([sys.executable, "-c", CODE, *names], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr

"""Help and version are fast: they import no slow library."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("matplotlib", "mdtraj", "numba", "openmm", "rdkit", "torch")
_SCRIPT = """
import sys
sys.argv = {arguments!r}
try:
    {statement}
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


def start(statement, *arguments):
    """Run a statement in a separate process; return its output and the heavy imports."""
    script = _SCRIPT.format(statement=statement, arguments=list(arguments), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.splitlines()[-1].removeprefix("imported:").split()


NNPMM = "from nnpmm.cli.main import main; main()"
COMMANDS = [
    [],
    ["run"],
    ["prepare"],
    ["init"],
    ["doctor"],
    ["demo"],
    ["benchmark"],
    ["benchmark", "md"],
    ["permeation"],
    ["permeation", "predict"],
    ["permeation", "dataset", "build"],
]


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words) or "nnpmm")
def test_help_of_every_command(command, option):
    out, imported = start(NNPMM, "nnpmm", *command, option)
    assert "Usage:" in out and imported == []


def test_nnpmm_without_arguments_shows_its_help():
    out, imported = start(NNPMM, "nnpmm")
    assert "prepare" in out and "init" in out and imported == []


def test_version():
    out, imported = start(NNPMM, "nnpmm", "--version")
    assert out.startswith("nnpmm 0.") and imported == []


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_of_prepare_nnp(option):
    statement = "from nnpmm.cli.prepare import main; main()"
    out, imported = start(statement, "prepare-nnp", option)
    assert "--selection" in out and imported == []


def test_import_nnpmm_is_light():
    assert start("import nnpmm; dir(nnpmm)", "python")[1] == []

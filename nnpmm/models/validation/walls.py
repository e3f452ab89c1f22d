"""Stretched bonds and close contacts cost energy, so atoms cannot fall into a hole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nnpmm.models.protocol import Evaluator
from nnpmm.models.validation.check import Check, Curve, Measurement, NotApplicable
from nnpmm.models.validation.probe import Probe

__all__ = ["CLOSE_CONTACTS", "STRETCHED_BONDS"]

_STEP = 0.005  # nm
_STRETCH = 0.4  # nm
_SHORTEST = 0.5  # of the length of a bond
_CLOSEST, _TOUCHING, _APART = 0.05, 0.15, 0.3  # nm, between atoms of two molecules
_APPROACHES = 6
_DIP = 10.0  # kJ/mol; less is a ripple


class _Path(NamedTuple):
    """Geometries (k, n, 3) of growing strain, what changes along them (k,), and a name."""

    name: str
    evaluator: Evaluator
    distances: NDArray[np.float64]
    geometries: NDArray[np.float64]


def _stretch(probe: Probe) -> Measurement:
    paths = list(_bonds_changed(probe, np.arange(0.0, _STRETCH, _STEP)))
    if not paths:
        raise NotApplicable("no bond of the molecule connects two parts")
    return _lowest_barrier(probe, paths)


def _press(probe: Probe) -> Measurement:
    return _lowest_barrier(probe, [*_bonds_changed(probe, None), *_approaches(probe)])


def _lowest_barrier(probe: Probe, paths: list[_Path]) -> Measurement:
    """Return the lowest energy at which a path turns down, above where it starts."""
    found, curves = [], []
    for path in paths:
        energies = path.evaluator.batch(path.geometries).energies
        # Molecules attract each other before they touch.
        touching = path.distances > _TOUCHING
        start = int(np.argmin(np.where(touching, energies, np.inf))) if touching.any() else 0
        start = 0 if path.evaluator is probe.evaluator else start
        energies = energies[start:] - energies[start]
        barrier, at = _barrier(energies)
        turns = at < len(energies) - 1
        note = f"{path.name}: rises up to the end"
        if turns:
            note = f"{path.name}: turns down at {path.distances[start + at]:.3f} nm and "
            note += f"{barrier:.0f} kJ/mol, to {energies[at:].min():.0f}"
        found.append((barrier, turns, note))
        curves.append(Curve(f"{probe.name}, {path.name}", path.distances[start:], energies))
    barrier, turns, note = min(found)
    turning = [each for each in found if each[1]]
    if turning and not turns:
        note = f"{note}; {min(turning)[2]}"
    return Measurement(barrier, note, tuple(curves))


def _barrier(energies: NDArray[np.float64]) -> tuple[float, int]:
    """Return the height, and its row, from which energies first fall by more than a ripple.

    The highest of all if they do not fall.
    """
    peaks = np.maximum.accumulate(energies)
    falls = np.flatnonzero(peaks - energies > _DIP)
    last = int(falls[0]) if len(falls) else len(energies)
    row = int(np.argmax(energies[:last]))
    return float(energies[row]), row


def _bonds_changed(probe: Probe, changes: NDArray[np.float64] | None) -> Iterator[_Path]:
    """Yield one bond of each pair of elements, stretched by lengths in nm, or shortened."""
    seen = set()
    for i, j in probe.bonds.tolist():
        kind = tuple(sorted((probe.symbols[i], probe.symbols[j])))
        moved = _one_side(len(probe.numbers), probe.bonds, i, j)
        if kind in seen or moved is None:
            continue
        seen.add(kind)
        apart = probe.minimum[j] - probe.minimum[i]
        length = float(np.linalg.norm(apart))
        steps = -np.arange(0.0, _SHORTEST * length, _STEP) if changes is None else changes
        geometries = np.repeat(probe.minimum[None], len(steps), axis=0)
        geometries[:, moved] += (steps[:, None] * apart / length)[:, None, :]
        name = f"{probe.symbols[i]}{i}-{probe.symbols[j]}{j}"
        yield _Path(name, probe.evaluator, length + steps, geometries)


def _one_side(n_atoms: int, bonds: NDArray[np.int64], i: int, j: int) -> NDArray[np.bool_] | None:
    """Return which atoms are on j's side of a bond, (n_atoms,), or None for a bond of a ring."""
    others = np.array([bond for bond in bonds.tolist() if set(bond) != {i, j}], dtype=np.int64)
    rows, columns = others.reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(n_atoms, n_atoms))
    _, parts = connected_components(graph, directed=False)
    return None if parts[i] == parts[j] else parts == parts[j]


def _approaches(probe: Probe) -> Iterator[_Path]:
    """Yield two rigid molecules that come closer along several directions."""
    if probe.pair is None:
        return
    n = len(probe.numbers)
    for seed in range(_APPROACHES):
        size = np.ptp(probe.minimum, axis=0).sum()
        path = []
        for separation in np.arange(_APART + size, 0.0, -_STEP):
            both = probe.two(separation, seed)
            table = np.linalg.norm(both[:n, None] - both[None, n:], axis=-1)
            if table.min() < _CLOSEST:
                break
            path.append((table.min(), both, np.unravel_index(table.argmin(), table.shape)))
        near = [each for each in path if each[0] < _APART]
        if len(near) < 2:
            continue
        distances, geometries, atoms = zip(*near, strict=True)
        i, j = atoms[-1]
        name = f"{probe.symbols[i]}{i}...{probe.symbols[j]}{j}"
        yield _Path(name, probe.pair, np.array(distances), np.array(geometries))


STRETCHED_BONDS = Check(
    "stretched bonds",
    _stretch,
    unit="kJ/mol",
    good=100.0,
    bad=50.0,
    figure="lowest barrier of a bond that is stretched by up to 0.4 nm, one of each kind",
    beyond="molecules fall apart in a simulation",
)
CLOSE_CONTACTS = Check(
    "close contacts",
    _press,
    unit="kJ/mol",
    good=100.0,
    bad=50.0,
    figure="lowest barrier against compressing a bond to half its length, or two molecules to an "
    "atomic distance of 0.05 nm",
    beyond="atoms collapse onto each other in a simulation",
)

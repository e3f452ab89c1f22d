"""Start structures: bilayers on a grid, water on a lattice, solutes in the widest gap.

They are deliberately crude, since minimisation and equilibration follow.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError
from nnpmm.permeation.martini.force_field import MoleculeType, lipid, water
from nnpmm.permeation.martini.geometry import (
    minimum_image,
    periodic_center,
    random_rotation,
    solute_shape,
)
from nnpmm.permeation.martini.system import Configuration, MartiniSystem

__all__ = [
    "ANTIFREEZE_FRACTION",
    "MINIMUM_EDGE",
    "build_bilayer",
    "build_water_box",
    "insert_solute",
    "require_room",
]

ANTIFREEZE_FRACTION = 0.1
#: Twice the cutoff of 1.2 nm, with a margin for the neighbour list and fluctuations of the box.
MINIMUM_EDGE = 2.75

_AREA_PER_LIPID = 0.75  # nm^2; more than in equilibrium, the barostat compresses it
_TAIL_OFFSET = 0.185  # nm; half the bond between the glycerol beads
_BEAD_SPACING = 0.30  # nm, along the lipid; gives the volume of the liquid at this area
_MIDPLANE_GAP = 0.20  # nm; distance of the last tail bead
_WATER_SPACING = 0.50  # nm; 8 beads/nm^3, the liquid has 8.3
_CLEARANCE = 0.43  # nm; least distance of lattice water from a solute
_TRIALS = 400


def require_room(box: NDArray[np.float64]) -> None:
    """Check that a box (3,), nm, is larger than twice the cutoff with its neighbour list.

    Raises:
        ConfigError: it is too small.
    """
    if float(np.min(box)) < MINIMUM_EDGE:
        raise ConfigError(
            f"found a box of {' x '.join(f'{edge:.2f}' for edge in box)} nm, edges must be at "
            f"least {MINIMUM_EDGE} nm for the cutoff of 1.2 nm: use a larger box or more lipids"
        )


def build_bilayer(
    lipids: Mapping[str, int], *, waters_per_lipid: float = 15.0, seed: int = 1
) -> tuple[MartiniSystem, Configuration]:
    """Build a bilayer without solute, its midplane at half the height of the box.

    Args:
        lipids: number of lipids in each of the two leaflets, by name.
        waters_per_lipid: beads of water, a tenth of them antifreeze, for each lipid.
        seed: of the places of lipids and antifreeze.

    Raises:
        ForceFieldError: an unknown lipid.
        ConfigError: too few lipids for the cutoff, or a number that makes no sense.
    """
    per_leaflet = sum(lipids.values())
    if not lipids or min(lipids.values()) < 1:
        raise ConfigError("found no lipids, or fewer than one of a kind: give at least one of each")
    if waters_per_lipid < 2.0:
        raise ConfigError(
            f"found {waters_per_lipid:g} waters per lipid, 2 or more are needed to separate "
            "periodic images"
        )
    kinds = [lipid(name) for name in lipids]
    rng = np.random.default_rng(seed)
    sites = int(np.ceil(np.sqrt(per_leaflet)))
    edge = float(np.sqrt(per_leaflet * _AREA_PER_LIPID))
    upper, lower = (
        _split(list(lipids.values()), _grid(sites, edge)[rng.permutation(sites**2)[:per_leaflet]])
        for _ in range(2)
    )
    parts = []
    for kind, above, below in zip(kinds, upper, lower, strict=True):
        shape = _lipid_shape(kind)
        mirrored = shape * np.array([1.0, 1.0, -1.0])
        parts += [shape + np.array([x, y, 0.0]) for x, y in above]
        parts += [mirrored + np.array([x, y, 0.0]) for x, y in below]
    membrane = np.concatenate(parts)
    n_water = round(waters_per_lipid * 2 * per_leaflet)
    solvent, height = _water_slab(n_water, edge, float(np.ptp(membrane[:, 2])) + 0.8, rng)
    positions = np.concatenate([membrane, solvent])
    positions[:, 2] += height / 2.0
    box = np.array([edge, edge, height])
    require_room(box)
    counts = [(kind, 2 * n) for kind, n in zip(kinds, lipids.values(), strict=True)]
    return MartiniSystem((*counts, *_waters(n_water))), Configuration(positions % box, box)


def build_water_box(
    solute: MoleculeType | None, *, edge: float = 3.0, seed: int = 1
) -> tuple[MartiniSystem, Configuration]:
    """Build a cube of water with 10 % antifreeze and, if given, one solute at its centre.

    Args:
        solute: the molecule, or None for water alone.
        edge: of the cube, nm.
        seed: of the places of antifreeze and the orientation of the solute.

    Raises:
        ConfigError: the cube is too small for the cutoff.
    """
    box = np.full(3, float(edge))
    require_room(box)
    rng = np.random.default_rng(seed)
    per_edge = round(edge / _WATER_SPACING)
    plane = (np.arange(per_edge) + 0.5) * edge / per_edge
    lattice = np.stack(np.meshgrid(plane, plane, plane), axis=-1).reshape(-1, 3)
    lattice = lattice + rng.uniform(-0.03, 0.03, lattice.shape)
    parts, molecules = [], []
    if solute is not None:
        shape = solute_shape(solute, rng) @ random_rotation(rng).T + edge / 2.0
        vectors = minimum_image(lattice[:, None] - shape[None], box)
        lattice = lattice[np.linalg.norm(vectors, axis=2).min(axis=1) > _CLEARANCE]
        parts, molecules = [shape], [(solute, 1)]
    solvent = lattice[rng.permutation(len(lattice))]
    positions = np.concatenate([solvent, *parts])
    system = MartiniSystem((*_waters(len(solvent)), *molecules))
    return system, Configuration(positions % box, box)


def insert_solute(
    system: MartiniSystem,
    configuration: Configuration,
    solute: MoleculeType,
    *,
    z: float = 0.0,
    seed: int = 1,
) -> tuple[MartiniSystem, Configuration]:
    """Add a solute at a height above the midplane, in the widest of many random gaps.

    The result has no velocities, since it has to be minimised.

    Args:
        system: the bilayer.
        configuration: its coordinates.
        solute: the molecule; it becomes the last one.
        z: height of its centre above the midplane, nm.
        seed: of places and orientations.
    """
    rng = np.random.default_rng(seed)
    box, others = configuration.box, configuration.positions
    middle = periodic_center(others[system.select("lipid"), 2], box[2])
    shape = solute_shape(solute, rng)
    best, widest = shape, -1.0
    for _ in range(_TRIALS):
        center = np.array([*rng.uniform(0.0, box[:2]), middle + z])
        trial = shape @ random_rotation(rng).T + center
        vectors = minimum_image(others[:, None] - trial[None], box)
        gap = float(np.linalg.norm(vectors, axis=2).min())
        if gap > widest:
            best, widest = trial, gap
    positions = np.concatenate([others, best])
    return MartiniSystem((*system.molecules, (solute, 1))), Configuration(positions % box, box)


def _grid(sites: int, edge: float) -> NDArray[np.float64]:
    """Return the (sites^2, 2) centres of the squares of a grid over a square, nm."""
    line = (np.arange(sites) + 0.5) * edge / sites
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def _split(counts: list[int], places: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return np.split(places, np.cumsum(counts)[:-1])


def _lipid_shape(kind: MoleculeType) -> NDArray[np.float64]:
    """Return the (n, 3) coordinates of a lipid of the upper leaflet, midplane at z = 0, nm."""
    letters = [bead.name[-1] for bead in kind.beads[4:]]
    longest = max(letters.count(letter) for letter in "AB")
    glycerol = _MIDPLANE_GAP + longest * _BEAD_SPACING
    a, b = -_TAIL_OFFSET, _TAIL_OFFSET
    rows = [
        (a, 0.0, glycerol + 2 * _BEAD_SPACING),
        (a, 0.0, glycerol + _BEAD_SPACING),
        (a, 0.0, glycerol),
        (b, 0.0, glycerol),
    ]
    for bead in kind.beads[4:]:
        side = a if bead.name[-1] == "A" else b
        rows.append((side, 0.0, glycerol - int(bead.name[1:-1]) * _BEAD_SPACING))
    return np.array(rows)


def _water_slab(
    n_water: int, edge: float, gap: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], float]:
    """Return water (n, 3) about a gap (nm) centred on z = 0, and the height of the box, nm."""
    per_edge = max(1, int(edge / _WATER_SPACING))
    layers = -(-n_water // per_edge**2)
    plane = (np.arange(per_edge) + 0.5) * edge / per_edge
    heights = gap / 2.0 + (np.arange(layers) + 0.5) * _WATER_SPACING
    lattice = np.stack(np.meshgrid(plane, plane, heights), axis=-1).reshape(-1, 3)
    chosen = lattice[rng.permutation(len(lattice))[:n_water]]
    height = gap + layers * _WATER_SPACING
    return chosen + rng.uniform(-0.03, 0.03, chosen.shape), height


def _waters(n_water: int) -> tuple[tuple[MoleculeType, int], ...]:
    n_antifreeze = round(ANTIFREEZE_FRACTION * n_water)
    return (water(), n_water - n_antifreeze), (water(antifreeze=True), n_antifreeze)

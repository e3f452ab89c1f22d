"""Relaxed torsion scans of the rotatable bonds of a molecule, all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.models import Evaluator
from nnpmm.torsions.bonds import RotatableBond
from nnpmm.torsions.internal import ValenceTerms, dihedral
from nnpmm.torsions.relaxation import FixedTorsions, Relaxed, relax_with_fixed_torsions

__all__ = ["Chains", "TorsionScan", "energies_along", "grid", "relax_along", "scan_torsions"]

_BROKEN = 1.4  # length relative to that at the start, above which a bond is broken
_LOWER = 0.05  # kJ/mol by which a geometry must be lower to replace another

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TorsionScan:
    """Relaxed scans of b bonds at the same a angles with one potential; n atoms.

    Attributes:
        bonds: the b scanned bonds.
        angles: degrees, (a,), from above -180 to 180.
        energies: kJ/mol, (b, a), of the lowest geometry found at each angle.
        positions: nm, (b, a, n, 3), of these geometries.
        hysteresis: kJ/mol, (b, a), between the scans with increasing and with decreasing angle;
            zero if geometries were given.
        evaluations: number of evaluations of the potential.
    """

    bonds: tuple[RotatableBond, ...]
    angles: _Array
    energies: _Array
    positions: _Array
    hysteresis: _Array
    evaluations: int


@dataclass(eq=False)
class Chains:
    """The state of the scans in both directions, from which a scan can continue.

    Attributes:
        minimum: nm, (n, 3), the minimum from which all start.
        positions: nm, (b, 2, a, n, 3), with increasing and with decreasing angle.
        energies: kJ/mol, (b, 2, a); NaN where there is none yet.
        done: number of angles that each chain has reached.
        evaluations: number of evaluations of the potential.
    """

    minimum: _Array
    positions: _Array
    energies: _Array
    done: int = 0
    evaluations: int = 0


def grid(spacing: float) -> _Array:
    """Return the angles of a scan in degrees, from above -180 to 180.

    Raises:
        ConfigError: the spacing does not divide the circle into 6 to 360 parts.
    """
    count = 360.0 / spacing if spacing > 0 else 0.0
    if not 6 <= count <= 360 or abs(count - round(count)) > 1e-6:
        raise ConfigError(
            f"found a spacing of {spacing:g} degrees, allowed: a divisor of 360 from 1 to 60"
        )
    return np.asarray(-180.0 + spacing * np.arange(1, round(count) + 1), dtype=np.float64)


def scan_torsions(
    evaluator: Evaluator,
    positions: _Array,
    bonds: Sequence[RotatableBond],
    terms: ValenceTerms,
    *,
    spacing: float = 15.0,
    chains: Chains | None = None,
    report: Callable[[Chains], None] = lambda _: None,
) -> TorsionScan:
    """Scan bonds of a molecule, each with all else relaxed.

    From the minimum next to the given geometry, every torsion is driven through the whole circle,
    with increasing and with decreasing angle, each step from the previous geometry. The lower
    geometry of both is kept. Where they differ, their neighbours are relaxed again from the lower
    one until no energy decreases further (as in Y. Qiu et al., J. Chem. Phys. 2020, 152, 244116).
    All bonds and directions are one batch.

    Args:
        evaluator: the potential bound to n atoms.
        positions: (n, 3), nm, whole.
        bonds: to scan, one or more.
        terms: of the molecule.
        spacing: of the angles, degrees.
        chains: the last report of an unfinished scan of the same bonds.
        report: called with the chains after each step, to store them and to show the progress.

    Raises:
        ConfigError: the spacing does not divide the circle.
        SimulationError: a minimisation did not end, or broke a bond.
    """
    angles = grid(spacing)
    if chains is None:
        chains = _begin(evaluator, positions, len(bonds), len(angles), terms)
    start = [_nearest(chains.minimum, bond, angles) for bond in bonds]
    sides = np.array([1, -1])
    while chains.done < len(angles):
        places = (np.array(start)[:, None] + sides * chains.done) % len(angles)  # (b, 2)
        before = (places - sides) % len(angles)
        rows, ways = np.arange(len(bonds))[:, None], np.arange(2)
        if chains.done == 0:
            former = np.broadcast_to(chains.minimum, (len(bonds), 2, *chains.minimum.shape))
        else:
            former = chains.positions[rows, ways, before]
        turning = [bond for bond in bonds for _ in sides]
        former = former.reshape(-1, *chains.minimum.shape)
        found = _relax_at(evaluator, former, turning, angles[places.ravel()], terms)
        _refuse_broken_bonds(found.positions, chains.minimum, terms)
        chains.positions[rows, ways, places] = found.positions.reshape(
            *places.shape, *chains.minimum.shape
        )
        chains.energies[rows, ways, places] = found.energies.reshape(places.shape)
        chains.evaluations += found.evaluations
        chains.done += 1
        report(chains)
    return _lowest(evaluator, chains, bonds, angles, terms)


def relax_along(evaluator: Evaluator, scan: TorsionScan, terms: ValenceTerms) -> TorsionScan:
    """Relax the geometries of a scan with another potential, at the same angles.

    Both profiles then belong to the same conformers.

    Args:
        evaluator: the other potential, bound to the same atoms.
        scan: with the geometries.
        terms: of the molecule.

    Raises:
        SimulationError: a minimisation did not end, or broke a bond.
    """
    b, a = scan.energies.shape
    flat = scan.positions.reshape(b * a, *scan.positions.shape[2:])
    bonds = [bond for bond in scan.bonds for _ in range(a)]
    found = _relax_at(evaluator, flat, bonds, np.tile(scan.angles, b), terms)
    _refuse_broken_bonds(found.positions, flat[0], terms)
    return TorsionScan(
        bonds=scan.bonds,
        angles=scan.angles,
        energies=found.energies.reshape(b, a),
        positions=found.positions.reshape(scan.positions.shape),
        hysteresis=np.zeros((b, a)),
        evaluations=found.evaluations,
    )


def energies_along(evaluator: Evaluator, scan: TorsionScan) -> _Array:
    """Return the energies (b, a), kJ/mol, of another potential at the geometries of a scan."""
    shape = scan.energies.shape
    flat = scan.positions.reshape(-1, *scan.positions.shape[2:])
    return np.asarray(evaluator.batch(flat).energies).reshape(shape)


def _begin(evaluator: Evaluator, positions: _Array, b: int, a: int, terms: ValenceTerms) -> Chains:
    nothing = FixedTorsions.of([[]], np.zeros((1, 0)), len(positions))
    found = relax_with_fixed_torsions(evaluator, np.asarray(positions)[None], nothing, terms)
    shape = (b, 2, a)
    return Chains(
        found.positions[0], np.zeros((*shape, *positions.shape)), np.full(shape, np.nan),
        evaluations=found.evaluations,
    )  # fmt: skip


def _nearest(positions: _Array, bond: RotatableBond, angles: _Array) -> int:
    here = np.degrees(dihedral(positions, np.array(bond.torsion)))
    return int(np.argmin(np.abs((angles - here + 180) % 360 - 180)))


def _relax_at(
    evaluator: Evaluator,
    positions: _Array,
    bonds: Sequence[RotatableBond],
    degrees: _Array,
    terms: ValenceTerms,
) -> Relaxed:
    fixed = FixedTorsions.of(
        [[bond] for bond in bonds], np.radians(degrees)[:, None], positions.shape[1]
    )
    return relax_with_fixed_torsions(evaluator, positions, fixed, terms)


def _lowest(
    evaluator: Evaluator,
    chains: Chains,
    bonds: Sequence[RotatableBond],
    angles: _Array,
    terms: ValenceTerms,
) -> TorsionScan:
    """Return the lower of both directions, spread to its neighbours where that is lower still."""
    way = chains.energies.argmin(axis=1)
    hysteresis = np.abs(chains.energies[:, 0] - chains.energies[:, 1])
    rows, places = np.indices(way.shape)
    energies = chains.energies[rows, way, places]
    positions = chains.positions[rows, way, places]
    fresh = hysteresis > _LOWER
    evaluations = chains.evaluations
    for _ in angles:
        # Each of the fresh points tries its geometry on both of its neighbours.
        b, a = np.nonzero(fresh)
        fresh = np.zeros_like(fresh)
        for side in (1, -1):
            if len(b) == 0:
                break
            neighbour = (a + side) % len(angles)
            found = _relax_at(
                evaluator, positions[b, a], [bonds[int(row)] for row in b], angles[neighbour], terms
            )
            evaluations += found.evaluations
            lower = found.energies < energies[b, neighbour] - _LOWER
            target = b[lower], neighbour[lower]
            energies[target], positions[target] = found.energies[lower], found.positions[lower]
            fresh[target] = True
    _refuse_broken_bonds(positions.reshape(-1, *positions.shape[2:]), chains.minimum, terms)
    return TorsionScan(tuple(bonds), angles, energies, positions, hysteresis, evaluations)


def _refuse_broken_bonds(positions: _Array, start: _Array, terms: ValenceTerms) -> None:
    """Refuse geometries (k, n, 3) in which a bond is much longer than at the start, (n, 3)."""
    i, j = terms.bonds.T
    before = np.linalg.norm(start[i] - start[j], axis=-1)
    ratio = np.linalg.norm(positions[:, i] - positions[:, j], axis=-1) / before
    if ratio.max() > _BROKEN:
        bond = np.unravel_index(int(ratio.argmax()), ratio.shape)[1]
        raise SimulationError(
            f"the scan broke the bond {i[bond]}-{j[bond]}, which became {ratio.max():.2f} times as "
            "long; leave that torsion out, or start from another conformer"
        )

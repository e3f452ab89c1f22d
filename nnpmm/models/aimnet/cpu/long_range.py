"""D3 dispersion and the forces between charges, of one atom with all others.

See `nnpmm.models.aimnet.parameters.Dispersion` for the papers. The weights of an atom's reference
systems are multiplied by the C6 coefficients of each element only once, so that a pair needs five
products instead of twenty-five.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import BOHR_IN_NM, HARTREE_TO_KJ_PER_MOL
from nnpmm.models.aimnet.cpu.charges import coulomb_factors
from nnpmm.models.aimnet.parameters import Dispersion
from nnpmm.models.cpu.compilation import inner
from nnpmm.models.cpu.functions import exponential, like

__all__ = ["DispersionTables", "add_long_range", "compute_distance_functions", "disperse"]

_FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN must survive
_BOHR = 10 * BOHR_IN_NM  # angstrom
#: The published model sets C6 to zero if the total weight of a pair is below this.
_MIN_WEIGHT = 1e-5


class DispersionTables(NamedTuple):
    """Constants and tables of the region's elements, in bohr and kJ/mol.

    Attributes:
        s6, counting, weighting: see `Dispersion`.
        reference: coordination numbers of the reference systems, (elements, systems).
        c6: kJ/mol bohr^6, (elements, elements, systems, systems).
        covalent: sum of an element's covalent radius and that of each atom, (elements, n).
        r8_factor, damping6, damping8: parameters of an element with each atom, (elements, n).
    """

    s6: float
    counting: float
    weighting: float
    reference: NDArray[np.floating]
    c6: NDArray[np.floating]
    covalent: NDArray[np.floating]
    r8_factor: NDArray[np.floating]
    damping6: NDArray[np.floating]
    damping8: NDArray[np.floating]

    @classmethod
    def of(
        cls, tables: Dispersion, present: list[int], element: NDArray[np.int64], dtype: np.dtype
    ) -> DispersionTables:
        """Select the elements of a region; ``element`` is each atom's index among them."""
        number = dtype.type
        covalent = tables.covalent_radii[present].astype(np.float64)
        radii = tables.radii[present].astype(np.float64)
        product = 3 * np.outer(radii, radii[element])
        damping = tables.a1 * np.sqrt(product) + tables.a2
        c6 = HARTREE_TO_KJ_PER_MOL * tables.c6[np.ix_(present, present)].astype(np.float64)
        return cls(
            number(tables.s6), number(tables.counting), number(tables.weighting),
            tables.reference_coordination[present].astype(dtype), c6.astype(dtype),
            np.add.outer(covalent, covalent[element]).astype(dtype),
            (tables.s8 * product).astype(dtype), (damping**6).astype(dtype),
            (damping**8).astype(dtype),
        )  # fmt: skip


@inner(fastmath=_FAST)
def _measure(i, positions, n, line):
    """Write the vectors and distances from atom i to all atoms; the distance to itself is 1."""
    start = i // n * n
    x, y, z = positions[i]
    others = positions[start : start + n]
    dx, dy, dz, r = line[0], line[1], line[2], line[3]
    for j in range(n):
        dx[j] = others[j, 0] - x
        dy[j] = others[j, 1] - y
        dz[j] = others[j, 2] - z
    for j in range(n):
        r[j] = np.sqrt(dx[j] * dx[j] + dy[j] * dy[j] + dz[j] * dz[j])
    r[i - start] = 1


@inner(fastmath=_FAST)
def _coordination(r, covalent, counting):
    """Return a neighbour's contribution to the coordination number, and its slope; r in bohr."""
    one = like(1, r)
    value = one / (one + exponential(-counting * (covalent / r - one)))
    return value, -value * (one - value) * counting * covalent / (r * r)


@inner(fastmath=_FAST)
def compute_distance_functions(i, positions, constants, region, workspace, pairs):
    """Write functions of the distances from atom i: Coulomb factors, D3 weights."""
    n, line, tables = len(region.element), workspace.line, region.dispersion
    _measure(i, positions, n, line)
    self_index, r, coulomb = i % n, line[3], pairs.coulomb[i]
    for j in range(n):
        coulomb[j], _ = coulomb_factors(r[j], constants.coulomb_cutoff, constants.coulomb)
    coulomb[self_index] = 0
    to_bohr = like(1 / _BOHR, r[0])
    e = region.element[self_index]
    covalent, counts = tables.covalent[e], line[4]
    for j in range(n):
        counts[j], _ = _coordination(r[j] * to_bohr, covalent[j], tables.counting)
    counts[self_index] = 0
    coordination = like(0, r[0])
    for j in range(n):
        coordination += counts[j]
    total = like(0, r[0])
    for a in range(tables.reference.shape[1]):
        # As in the published model, absent reference systems, with a coordination of -1 and a C6 of
        # 0, count too. This matters only for atoms without neighbours.
        d = coordination - tables.reference[e, a]
        weight = exponential(-tables.weighting * d * d)
        pairs.weights[i, a] = weight
        pairs.weight_slopes[i, a] = like(-2, d) * tables.weighting * d * weight
        total += weight
    pairs.total_weight[i] = total
    for other in range(len(tables.c6)):
        for a in range(tables.reference.shape[1]):
            weighted = like(0, total)
            for b in range(tables.reference.shape[1]):
                weighted += tables.c6[other, e, a, b] * pairs.weights[i, b]
            pairs.weighted_c6[other, a, i] = weighted


@inner(fastmath=_FAST)
def disperse(i, positions, region, workspace, pairs, gradient):
    """Write the dispersion energy of atom i, half its pairs', and gradients at constant C6."""
    n, line, tables = len(region.element), workspace.line, region.dispersion
    _measure(i, positions, n, line)
    self_index, start = i % n, i // n * n
    e = region.element[self_index]
    dx, dy, dz, r, c6, slopes = line[0], line[1], line[2], line[3], line[4], line[5]
    n_systems = tables.reference.shape[1]
    one, min_weight = like(1, r[0]), like(_MIN_WEIGHT, r[0])
    c6[:] = 0
    for a in range(n_systems):
        weight, weighted = pairs.weights[i, a], pairs.weighted_c6[e, a, start : start + n]
        for j in range(n):
            c6[j] += weight * weighted[j]
    to_bohr = one / like(_BOHR, r[0])
    factor6, factor8 = tables.damping6[e], tables.damping8[e]
    r8_factor = tables.r8_factor[e]
    terms, values, by_total = line[6], line[7], like(0, r[0])
    own_total, totals = pairs.total_weight[i], pairs.total_weight[start : start + n]
    for j in range(n):
        total = own_total * totals[j]
        per_total = one / total if total >= min_weight else like(0, total)
        distance = r[j] * to_bohr
        r2 = distance * distance
        r6 = r2 * r2 * r2
        six, eight = one / (r6 + factor6[j]), one / (r6 * r2 + factor8[j])
        value = tables.s6 * six + r8_factor[j] * eight
        slope = (
            like(6, r2) * tables.s6 * six * six + like(8, r2) * r2 * r8_factor[j] * eight * eight
        )
        c6[j] *= per_total
        slopes[j] = c6[j] * slope * r2 * r2 * distance * to_bohr / r[j]
        terms[j] = value * per_total
        values[j] = c6[j] * value
    slopes[self_index] = terms[self_index] = values[self_index] = 0
    row = like(0, r[0])
    gx = gy = gz = like(0, r[0])
    for j in range(n):
        row += values[j]
        by_total += terms[j] * c6[j] * totals[j]
        gx -= slopes[j] * dx[j]
        gy -= slopes[j] * dy[j]
        gz -= slopes[j] * dz[j]
    gradient[i, 0], gradient[i, 1], gradient[i, 2] = gx, gy, gz
    pairs.dispersion[i] = -0.5 * np.float64(row)
    by_coordination = like(0, r[0])
    for a in range(n_systems):
        weighted, by_weight = pairs.weighted_c6[e, a, start : start + n], like(0, r[0])
        for j in range(n):
            by_weight += terms[j] * weighted[j]
        by_coordination -= (by_weight - by_total) * pairs.weight_slopes[i, a]
    pairs.by_coordination[i] = by_coordination


@inner(fastmath=_FAST)
def add_long_range(i, positions, constants, region, workspace, pairs, state, gradient):
    """Add the gradients from the coordination numbers, and those of the Coulomb energy."""
    n, line, tables = len(region.element), workspace.line, region.dispersion
    _measure(i, positions, n, line)
    self_index, start = i % n, i // n * n
    dx, dy, dz, r, slopes = line[0], line[1], line[2], line[3], line[4]
    products = line[5]
    products[:] = 0
    last = len(state.charges) - 1
    n_members = state.charges.shape[1]
    for m in range(n_members):
        charges = state.charges[last, m]
        charge, others = charges[i] / like(n_members, charges[i]), charges[start : start + n]
        for j in range(n):
            products[j] += charge * others[j]
    to_bohr = like(1 / _BOHR, r[0])
    covalent = tables.covalent[region.element[self_index]]
    by_coordination = pairs.by_coordination[i]
    of_others = pairs.by_coordination[start : start + n]
    for j in range(n):
        _, by_distance = coulomb_factors(r[j], constants.coulomb_cutoff, constants.coulomb)
        _, counted = _coordination(r[j] * to_bohr, covalent[j], tables.counting)
        by_both = by_coordination + of_others[j]
        slopes[j] = (products[j] * by_distance + by_both * counted * to_bohr) / r[j]
    slopes[self_index] = 0
    gx = gy = gz = like(0, r[0])
    for j in range(n):
        gx -= slopes[j] * dx[j]
        gy -= slopes[j] * dy[j]
        gz -= slopes[j] * dz[j]
    gradient[i, 0] += gx
    gradient[i, 1] += gy
    gradient[i, 2] += gz

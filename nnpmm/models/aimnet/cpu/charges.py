"""Atomic charges that add up to the total charge, and their Coulomb potentials."""

from __future__ import annotations

import numpy as np

from nnpmm.models.cpu.compilation import inner
from nnpmm.models.cpu.functions import exponential, like

__all__ = ["add_potentials", "coulomb_factors", "differentiate_charges", "equilibrate"]

_FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN must survive
_EDGE = 1e-6  # least distance from the Coulomb cutoff, as a fraction of it, as published


@inner(fastmath=_FAST)
def equilibrate(p, m, first, last, total_charge, least_weight, networks, state):
    """Distribute the missing charge after pass p over the atoms, in proportion to their weights.

    Args:
        p, m: pass and member.
        first, last: range of the atoms of a geometry.
        total_charge: e.
        least_weight: added to the sum of the weights.
        networks, state: see their classes.
    """
    charges, heads, shares = state.charges[p, m], state.heads[p, m], state.shares[p, m]
    size = networks.n_features * networks.radial
    sum_charges = sum_weights = 0.0
    for i in range(first, last):
        raw = heads[i, 0] + (state.charges[0, m, i] if p > 0 else like(0, heads[i, 0]))
        charges[i] = raw
        sum_charges += np.float64(raw)
        sum_weights += np.float64(heads[i, 1]) ** 2
    rest, sum_weights = total_charge - sum_charges, sum_weights + least_weight
    for i in range(first, last):
        share = np.float64(heads[i, 1]) ** 2 / sum_weights
        shares[i, 0] = share
        # Derivative of the charge by its own head at a constant sum of the weights.
        shares[i, 1] = 2 * np.float64(heads[i, 1]) * rest / sum_weights
        charges[i] += like(share * rest, charges[i])
        state.features[p, m, i, size:] = charges[i]


@inner(fastmath=_FAST)
def differentiate_charges(p, m, first, last, state):
    """Convert derivatives by the charges after pass p to those by heads and earlier charges."""
    shares, by_charges, by_heads = state.shares[p, m], state.by_charges[m], state.by_heads[m]
    common = 0.0  # derivative by the sum of the charges, which the distribution keeps constant
    for i in range(first, last):
        common += np.float64(by_charges[i]) * shares[i, 0]
    for i in range(first, last):
        raw = np.float64(by_charges[i]) - common  # by the charge before the distribution
        by_charges[i] = raw  # also by the charge before this pass
        by_heads[i, 0] = raw * state.head_slopes[p, m, i, 0]
        by_heads[i, 1] = raw * shares[i, 1] * state.head_slopes[p, m, i, 1]


@inner(fastmath=_FAST)
def coulomb_factors(r, cutoff, constant):
    """Return the long-range energy of two unit charges, and its derivative.

    The networks describe the short-range part, which ends at the cutoff.

    Args:
        r: distance, angstrom.
        cutoff: end of the short-range part, angstrom.
        constant: kJ/mol angstrom.
    """
    one, largest = like(1, r), like(1 - _EDGE, r)
    x = r / cutoff
    inside = x < largest
    x = x if inside else largest
    part = one / (one - x * x)
    within = exponential(one - part)
    beyond = one - within
    slope = within * part * part * like(2, r) * x / cutoff if inside else like(0, r)
    value = constant * beyond / r
    return value, (constant * slope - value) / r


@inner(fastmath=_FAST)
def add_potentials(m, first, last, p, region, pairs, state):
    """Add the potentials to the derivatives by the charges, and write Coulomb energies.

    Args:
        m: the member.
        first, last: range of atoms.
        p: the last pass that yields charges.
        region, pairs, state: see their classes.
    """
    n = len(region.element)
    charges = state.charges[p, m]
    for i in range(first, last):
        potential = like(0, charges[i])
        factors, others = pairs.coulomb[i], charges[i // n * n : i // n * n + n]
        for j in range(n):
            potential += factors[j] * others[j]
        state.by_charges[m, i] += potential
        state.coulomb[m, i] = 0.5 * np.float64(potential) * np.float64(charges[i])

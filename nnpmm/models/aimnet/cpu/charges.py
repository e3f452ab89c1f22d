"""Charges that add up to the total charge, and their potentials on each other."""

from __future__ import annotations

import numpy as np

from nnpmm.models.cpu.compilation import inner
from nnpmm.models.cpu.functions import exponential, like

__all__ = ["add_potentials", "coulomb_factors", "equilibrate", "return_to_heads"]

_FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN must survive
_NEAREST = 1e-6  # distance from the Coulomb cutoff, as a fraction of it, as published


@inner(fastmath=_FAST)
def equilibrate(p, m, first, last, total_charge, least_weight, networks, state):
    """Share out what the charges after pass p lack of the total one, by weight.

    Args:
        p, m: pass and member.
        first, last: the atoms of a geometry.
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
        # Derivative of the charge by its own weight, but for what all charges lose together.
        shares[i, 1] = 2 * np.float64(heads[i, 1]) * rest / sum_weights
        charges[i] += like(share * rest, charges[i])
        state.features[p, m, i, size:] = charges[i]


@inner(fastmath=_FAST)
def return_to_heads(p, m, first, last, state):
    """Go from derivatives by the charges after pass p to those by what they were made of."""
    shares, by_charges, by_heads = state.shares[p, m], state.by_charges[m], state.by_heads[m]
    common = 0.0
    for i in range(first, last):
        common += np.float64(by_charges[i]) * shares[i, 0]
    for i in range(first, last):
        left = np.float64(by_charges[i]) - common
        by_charges[i] = left  # of the charges before this pass
        by_heads[i, 0] = left * state.head_slopes[p, m, i, 0]
        by_heads[i, 1] = left * shares[i, 1] * state.head_slopes[p, m, i, 1]


@inner(fastmath=_FAST)
def coulomb_factors(r, cutoff, constant):
    """Return energy of two unit charges, less what the networks cover, and its derivative.

    Args:
        r: distance, angstrom.
        cutoff: of what the networks cover, angstrom.
        constant: kJ/mol angstrom.
    """
    one, most = like(1, r), like(1 - _NEAREST, r)
    x = r / cutoff
    inside = x < most
    x = x if inside else most
    part = one / (one - x * x)
    within = exponential(one - part)
    beyond = one - within
    slope = within * part * part * like(2, r) * x / cutoff if inside else like(0, r)
    value = constant * beyond / r
    return value, (constant * slope - value) / r


@inner(fastmath=_FAST)
def add_potentials(m, first, last, p, region, pairs, state):
    """Add the potentials of all charges to the derivatives by each, and keep its energy.

    Args:
        m: the member.
        first, last: atoms.
        p: the last pass that gives charges.
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

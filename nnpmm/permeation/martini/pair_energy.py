"""The pair potentials as GROMACS evaluates them, in plain numpy.

The Lennard-Jones force is switched smoothly to zero between two distances and the potential shifted
to match (GROMACS reference manual, "Modified non-bonded interactions": force-switch). For neutral
solutes the energy with the surroundings is linear in the well depths,

    U = sum over solute beads s, bead types t and diameters sigma of epsilon(s, t) phi(s, t, sigma),

so a frame's phi give the energy of every solute of the same shape.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.permeation.martini.engines import CUTOFF, RELATIVE_PERMITTIVITY, SWITCH_DISTANCE
from nnpmm.permeation.martini.force_field import interaction
from nnpmm.permeation.martini.geometry import minimum_image
from nnpmm.permeation.martini.system import MartiniSystem
from nnpmm.permeation.martini.tables import NEUTRAL_BEADS

__all__ = [
    "Channel",
    "channels",
    "force_switch_constants",
    "reaction_field",
    "solute_epsilons",
    "solute_phi",
    "unit_lennard_jones",
]


@cache
def force_switch_constants(power: int) -> tuple[float, float, float]:
    """Return A, B, C of the force-switched r^-power between 0.9 and 1.2 nm.

    V(r) = r^-p - C below the switching distance r1, and r^-p - A/3 (r - r1)^3 - B/4 (r - r1)^4 - C
    above it, zero with zero force at the cutoff.
    """
    r1, rc, p = SWITCH_DISTANCE, CUTOFF, power
    width = rc - r1
    a = -p * ((p + 4) * rc - (p + 1) * r1) / (rc ** (p + 2) * width**2)
    b = p * ((p + 3) * rc - (p + 1) * r1) / (rc ** (p + 2) * width**3)
    c = rc**-p - a / 3.0 * width**3 - b / 4.0 * width**4
    return a, b, c


def _switched_power(r: NDArray[np.float64], power: int) -> NDArray[np.float64]:
    a, b, c = force_switch_constants(power)
    beyond = np.maximum(r - SWITCH_DISTANCE, 0.0)
    return r**-power - a / 3.0 * beyond**3 - b / 4.0 * beyond**4 - c


def unit_lennard_jones(r: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return the switched potential of unit well depth at distances r, nm; 0 beyond the cutoff."""
    inside = np.asarray(r) < CUTOFF
    safe = np.where(inside, r, 1.0)
    potential = 4.0 * (sigma**12 * _switched_power(safe, 12) - sigma**6 * _switched_power(safe, 6))
    return np.where(inside, potential, 0.0)


def reaction_field(
    r: NDArray[np.float64], qq: NDArray[np.float64], *, excluded: bool = False
) -> NDArray[np.float64]:
    """Return the reaction-field energy, kJ/mol, of charge products qq (e^2) at distances r, nm.

    The permittivity beyond the cutoff is infinite. Excluded pairs have the term of the reaction
    field alone.
    """
    k, c = 0.5 / CUTOFF**3, 1.5 / CUTOFF
    direct = 0.0 if excluded else 1.0 / r
    energy = COULOMB_CONSTANT / RELATIVE_PERMITTIVITY * qq * (direct + k * r**2 - c)
    return np.asarray(np.where(r < CUTOFF, energy, 0.0))


class Channel(NamedTuple):
    """A kind of interaction of solute beads: role and type of the other bead, and the diameter."""

    role: str
    type: str
    sigma: float


@cache
def _sigmas(kind: str) -> tuple[float, ...]:
    return tuple(sorted({interaction(bead, kind)[1] for bead in NEUTRAL_BEADS}))


def channels(system: MartiniSystem) -> tuple[Channel, ...]:
    """Return all channels between a neutral bead and the rest of a system."""
    pairs = sorted(
        {
            (kind.role, bead.type)
            for kind, count in system.molecules
            for bead in kind.beads
            if count and kind.role != "solute"
        }
    )
    return tuple(Channel(role, kind, sigma) for role, kind in pairs for sigma in _sigmas(kind))


def solute_phi(
    system: MartiniSystem, positions: NDArray[np.float64], box: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return phi (solute beads, channels): energies at unit well depth, from positions, nm."""
    types = np.array(system.types)
    solute = positions[system.select("solute")]
    phi = np.zeros((len(solute), len(channels(system))))
    distances: dict[tuple[str, str], NDArray[np.float64]] = {}
    for n, channel in enumerate(channels(system)):
        key = (channel.role, channel.type)
        if key not in distances:
            members = system.select(channel.role)  # type: ignore[arg-type]
            others = positions[members[types[members] == channel.type]]
            vectors = minimum_image(solute[:, None] - others[None], box)
            distances[key] = np.sqrt(np.einsum("sox,sox->so", vectors, vectors))
        phi[:, n] = unit_lennard_jones(distances[key], channel.sigma).sum(axis=1)
    return phi


def solute_epsilons(types: tuple[str, ...], columns: tuple[Channel, ...]) -> NDArray[np.float64]:
    """Return the well depths (beads, channels), kJ/mol: zero for channels of another diameter."""
    rows = []
    for bead in types:
        pairs = [interaction(bead, channel.type) for channel in columns]
        rows.append(
            [
                epsilon if sigma == channel.sigma else 0.0
                for (epsilon, sigma), channel in zip(pairs, columns, strict=True)
            ]
        )
    return np.array(rows)

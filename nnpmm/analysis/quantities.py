"""Averages of everything that was observed, over time and over replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm.analysis.averages import Average, average, over_replicas, probability
from nnpmm.analysis.observations import Observations
from nnpmm.analysis.radial import find_shell, jackknife, mean_curve, neighbours, peak
from nnpmm.analysis.torsions import Rotamers, find_rotamers

__all__ = [
    "ANGSTROM",
    "READINGS",
    "SERIES",
    "Analysis",
    "Quantity",
    "find_quantities",
    "pooled_rotamers",
]

#: Returns a property of a radial distribution function (b,).
Property = Callable[[NDArray[np.float64]], float]
ANGSTROM = 10.0  # in a nm, for tables and pictures
#: For each series its title, its unit in tables and pictures, and the factor of this unit.
SERIES = {
    "backbone_rmsd": ("receptor RMSD", "Å", ANGSTROM),
    "ligand_rmsd": ("ligand RMSD in the site", "Å", ANGSTROM),
    "ligand_internal_rmsd": ("ligand RMSD, internal", "Å", ANGSTROM),
    "gyration_radius": ("radius of gyration, receptor", "Å", ANGSTROM),
    "ligand_gyration_radius": ("radius of gyration, ligand", "Å", ANGSTROM),
    "water": ("waters in the first shell", "", 1.0),
    "density": ("density", "g/ml", 1.0),
}
#: The same for logged values.
READINGS = {
    "network_energy": ("network energy of the region", "kJ/mol", 1.0),
    "network_spread": ("spread of the ensemble", "kJ/mol", 1.0),
    "potential_energy": ("potential energy", "kJ/mol", 1.0),
    "temperature": ("temperature", "K", 1.0),
    "pressure": ("pressure", "bar", 1.0),
    "density": ("density", "g/ml", 1.0),
}


@dataclass(frozen=True)
class Quantity:
    """One average.

    Attributes:
        kind: ``overall``, ``torsion`` (a population), ``angle``, ``contact``, ``fluctuation`` or
            ``shell`` (of a radial distribution function).
        name: what it is.
        unit: of its values; empty for pure numbers.
        replicas: average of each trajectory.
        average: over all trajectories.
    """

    kind: str
    name: str
    unit: str
    replicas: tuple[Average, ...]
    average: Average


@dataclass(frozen=True, eq=False)
class Analysis:
    """Replicas of one system, and their averages.

    Attributes:
        name: of the system.
        replicas: observations of each trajectory.
        rotamers: of each torsion that all replicas have, by its label.
        quantities: averages.
    """

    name: str
    replicas: tuple[Observations, ...]
    rotamers: Mapping[str, Rotamers]
    quantities: tuple[Quantity, ...]

    def of_kind(self, kind: str) -> list[Quantity]:
        """Return the averages of one kind."""
        return [quantity for quantity in self.quantities if quantity.kind == kind]


def pooled_rotamers(replicas: Sequence[Observations]) -> dict[str, Rotamers]:
    """Return the rotamers of each torsion, found from the angles of all trajectories together."""
    labels = list(dict.fromkeys(label for r in replicas for label in r.torsion_labels))
    return {
        label: find_rotamers(np.concatenate([angles_of(r, label) for r in replicas]))
        for label in labels
    }


def angles_of(replica: Observations, label: str) -> NDArray[np.float32]:
    """Return the angles (n,) of a torsion in degrees; none if the trajectory does not have it."""
    if label not in replica.torsion_labels:
        return np.zeros(0, dtype=np.float32)
    return np.asarray(replica.torsions[:, replica.torsion_labels.index(label)])


def find_quantities(
    replicas: Sequence[Observations], rotamers: Mapping[str, Rotamers]
) -> tuple[Quantity, ...]:
    """Return all averages of some replicas.

    Args:
        replicas: of one system.
        rotamers: of its torsions, as ``pooled_rotamers`` gives them.
    """
    return (
        *_overall(replicas),
        *_torsions(replicas, rotamers),
        *_angles(replicas, rotamers),
        *_contacts(replicas),
        *_fluctuations(replicas),
        *_shells(replicas),
    )


def _quantity(
    kind: str,
    name: str,
    unit: str,
    replicas: Sequence[Observations],
    measure: Callable[[Observations], Average],
) -> Quantity:
    found = tuple(measure(replica) for replica in replicas)
    return Quantity(kind, name, unit, found, over_replicas(found))


def _overall(replicas: Sequence[Observations]) -> list[Quantity]:
    found = []
    for source, names in (("series", SERIES), ("readings", READINGS)):
        for key, (name, unit, factor) in names.items():
            columns = [getattr(replica, source) for replica in replicas]
            if not any(np.isfinite(column.get(key, np.nan)).any() for column in columns):
                continue

            def measure(
                replica: Observations, source: str = source, key: str = key, factor: float = factor
            ) -> Average:
                values = getattr(replica, source).get(key)
                return average([] if values is None else factor * values)

            found.append(_quantity("overall", name, unit, replicas, measure))
    return found


def _torsions(replicas: Sequence[Observations], rotamers: Mapping[str, Rotamers]) -> list[Quantity]:
    return [
        _quantity(
            "torsion",
            f"{label}, {name}",
            "",
            replicas,
            lambda r, label=label, state=state, found=found: probability(  # type: ignore[misc]
                found.states(angles_of(r, label)) == state
            ),
        )
        for label, found in rotamers.items()
        for state, name in enumerate(found.names)
    ]


def _angles(replicas: Sequence[Observations], rotamers: Mapping[str, Rotamers]) -> list[Quantity]:
    """Return the mean angle in each rotamer; populations do not show shifts within a basin."""

    def inside(replica: Observations, label: str, state: int) -> NDArray[np.float64]:
        angles, found = angles_of(replica, label), rotamers[label]
        peak = found.peaks[state]
        unwrapped = peak + (angles - peak + 180.0) % 360.0 - 180.0
        return np.asarray(unwrapped[found.states(angles) == state])

    return [
        _quantity(
            "angle",
            f"{label}, {name}, mean angle",
            "°",
            replicas,
            lambda r, label=label, state=state: average(  # type: ignore[misc]
                inside(r, label, state)
            ),
        )
        for label, found in rotamers.items()
        for state, name in enumerate(found.names)
    ]


def _contacts(replicas: Sequence[Observations]) -> list[Quantity]:
    keys = list(dict.fromkeys(key for replica in replicas for key in replica.contact_labels))

    def seen(replica: Observations, key: tuple[str, str]) -> NDArray[np.bool_]:
        if key in replica.contact_labels:
            return np.asarray(replica.contacts[:, replica.contact_labels.index(key)])
        # Never present, unless contacts were not searched at all.
        return np.zeros(replica.n_frames if replica.facts["contacts"] else 0, dtype=bool)

    return [
        _quantity(
            "contact",
            f"{residue}, {kind}",
            "",
            replicas,
            lambda r, key=(residue, kind): probability(seen(r, key)),  # type: ignore[misc]
        )
        for residue, kind in keys
    ]


def _fluctuations(replicas: Sequence[Observations]) -> list[Quantity]:
    labels = list(dict.fromkeys(label for replica in replicas for label in replica.residues))
    tables = [_fluctuation_averages(replica) for replica in replicas]
    nothing = average([])
    found = []
    for label in labels:
        each = tuple(table.get(label, nothing) for table in tables)
        found.append(Quantity("fluctuation", label, "Å", each, over_replicas(each)))
    return found


def _fluctuation_averages(replica: Observations) -> dict[str, Average]:
    """Return the root mean square fluctuation of each residue with the jackknife's error."""
    values = ANGSTROM * np.sqrt(replica.square_fluctuation)
    parts = ANGSTROM * np.sqrt(replica.square_jackknife)
    errors = np.full(len(values), np.nan)
    blocks = len(parts)
    if blocks > 1:
        spread = ((parts - parts.mean(axis=0)) ** 2).sum(axis=0)
        errors = np.sqrt((blocks - 1) / blocks * spread)
    # The error comes from blocks, which are its independent samples.
    inefficiency = replica.n_frames / max(blocks, 1)
    return {
        label: Average(float(value), float(error), inefficiency, replica.n_frames)
        for label, value, error in zip(replica.residues, values, errors, strict=True)
    }


def _shells(replicas: Sequence[Observations]) -> list[Quantity]:
    """Return the properties of the first shell of each radial distribution function."""
    pairs = dict.fromkeys(pair for replica in replicas for pair in replica.distributions)
    return [quantity for pair in pairs for quantity in _shell(pair, replicas)]


def _shell(pair: str, replicas: Sequence[Observations]) -> list[Quantity]:
    with_pair = [replica for replica in replicas if pair in replica.distributions]
    radii = min((replica.radii for replica in with_pair), key=len)
    bins = len(radii)
    shell = find_shell(radii, mean_curve([r.distributions[pair][:, :bins] for r in with_pair])[0])
    if shell is None:
        return []
    near, end = shell

    def row(name: str, unit: str, property_of: Callable[[Observations], Property]) -> Quantity:
        def from_blocks(replica: Observations) -> Average:
            if pair not in replica.distributions:
                return average([])
            blocks = replica.distributions[pair][:, :bins]
            return jackknife(blocks, replica.n_frames, property_of(replica))

        return _quantity("shell", name, unit, replicas, from_blocks)

    def count(replica: Observations) -> Property:
        density = replica.facts["partners"][pair]
        return lambda curve: neighbours(radii, curve, density, end)

    first, second = pair.split("-")
    return [
        row(f"{pair}, first peak", "Å", lambda _: lambda c: ANGSTROM * peak(radii, c, near)[0]),
        row(f"{pair}, height of first peak", "", lambda _: lambda c: peak(radii, c, near)[1]),
        row(f"{pair}, first minimum", "Å", lambda _: lambda c: ANGSTROM * end),
        row(f"{second} around {first}, to first minimum", "", count),
    ]

"""Fit one value for each ligand to relative free energies of pairs of ligands.

The edges of a network of ligands overdetermine the values g of the ligands. These are the weighted
least-squares solution

    minimise sum over edges of ((g_second - g_first - d) / s)^2,  sum of g = 0,

which is the maximum-likelihood estimate of Xu (J. Chem. Inf. Model. 2019, 59, 4720) without
absolute values. Around each closed cycle the differences d should add up to zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from nnpmm.core.errors import ConfigError
from nnpmm.freeenergy.estimators import Estimate

__all__ = [
    "Agreement",
    "Closure",
    "Edge",
    "NetworkFit",
    "close_cycles",
    "compare",
    "fit_network",
]


@dataclass(frozen=True)
class Edge:
    """A free energy of one ligand minus that of another, kJ/mol.

    Attributes:
        first: name of a ligand.
        second: name of another ligand.
        difference: the second minus the first, with its standard error.
    """

    first: str
    second: str
    difference: Estimate


@dataclass(frozen=True)
class NetworkFit:
    """Relative free energies of ligands; their mean is fixed, and has no error.

    Attributes:
        names: of the n ligands, in the order of their first edge.
        values: (n,) kJ/mol.
        covariance: (n, n) of the values.
        chi_square: sum of the squared deviations of the edges, in units of their errors.
        degrees_of_freedom: edges minus ligands plus 1; 0 without a closed cycle.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    covariance: NDArray[np.float64]
    chi_square: float
    degrees_of_freedom: int

    def estimate(self, name: str) -> Estimate:
        """Return the value of a ligand, with its standard error against the mean."""
        row = self.names.index(name)
        return Estimate(float(self.values[row]), float(np.sqrt(self.covariance[row, row])))

    def from_mean_of(self, measured: Mapping[str, float]) -> NetworkFit:
        """Return values shifted to the mean of the measured ones, over the ligands in both.

        Args:
            measured: by name, kJ/mol. Without a common ligand, nothing changes.
        """
        common = [name in measured for name in self.names]
        if not any(common):
            return self
        known = [measured[name] for name in self.names if name in measured]
        weights = np.array(common) / sum(common)
        center = np.eye(len(common)) - weights
        values = center @ self.values + np.mean(known)
        return replace(self, values=values, covariance=center @ self.covariance @ center.T)


@dataclass(frozen=True)
class Closure:
    """The sum of differences around a closed cycle of ligands, which should be zero.

    Attributes:
        ligands: in their order; the last one is joined to the first.
        sum: with its standard error, kJ/mol.
    """

    ligands: tuple[str, ...]
    sum: Estimate


@dataclass(frozen=True)
class Agreement:
    """Agreement of calculated and measured values; each figure with its 95 % interval.

    Attributes:
        kendall: rank correlation tau.
        rmse: root mean square error, kJ/mol, after both means were made equal.
        mue: mean unsigned error, the same.
        count: ligands.
    """

    kendall: tuple[float, float, float]
    rmse: tuple[float, float, float]
    mue: tuple[float, float, float]
    count: int


def fit_network(edges: Sequence[Edge]) -> NetworkFit:
    """Return the least-squares free energies of all ligands of a network.

    Args:
        edges: one or more, each with an error above 0.

    Raises:
        ConfigError: no edges, an edge of a ligand with itself, an error that is not positive, or a
            network that falls into parts.
    """
    names = _checked(edges)
    rows = {name: row for row, name in enumerate(names)}
    design = np.zeros((len(edges), len(names)))
    for number, edge in enumerate(edges):
        design[number, [rows[edge.first], rows[edge.second]]] = -1.0, 1.0
    differences = np.array([edge.difference.value for edge in edges])
    errors = np.array([edge.difference.error for edge in edges])
    scaled = design / errors[:, None]
    # The pseudo-inverse gives the solution, and the covariance, with the mean zero.
    covariance = np.linalg.pinv(scaled.T @ scaled, hermitian=True)
    values = covariance @ scaled.T @ (differences / errors)
    deviations = (design @ values - differences) / errors
    freedom = len(edges) - len(names) + 1
    return NetworkFit(names, values, covariance, float(deviations @ deviations), freedom)


def close_cycles(edges: Sequence[Edge]) -> list[Closure]:
    """Return the closure of each independent cycle, the shortest that each edge closes.

    An edge that joins two ligands which earlier edges join already closes a cycle with the shortest
    path between them.

    Args:
        edges: of a network.

    Raises:
        ConfigError: see `fit_network`.
    """
    _checked(edges)
    neighbours: dict[str, dict[str, Edge]] = {}
    found = []
    for edge in edges:
        path = _shortest_path(neighbours, edge.second, edge.first)
        if path is not None:
            steps = [neighbours[a][b] for a, b in itertools.pairwise(path)]
            signs = [1 if step.first == a else -1 for step, a in zip(steps, path, strict=False)]
            total = edge.difference.value + sum(
                sign * step.difference.value for sign, step in zip(signs, steps, strict=True)
            )
            variance = sum(step.difference.error**2 for step in (edge, *steps))
            found.append(Closure((edge.first, *path[:-1]), Estimate(total, variance**0.5)))
        neighbours.setdefault(edge.first, {}).setdefault(edge.second, edge)
        neighbours.setdefault(edge.second, {}).setdefault(edge.first, edge)
    return found


def compare(
    calculated: Mapping[str, float],
    measured: Mapping[str, float],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Agreement:
    """Compare calculated with measured free energies of the ligands in both sets.

    The intervals are from a bootstrap over ligands. Both sets are relative to their means, in each
    draw as well, because relative free energies have no zero.

    Args:
        calculated: by name, kJ/mol.
        measured: by name, kJ/mol.
        draws: of the bootstrap.
        seed: of its random numbers.

    Raises:
        ConfigError: fewer than three ligands in common.
    """
    common = sorted(set(calculated) & set(measured))
    if len(common) < 3:
        raise ConfigError(
            f"found {len(common)} ligands with a calculated and a measured value, allowed: three "
            "or more for a comparison"
        )
    pairs = np.array([[calculated[name], measured[name]] for name in common])
    random = np.random.default_rng(seed)
    drawn = [_figures(pairs[random.integers(len(pairs), size=len(pairs))]) for _ in range(draws)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    tau, rmse, mue = (
        (float(value), float(a), float(b))
        for value, a, b in zip(_figures(pairs), low, high, strict=True)
    )
    return Agreement(tau, rmse, mue, len(common))


def _figures(pairs: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return tau, RMSE and MUE; tau is nan where all ligands drawn are the same."""
    deviations = (pairs - pairs.mean(axis=0)) @ [1.0, -1.0]
    tau = kendalltau(*pairs.T).statistic
    return float(tau), float(np.sqrt((deviations**2).mean())), float(np.abs(deviations).mean())


def _checked(edges: Sequence[Edge]) -> tuple[str, ...]:
    """Return the names of the ligands after checks of the edges."""
    if not edges:
        raise ConfigError("found no edges, allowed: one or more")
    for edge in edges:
        if edge.first == edge.second:
            raise ConfigError(f"found an edge from {edge.first} to itself, allowed: two ligands")
        error = edge.difference.error
        if not (np.isfinite(edge.difference.value) and np.isfinite(error) and error > 0):
            raise ConfigError(
                f"edge {edge.first} to {edge.second}: found {edge.difference.value:g} ± "
                f"{error:g} kJ/mol, allowed: a number with an error above 0"
            )
    names = tuple(dict.fromkeys(name for e in edges for name in (e.first, e.second)))
    parts = _parts(names, edges)
    if len(parts) > 1:
        listed = "; ".join(", ".join(part) for part in parts)
        raise ConfigError(
            f"found a network of {len(parts)} parts that no edge connects ({listed}), allowed: "
            "one; add an edge between them"
        )
    return names


def _parts(names: Sequence[str], edges: Sequence[Edge]) -> list[list[str]]:
    """Return the connected parts of a network, as lists of names."""
    part = {name: {name} for name in names}
    for edge in edges:
        joined = part[edge.first] | part[edge.second]
        for name in joined:
            part[name] = joined
    unique = {id(members): members for members in part.values()}
    return [[name for name in names if name in members] for members in unique.values()]


def _shortest_path(
    neighbours: Mapping[str, Mapping[str, Edge]], start: str, end: str
) -> list[str] | None:
    """Return the names along the shortest path, by breadth-first search; None without a path."""
    paths, seen = [[start]], {start}
    while paths:
        longer = []
        for path in paths:
            for name in neighbours.get(path[-1], ()):
                if name == end:
                    return [*path, end]
                if name not in seen:
                    seen.add(name)
                    longer.append([*path, name])
        paths = longer
    return None

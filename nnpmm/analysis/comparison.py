"""Compare two systems: differences with errors, and their significance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from nnpmm.analysis.averages import over_replicas, probability
from nnpmm.analysis.quantities import Analysis, Quantity, find_quantities, pooled_rotamers
from nnpmm.core.errors import ConfigError

__all__ = ["LEVEL", "Comparison", "Difference", "compare"]

#: Largest probability that any difference of one kind is called significant by chance alone.
LEVEL = 0.05
_SIGMAS = 2.0


@dataclass(frozen=True)
class Difference:
    """The second average minus the first.

    Attributes:
        first: average of the first system.
        second: of the other one.
        value: the difference.
        error: its standard error; nan if one of the averages has none.
        p_value: probability of a difference at least as large by chance, by Welch's test and
            adjusted by Holm's method; nan without an error.
        significant: whether it is larger than two standard errors and the adjusted p value is below
            5 %; None without an error.
    """

    first: Quantity
    second: Quantity
    value: float
    error: float
    p_value: float
    significant: bool | None

    @property
    def verdict(self) -> str:
        """The conclusion; if there is no significant difference, with its upper bound."""
        if self.significant is None:
            return "error not known"
        if self.significant:
            return "higher" if self.value > 0 else "lower"
        reach = _SIGMAS * self.error
        if abs(self.value) > reach:
            return f"not significant (p = {self.p_value:.2g})"
        return f"no difference (± {abs(self.value) + reach:.2g})"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two systems and their differences.

    Attributes:
        first: system.
        second: system.
        differences: of all averages that both have.
        only_first: names of averages that the second system does not have.
        only_second: names of averages that the first system does not have.
    """

    first: Analysis
    second: Analysis
    differences: tuple[Difference, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    def of_kind(self, kind: str) -> list[Difference]:
        """Return the differences of one kind."""
        return [d for d in self.differences if d.first.kind == kind]


def compare(first: Analysis, second: Analysis) -> Comparison:
    """Return the differences of two systems.

    Rotamers are defined from both systems together. Errors add in quadrature; the p value comes
    from Welch's test with the degrees of freedom of both errors (Welch and Satterthwaite). Because
    there are many differences, p values of each kind of average are adjusted by Holm's method
    (Scand. J. Stat. 1979, 6, 65), which holds however the averages are correlated.

    Raises:
        ConfigError: the systems have nothing in common.
    """
    rotamers = pooled_rotamers([*first.replicas, *second.replicas])
    both = [
        replace(
            system,
            rotamers=rotamers,
            quantities=find_quantities(system.replicas, rotamers),
        )
        for system in (first, second)
    ]
    tables = [{(q.kind, q.name): q for q in system.quantities} for system in both]
    # A contact that a system never has is absent from its table; its probability is 0.
    for table, system, other in zip(tables, both, tables[::-1], strict=True):
        _add_missing_contacts(table, system, other)
    shared = [key for key in tables[0] if key in tables[1]]
    shared = [k for k in shared if tables[0][k].average.samples and tables[1][k].average.samples]
    if not shared:
        raise ConfigError(
            f"found nothing in common between {first.name} and {second.name}; compare two "
            "trajectories of the same ligand or receptor"
        )
    differences = [_difference(tables[0][key], tables[1][key]) for key in shared]
    return Comparison(
        both[0],
        both[1],
        tuple(_adjusted(differences)),
        tuple(name for (_, name) in tables[0] if (_, name) not in shared),
        tuple(name for (_, name) in tables[1] if (_, name) not in shared),
    )


def _add_missing_contacts(
    table: dict[tuple[str, str], Quantity],
    system: Analysis,
    other: dict[tuple[str, str], Quantity],
) -> None:
    searched = [r for r in system.replicas if r.facts["contacts"]]
    residues = {label for replica in searched for label in replica.residues}
    for key, quantity in other.items():
        if key[0] != "contact" or key in table or key[1].split(", ")[0] not in residues:
            continue
        never = tuple(probability(np.zeros(r.n_frames, dtype=bool)) for r in searched)
        table[key] = replace(quantity, replicas=never, average=over_replicas(never))


def _difference(first: Quantity, second: Quantity) -> Difference:
    value = second.average.value - first.average.value
    squares = np.array([first.average.error**2, second.average.error**2])
    error = float(np.sqrt(squares.sum()))
    if not np.isfinite(error) or error == 0:
        return Difference(first, second, value, float("nan"), float("nan"), None)
    freedom = np.array([first.average.freedom, second.average.freedom])
    effective = squares.sum() ** 2 / (squares**2 / freedom).sum()
    p_value = 2 * float(stats.t.sf(abs(value) / error, effective))
    return Difference(first, second, value, error, p_value, abs(value) > _SIGMAS * error)


def _adjusted(differences: Sequence[Difference]) -> list[Difference]:
    """Return the differences with p values that are adjusted by Holm's method, kind by kind."""
    found = list(differences)
    for kind in {difference.first.kind for difference in differences}:
        tested = [
            n for n, d in enumerate(found) if d.first.kind == kind and d.significant is not None
        ]
        tested.sort(key=lambda n: found[n].p_value)
        highest = 0.0
        for rank, n in enumerate(tested):
            highest = max(highest, min(1.0, (len(tested) - rank) * found[n].p_value))
            found[n] = replace(
                found[n],
                p_value=highest,
                significant=bool(found[n].significant and highest < LEVEL),
            )
    return found

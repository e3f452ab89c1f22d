"""Generated trajectories and a Markov model compared with a long reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.learning.language.kinetics import (
    implied_timescales,
    kinetics_of,
    transition_matrix,
)
from nnpmm.learning.language.markov import MarkovModel

__all__ = ["Comparison", "Row", "compare_with_reference"]


@dataclass(frozen=True, eq=False)
class Row:
    """Populations and kinetics of one source; times are in frames, errors nan where unknown.

    Attributes:
        name: of the source.
        populations: (k,).
        population_errors: (k,) standard errors.
        passage_times: (k, k).
        passage_errors: (k, k) standard errors.
        timescales: (k - 1,) implied ones at the lag of the comparison.
    """

    name: str
    populations: NDArray[np.float64]
    population_errors: NDArray[np.float64]
    passage_times: NDArray[np.float64]
    passage_errors: NDArray[np.float64]
    timescales: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several sources of trajectories.

    Attributes:
        rows: one for each source; the first is the reference.
        lag: of the implied timescales, frames.
    """

    rows: tuple[Row, ...]
    lag: int

    def population_error(self, row: Row) -> float:
        """Return the mean absolute deviation of a row's populations from the reference's."""
        return float(np.abs(row.populations - self.rows[0].populations).mean())

    def passage_error(self, row: Row) -> float:
        """Return the largest relative deviation of a mean first-passage time from the reference's.

        Pairs of states without a transition in one of the two do not count.
        """
        off = ~np.eye(len(row.populations), dtype=bool)
        ratio = row.passage_times[off] / self.rows[0].passage_times[off]
        return float(np.nanmax(np.abs(ratio - 1)))

    def data(self) -> dict[str, Any]:
        """Return the numbers as plain data, None where one is unknown."""
        return {
            "lag_frames": self.lag,
            "rows": [
                {
                    "name": row.name,
                    "populations": _plain(row.populations),
                    "population_errors": _plain(row.population_errors),
                    "first_passage_frames": _plain(row.passage_times),
                    "first_passage_errors": _plain(row.passage_errors),
                    "timescales_frames": _plain(row.timescales),
                    "population_mean_absolute_error": self.population_error(row),
                    "largest_first_passage_deviation": self.passage_error(row),
                }
                for row in self.rows
            ],
        }


def compare_with_reference(
    reference: Sequence[NDArray[np.int64]],
    others: dict[str, Sequence[NDArray[np.int64]]],
    n_states: int,
    *,
    lag: int,
    markov: MarkovModel | None = None,
) -> Comparison:
    """Return populations, passage times and timescales of a reference and other sources.

    Args:
        reference: long trajectories of states.
        others: the same of other sources by name.
        n_states: number of states.
        lag: frames, of the implied timescales.
        markov: a model of the training data, for a row of its own.
    """
    rows = [_row("reference", reference, n_states, lag)]
    rows += [_row(name, each, n_states, lag) for name, each in others.items()]
    if markov is not None:
        unknown = np.full((n_states, n_states), np.nan)
        rows.append(
            Row(
                f"Markov model, lag {markov.lag}",
                *(markov.populations, unknown[0], markov.passage_times, unknown),
                markov.timescales,
            )
        )
    return Comparison(tuple(rows), lag)


def _plain(numbers: NDArray[np.float64]) -> list[Any]:
    """Return numbers as lists, None for nan, which JSON does not have."""
    values = numbers.astype(object)
    values[np.isnan(numbers)] = None
    return list(values.tolist())


def _row(name: str, trajectories: Sequence[NDArray[np.int64]], n_states: int, lag: int) -> Row:
    kinetics = kinetics_of(trajectories, n_states)
    matrix = transition_matrix(trajectories, n_states, lag)
    return Row(
        name,
        *(kinetics.populations, kinetics.population_errors),
        *(kinetics.passage_times, kinetics.passage_errors),
        implied_timescales(matrix, lag),
    )

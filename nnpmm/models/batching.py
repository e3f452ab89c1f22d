"""Join calls of a network from several threads into one batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.protocol import Evaluator

__all__ = ["JoinedCalls", "joined_calls"]

_EnergyAndForces = tuple[float, NDArray[np.float64]]
_this_thread = threading.local()


@dataclass(eq=False)
class _Call:
    """A call of one thread, and its result or error."""

    evaluator: Evaluator
    positions: NDArray[np.float64]
    result: _EnergyAndForces | None = None
    error: BaseException | None = None

    @property
    def is_answered(self) -> bool:
        """Whether there is a result or an error."""
        return self.result is not None or self.error is not None


class JoinedCalls:
    """Threads that wait for each other's calls of a network and have them evaluated together.

    A batch is evaluated as soon as every thread that still takes part has made a call. Threads need
    not make equally many: one that has finished or failed does not block the others.

    Args:
        threads: how many take part; each has to enter `taking_part` once.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._waiting: list[_Call] = []
        self._changed = threading.Condition()

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Join the calls that this thread makes within the block."""
        _this_thread.calls = self
        try:
            yield
        finally:
            _this_thread.calls = None
            with self._changed:
                self._threads -= 1
                self._changed.notify_all()

    def evaluate(self, evaluator: Evaluator, positions: NDArray[np.float64]) -> _EnergyAndForces:
        """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm.

        Args:
            evaluator: calls of the same evaluator are evaluated as a batch.
            positions: (n, 3), nm, of whole molecules.

        Raises:
            Exception: what the evaluation of the batch raises, in all threads whose call is in it.
        """
        call = _Call(evaluator, positions)
        with self._changed:
            self._waiting.append(call)
            self._changed.wait_for(lambda: call.is_answered or self._has_all())
            if not call.is_answered:
                self._answer()
                self._changed.notify_all()
        if call.error is not None:
            raise call.error
        assert call.result is not None
        return call.result

    def _has_all(self) -> bool:
        return len(self._waiting) == self._threads

    def _answer(self) -> None:
        calls, self._waiting = self._waiting, []
        by_evaluator: dict[int, list[_Call]] = {}
        for call in calls:
            by_evaluator.setdefault(id(call.evaluator), []).append(call)
        for group in by_evaluator.values():
            try:
                _evaluate(group)
            except Exception as error:
                for call in group:
                    call.error = error


def joined_calls() -> JoinedCalls | None:
    """Return the joined calls that this thread takes part in, or None."""
    found: JoinedCalls | None = getattr(_this_thread, "calls", None)
    return found


def _evaluate(calls: list[_Call]) -> None:
    found = calls[0].evaluator.batch(np.stack([call.positions for call in calls]))
    for call, energy, forces in zip(calls, found.energies, found.forces, strict=True):
        call.result = float(energy), forces

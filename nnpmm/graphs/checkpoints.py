"""The state of a training in one file, from which an interrupted training continues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nnpmm.core.arrays import load_keyed, save_arrays
from nnpmm.learning.weights import as_arrays, load_arrays_into

__all__ = ["Training", "seeded"]


@dataclass
class Training:
    """A network, its optimizer, and the progress of its training.

    Attributes:
        network: trained in place.
        optimizer: Adam or AdamW of its parameters.
        curve: losses or errors of each epoch.
        best: weights of the best epoch so far, by name.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    curve: list[list[float]] = field(default_factory=list)
    best: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def save(self, path: Path, key: str) -> None:
        """Write the state after an epoch, atomically.

        Args:
            path: of the file.
            key: all that the training depends on.

        Raises:
            UnwritableError: the file cannot be written; an earlier one does not change.
        """
        arrays = {f"network.{name}": array for name, array in as_arrays(self.network).items()}
        arrays |= {f"best.{name}": array for name, array in self.best.items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            arrays |= {f"adam.{number}.{name}": each.numpy() for name, each in state.items()}
        save_arrays(path, arrays, {"key": key, "curve": self.curve})

    def load(self, path: Path, key: str) -> None:
        """Continue from the state in a file, if there is one with this key."""
        found = load_keyed(path, key)
        if found is None:
            return
        arrays, record = found
        load_arrays_into(self.network, _with_prefix("network.", arrays))
        self.best = _with_prefix("best.", arrays)
        state = self.optimizer.state_dict()
        for name, array in _with_prefix("adam.", arrays).items():
            number, _, moment = name.partition(".")
            state["state"].setdefault(int(number), {})[moment] = torch.from_numpy(array)
        self.optimizer.load_state_dict(state)
        self.curve = [list(row) for row in record["curve"]]


@contextmanager
def seeded(*numbers: int) -> Iterator[np.random.Generator]:
    """Seed a numpy generator and torch's global one with these numbers alone.

    The state of the latter is restored afterwards. An epoch that is seeded in this way is the same
    after an interruption.

    Yields:
        numpy's generator.
    """
    sequence = np.random.SeedSequence(numbers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))
        yield np.random.default_rng(sequence)


def _with_prefix(
    prefix: str, arrays: dict[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    return {name[len(prefix) :]: each for name, each in arrays.items() if name.startswith(prefix)}

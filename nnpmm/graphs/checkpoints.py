"""A training that is interrupted and goes on: its state in one file."""

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
    """A network with its optimizer, and what has come of it so far.

    Attributes:
        network: is trained in place.
        optimizer: Adam of its parameters.
        curve: numbers of each epoch.
        best: the weights that are kept so far, by name.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    curve: list[list[float]] = field(default_factory=list)
    best: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def save(self, path: Path, key: str) -> None:
        """Write the state after an epoch, atomically.

        Args:
            path: of the file.
            key: what the training follows from.

        Raises:
            UnwritableError: the file cannot be written; what was there before still is.
        """
        arrays = {f"network.{name}": array for name, array in as_arrays(self.network).items()}
        arrays |= {f"best.{name}": array for name, array in self.best.items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            arrays |= {f"adam.{number}.{name}": each.numpy() for name, each in state.items()}
        save_arrays(path, arrays, {"key": key, "curve": self.curve})

    def load(self, path: Path, key: str) -> None:
        """Go on from the state in a file, if there is one that follows from the same."""
        found = load_keyed(path, key)
        if found is None:
            return
        arrays, record = found
        load_arrays_into(self.network, _with_prefix("network.", arrays))
        self.best = _with_prefix("best.", arrays)
        state = self.optimizer.state_dict()
        for name, array in _with_prefix("adam.", arrays).items():
            number, _, what = name.partition(".")
            state["state"].setdefault(int(number), {})[what] = torch.from_numpy(array)
        self.optimizer.load_state_dict(state)
        self.curve = [list(row) for row in record["curve"]]


@contextmanager
def seeded(*numbers: int) -> Iterator[np.random.Generator]:
    """Draw from generators that follow from these numbers alone: numpy's, and torch's global one.

    The latter is put back afterwards. An epoch with its own generators is the same after an
    interruption.

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

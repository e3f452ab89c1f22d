"""The record of a biased run: variables, bias and Gaussians, which restore the bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError
from nnpmm.sampling.variables.settings import RESERVED
from nnpmm.simulation.record.csv_log import CsvLog

__all__ = ["BIAS_LOG", "BiasLog", "BiasRecord", "read_bias_log"]

BIAS_LOG = "bias.csv"
_STEP, _BIAS, _HEIGHT = RESERVED


@dataclass(frozen=True, eq=False)
class BiasRecord:
    """What ``bias.csv`` contains.

    Attributes:
        steps: (n,) of the production.
        values: (n, m) of all variables, rad, nm or numbers.
        bias: (n,) before the Gaussian was added, kJ/mol.
        heights: (n,) of the Gaussians, kJ/mol.
        names: of the m variables.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    bias: NDArray[np.float64]
    heights: NDArray[np.float64]
    names: tuple[str, ...]


class BiasLog:
    """Appends rows to ``bias.csv``, with numbers that are read back bit by bit."""

    def __init__(self, path: Path, names: Sequence[str], *, append: bool) -> None:
        self._file = CsvLog(path, [_STEP, *names, _BIAS, _HEIGHT], append=append)

    def write(self, step: int, values: Sequence[float], bias: float, height: float) -> None:
        """Append a row and flush it to the operating system."""
        self._file.write([step, *(repr(float(value)) for value in (*values, bias, height))])

    def close(self) -> None:
        """Close the file; errors of writing have been reported before."""
        self._file.close()


def read_bias_log(path: Path, size: int | None = None) -> BiasRecord:
    """Read ``bias.csv``.

    Args:
        path: the file.
        size: bytes that count, as a checkpoint says; None: all.

    Raises:
        SimulationError: names the line that is damaged.
    """
    line, rows = 0, []
    names: list[str] = []
    try:
        with open(path, "rb") as handle:
            content = handle.read(-1 if size is None else size).decode("utf-8", errors="replace")
            for line, text in enumerate(content.splitlines(keepends=True), 1):
                row = text.rstrip("\n").split(",")
                if line == 1:
                    names = row[1:-2]
                    if [row[0], *row[-2:]] != [_STEP, _BIAS, _HEIGHT]:
                        raise ValueError(f"found {text[:60]!r}")
                elif len(row) != len(names) + 3 or not text.endswith("\n"):
                    raise ValueError(f"found {text[:60]!r}")
                else:
                    rows.append([float(value) for value in row])
        if line == 0:
            raise ValueError("the file is empty")
    except (OSError, ValueError) as error:
        raise SimulationError(
            f"{path}: line {max(line, 1)} is damaged ({error}): restore the file, or start again "
            "with overwrite=True"
        ) from error
    table = np.array(rows, dtype=np.float64).reshape(-1, len(names) + 3)
    return BiasRecord(
        table[:, 0].astype(np.int64), table[:, 1:-2], table[:, -2], table[:, -1], tuple(names)
    )

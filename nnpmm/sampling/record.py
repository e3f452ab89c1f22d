"""The folder of a replica exchange: settings, energies of the samples, and a checkpoint.

::

    exchange.json             states, temperature, steps of an iteration
    energies.bin              of each finished iteration: energies (K, K + M), volumes (K,),
                              replicas (K,), observables (K, m)
    trajectories/             optional; see nnpmm.sampling.trajectories
    checkpoint.safetensors    replicas, their states and the random generator after some iteration

An iteration counts only after a checkpoint. What a killed process wrote after its last checkpoint
is dropped when the run continues, so that no iteration is lost or counted twice.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from nnpmm.core.arrays import load_arrays, save_arrays
from nnpmm.core.errors import ConfigError, InputFileError, shortened
from nnpmm.core.files import sync_file, write_atomically, writing
from nnpmm.core.section import Section, first_problem

__all__ = [
    "TEMPERATURE",
    "ExchangeRecord",
    "ExchangeSettings",
    "Samples",
    "read_samples",
    "remove_exchange",
    "write_samples",
]

#: Key of a state's temperature, K, among its parameters; by default that of the settings.
TEMPERATURE = "temperature"
_SETTINGS, _ENERGIES, _CHECKPOINT = "exchange.json", "energies.bin", "checkpoint.safetensors"


class ExchangeSettings(Section):
    """What a replica exchange samples; it cannot change when a run continues.

    In the shapes of arrays, K is the number of states. It is also the number of replicas, unless
    ``sampled`` lists fewer states.
    """

    states: tuple[dict[str, float], ...] = Field(min_length=1)
    evaluated: tuple[dict[str, float], ...] = Field(
        (), description="more states, in which energies are evaluated and nothing is sampled"
    )
    sampled: tuple[int, ...] | None = Field(
        None, description="states that have a replica in this folder; null: all"
    )
    trajectories: Literal["none", "replicas", "states"] = Field(
        "none", description="DCD files of all atoms, one for each replica or state"
    )
    trajectory_every: int = Field(1, gt=0, description="iterations between two frames")
    temperature: float = Field(gt=0, description="K")
    timestep: float = Field(gt=0, description="ps")
    steps: int = Field(gt=0, description="time steps in an iteration")
    n_atoms: int = Field(gt=0)
    observables: tuple[str, ...] = Field((), description="names of what is recorded of each sample")
    seed: int = 0
    fingerprint: str = Field("", description="of what is simulated, by the caller's choice")

    @property
    def temperatures(self) -> list[float]:
        """Temperatures of all states, sampled and evaluated, K."""
        states = (*self.states, *self.evaluated)
        return [state.get(TEMPERATURE, self.temperature) for state in states]


@dataclass(frozen=True)
class Samples:
    """The samples of a replica exchange with K states in n iterations.

    Attributes:
        energies: of the configuration sampled in the row's state, evaluated in the column's state,
            (n, K, K), kJ/mol.
        evaluated: the same in the M states that were not sampled, (n, K, M), kJ/mol.
        volumes: of the boxes by state, (n, K), nm^3; 0 without a box.
        replicas: the replica in each state, (n, K).
        interval: time between two samples, ps.
        temperature: of the settings, K.
        observables: of the configuration sampled in each state, (n, K, m).
        temperatures: of all states, sampled and evaluated, (K + M,), K.
        names: of the m observables.
    """

    energies: NDArray[np.float64]
    evaluated: NDArray[np.float64]
    volumes: NDArray[np.float64]
    replicas: NDArray[np.int64]
    interval: float
    temperature: float
    observables: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0, 0)))
    temperatures: tuple[float, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def windows(self) -> list[NDArray[np.float64]]:
        """Energies in the form that the estimators use: for each state, (n, K), kJ/mol."""
        return list(self.energies.transpose(1, 0, 2))

    @property
    def mixing(self) -> NDArray[np.float64]:
        """Probability that a replica moves from one state to another in an iteration, (K, K).

        Moves in both directions are pooled, because detailed balance makes the matrix symmetric.
        """
        n_states = self.replicas.shape[1]
        counts = np.zeros((n_states, n_states))
        state_of = np.argsort(self.replicas, axis=1)
        for before, after in itertools.pairwise(state_of):
            np.add.at(counts, (before, after), 1.0)
        counts += counts.T
        total = counts.sum(axis=1, keepdims=True)
        return np.divide(counts, total, out=np.eye(n_states), where=total > 0)


class ExchangeRecord:
    """The folder of one replica exchange.

    Args:
        directory: of the run; created if necessary.
        settings: of the run.
        resume: continue the run in the folder, if there is one.

    Raises:
        ConfigError: the folder contains a run and ``resume`` is False, or the run has other
            settings.
        InputFileError: a file of the run cannot be read.
        UnwritableError: the folder cannot be written.
    """

    def __init__(self, directory: Path, settings: ExchangeSettings, *, resume: bool) -> None:
        self.directory, self.settings = directory, settings
        path = directory / _SETTINGS
        if path.exists():
            if not resume:
                raise ConfigError(
                    f"{directory}: contains a replica exchange; resume it or remove it"
                )
            _require_same(_read_settings(directory), settings, directory)
        else:
            write_atomically(path, settings.model_dump_json(indent=1))
        self._row = _row(settings)

    def checkpoint(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """Return the arrays and the record of the last checkpoint, None if there is none.

        Energies of later iterations are deleted.
        """
        path, energies = self.directory / _CHECKPOINT, self.directory / _ENERGIES
        if not path.exists():
            with writing(energies):
                energies.write_bytes(b"")
            return None
        arrays, record = load_arrays(path)
        size = int(record["iteration"]) * self._row.itemsize
        if not energies.exists() or energies.stat().st_size < size:
            raise InputFileError(
                f"{energies}: is shorter than {path.name} says; remove the folder and start again"
            )
        with writing(energies):
            os.truncate(energies, size)
        return arrays, record

    def append(
        self,
        energies: NDArray[np.float64],
        volumes: NDArray[np.float64],
        replicas: NDArray[np.int64],
        observables: NDArray[np.float64],
    ) -> None:
        """Add an iteration; the arrays are those of `Samples` without their first dimension."""
        row = np.array([(energies, volumes, replicas, observables)], dtype=self._row)
        path = self.directory / _ENERGIES
        with writing(path), open(path, "ab") as handle:
            handle.write(row.tobytes())

    def save_checkpoint(
        self, arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]
    ) -> None:
        """Write a checkpoint; ``record`` contains the number of iterations as ``iteration``."""
        path = self.directory / _ENERGIES
        with writing(path):
            sync_file(path)
        save_arrays(self.directory / _CHECKPOINT, arrays, record)


def read_samples(directory: Path) -> Samples:
    """Read the samples of a replica exchange up to its last checkpoint.

    Raises:
        InputFileError: there is no replica exchange, it has no checkpoint, or a file is damaged.
    """
    settings = _read_settings(directory)
    row, n_states = _row(settings), len(settings.states)
    _, record = load_arrays(directory / _CHECKPOINT)
    path, count = directory / _ENERGIES, int(record["iteration"])
    try:
        rows = np.fromfile(path, dtype=row, count=count)
    except OSError as error:
        raise InputFileError(f"{path}: cannot be read ({error.strerror})") from error
    if len(rows) < count:
        raise InputFileError(f"{path}: contains {len(rows)} of {count} iterations; it is damaged")
    return Samples(
        np.array(rows["energies"][:, :, :n_states]),
        np.array(rows["energies"][:, :, n_states:]),
        np.array(rows["volumes"]),
        np.array(rows["replicas"]),
        settings.steps * settings.timestep,
        settings.temperature,
        np.array(rows["observables"]),
        tuple(settings.temperatures),
        settings.observables,
    )


def write_samples(
    directory: Path,
    settings: ExchangeSettings,
    energies: NDArray[np.float64],
    volumes: NDArray[np.float64],
) -> None:
    """Write the samples of independent windows as a run whose replicas never exchanged states.

    Args:
        directory: of the run; created if necessary. Existing samples are replaced.
        settings: of the run.
        energies: of the configuration of the row's state in the column's state, (n, K, K + M),
            kJ/mol.
        volumes: of the boxes, (n, K), nm^3.

    Raises:
        ConfigError: the folder contains a run with other settings.
        UnwritableError: the folder cannot be written.
    """
    ExchangeRecord(directory, settings, resume=True)
    rows = np.zeros(len(energies), dtype=_row(settings))
    rows["energies"], rows["volumes"] = energies, volumes
    rows["replicas"] = np.arange(len(settings.states))
    write_atomically(directory / _ENERGIES, rows.tobytes())
    save_arrays(directory / _CHECKPOINT, {}, {"iteration": len(rows)})


def remove_exchange(directory: Path) -> None:
    """Delete only the files of a replica exchange from a folder.

    Raises:
        OSError: a file cannot be deleted.
    """
    for name in (_SETTINGS, _CHECKPOINT, _ENERGIES, "topology.pdb"):
        (directory / name).unlink(missing_ok=True)
    for kind in ("state", "replica"):
        for path in (directory / "trajectories").glob(f"{kind}-*.dcd"):
            path.unlink()
    for folder in (directory / "trajectories", directory):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _row(settings: ExchangeSettings) -> np.dtype[Any]:
    """Return the layout of an iteration in the file of energies."""
    n_states = len(settings.states)
    n_replicas = n_states if settings.sampled is None else len(settings.sampled)
    return np.dtype(
        [
            ("energies", "<f8", (n_replicas, n_states + len(settings.evaluated))),
            ("volumes", "<f8", (n_replicas,)),
            ("replicas", "<i8", (n_replicas,)),
            ("observables", "<f8", (n_replicas, len(settings.observables))),
        ]
    )


def _read_settings(directory: Path) -> ExchangeSettings:
    path = directory / _SETTINGS
    try:
        return ExchangeSettings.model_validate(json.loads(path.read_text()))
    except ValidationError as error:
        raise InputFileError(f"{path}: {first_problem(error)}") from error
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}: cannot be read ({shortened(error)})") from error


def _require_same(stored: ExchangeSettings, wanted: ExchangeSettings, directory: Path) -> None:
    for name in ExchangeSettings.model_fields:
        if getattr(stored, name) != getattr(wanted, name):
            raise ConfigError(
                f"{directory}: was started with other {name}; use the same settings, or another "
                "folder"
            )

"""The folder of a replica exchange: what was sampled, its energies, and where to go on.

::

    exchange.json             states, temperature, steps of an iteration
    energies.bin              of each finished iteration: energies (K, K + M), volumes, states (K,),
                              observables (K, m)
    trajectories/             if asked for; see nnpmm.sampling.trajectories
    checkpoint.safetensors    replicas, their states and the random numbers after some iteration

An iteration counts once it is in a checkpoint. What a killed process wrote after its last one is
dropped when the run goes on, so that no iteration is lost or counted twice.
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
from nnpmm.core.errors import ConfigError, InputFileError
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
    """What a replica exchange samples; a run that goes on must have the same.

    In the shapes of arrays K is the number of states, and also that of replicas unless ``sampled``
    says otherwise.
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
        """Of all states, sampled and evaluated, K."""
        every = (*self.states, *self.evaluated)
        return [state.get(TEMPERATURE, self.temperature) for state in every]


@dataclass(frozen=True)
class Samples:
    """What a replica exchange with K states has sampled in n iterations.

    Attributes:
        energies: (n, K, K) of the configuration sampled in the row's state, in the column's state,
            kJ/mol.
        evaluated: (n, K, M) the same in the M states that were not sampled.
        volumes: (n, K) of the boxes, nm^3, in the order of the states; 0 without a box.
        replicas: (n, K) the replica that was in each state.
        interval: time between two samples, ps.
        temperature: K.
        observables: (n, K, m) of the configuration sampled in each state.
        temperatures: (K + M,) of all states, sampled and evaluated, K.
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
        """Energies as estimators take them: for each state, (n, K), kJ/mol."""
        return list(self.energies.transpose(1, 0, 2))

    @property
    def mixing(self) -> NDArray[np.float64]:
        """(K, K) probability that a replica goes from one state to another in an iteration.

        Symmetric, since the exchange has detailed balance: moves there and back are pooled.
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
        directory: of the run; made if need be.
        settings: of the run.
        resume: go on with the run that is there, if there is one.

    Raises:
        ConfigError: a run is there and is not to go on, or it has other settings.
        InputFileError: a file of it cannot be read.
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

        Energies of iterations that it does not know are dropped.
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
        """Add an iteration: see `Samples` for the arrays, of one iteration."""
        row = np.array([(energies, volumes, replicas, observables)], dtype=self._row)
        path = self.directory / _ENERGIES
        with writing(path), open(path, "ab") as handle:
            handle.write(row.tobytes())

    def save_checkpoint(
        self, arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]
    ) -> None:
        """Make all iterations so far count; ``record`` has their number as ``iteration``."""
        path = self.directory / _ENERGIES
        with writing(path):
            sync_file(path)
        save_arrays(self.directory / _CHECKPOINT, arrays, record)


def read_samples(directory: Path) -> Samples:
    """Read what a replica exchange has sampled so far, as its last checkpoint has it.

    Raises:
        InputFileError: there is no replica exchange, or no checkpoint yet, or a damaged file.
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
    """Write what independent windows have sampled, as a run whose replicas never exchanged.

    Args:
        directory: of the run; made if need be. Samples that are there are replaced.
        settings: of the run.
        energies: (n, K, K + M) of the configuration of the row's state in the column's, kJ/mol.
        volumes: (n, K) of the boxes, nm^3.

    Raises:
        ConfigError: a run with other settings is there.
        UnwritableError: the folder cannot be written.
    """
    ExchangeRecord(directory, settings, resume=True)
    rows = np.zeros(len(energies), dtype=_row(settings))
    rows["energies"], rows["volumes"] = energies, volumes
    rows["replicas"] = np.arange(len(settings.states))
    write_atomically(directory / _ENERGIES, rows.tobytes())
    save_arrays(directory / _CHECKPOINT, {}, {"iteration": len(rows)})


def remove_exchange(directory: Path) -> None:
    """Delete the files of a replica exchange, and nothing else, from a folder.

    Raises:
        OSError: one cannot be deleted.
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
        raise InputFileError(f"{path}: cannot be read ({error})") from error


def _require_same(there: ExchangeSettings, wanted: ExchangeSettings, directory: Path) -> None:
    for name in ExchangeSettings.model_fields:
        if getattr(there, name) != getattr(wanted, name):
            raise ConfigError(
                f"{directory}: was started with other {name}; use the same settings, or another "
                "folder"
            )

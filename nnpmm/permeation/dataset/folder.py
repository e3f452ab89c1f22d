"""A data set on disk: its settings, the existing results, and the results as arrays.

Layout of its folder::

    dataset.json                   protocol, engine, lipids, solutes
    water/C1-P4.safetensors        four features a frame, and phi
    DOPC/C1-P4.safetensors         the other four
    failed/DOPC/C1-P4.json         why a job was given up

An existing result is complete, because files are written atomically.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from nnpmm.campaigns import derived_seed
from nnpmm.campaigns.store import failure_path, read_reasons, result_path
from nnpmm.core.arrays import load_arrays, save_arrays
from nnpmm.core.errors import ConfigError, InputFileError, shortened
from nnpmm.core.fields import Section, first_problem
from nnpmm.core.files import write_atomically
from nnpmm.permeation.features import FEATURES
from nnpmm.permeation.martini.builder import build_bilayer, build_water_box
from nnpmm.permeation.runs.protocol import ProtocolSettings

__all__ = [
    "WATER",
    "DatasetSettings",
    "FeatureSet",
    "SoluteJob",
    "export_features",
    "load_features",
    "open_dataset",
    "read_settings",
    "require_buildable",
]

#: The place of jobs in a box of water; other places are bilayers of lipids.
WATER = "water"
_SETTINGS = "dataset.json"


@dataclass(frozen=True)
class SoluteJob:
    """One production run: a solute in water or in the bilayer of a lipid."""

    place: str
    solute: str

    @property
    def name(self) -> str:
        """Place and solute, as in the paths of the data set."""
        return f"{self.place}/{self.solute}"

    def result(self, folder: Path) -> Path:
        """Return the file of the result."""
        return result_path(folder, self.name)

    def failure(self, folder: Path) -> Path:
        """Return the file that says why the job was given up."""
        return failure_path(folder, self.name)

    def reason(self, folder: Path) -> str:
        """Return why the job was given up, in the last attempt.

        Raises:
            InputFileError: the file that says so is damaged.
        """
        return read_reasons(self.failure(folder))[-1]

    def seed(self, campaign_seed: int, attempt: int) -> int:
        """Return a separate seed for every job and attempt, 1 to 2^31 - 1."""
        return derived_seed(campaign_seed, self.name, attempt)


class DatasetSettings(Section):
    """The settings of a data set."""

    protocol: ProtocolSettings = Field(description="protocol of every run")
    engine: str = Field(description="engine: gromacs, openmm or auto")
    seed: int = Field(
        1, ge=1, description="master seed, from which the seeds of all jobs are derived"
    )
    lipids: tuple[str, ...] = Field(description="lipids of the bilayers")
    solutes: tuple[str, ...] = Field(description="solutes, as graphs of beads")

    def jobs(self) -> Iterator[SoluteJob]:
        """Yield every job: water with the first lipid, then lipid after lipid."""
        for n, lipid in enumerate(self.lipids):
            for solute in self.solutes:
                if n == 0:
                    yield SoluteJob(WATER, solute)
                yield SoluteJob(lipid, solute)


def require_buildable(wanted: DatasetSettings) -> None:
    """Refuse settings with which no job could build its system.

    Raises:
        ConfigError: the protocol's boxes are too small.
        ForceFieldError: an unknown lipid.
    """
    protocol = wanted.protocol
    build_water_box(None, edge=protocol.water_box)
    for name in wanted.lipids:
        build_bilayer(
            {name: protocol.lipids_per_leaflet}, waters_per_lipid=protocol.waters_per_lipid
        )


def open_dataset(folder: Path, wanted: DatasetSettings) -> DatasetSettings:
    """Start a data set, or add lipids and solutes to an existing one.

    Returns:
        The settings of the whole data set, which are written to its folder.

    Raises:
        ConfigError: the data set there has another protocol, engine or seed.
    """
    if (folder / _SETTINGS).exists():
        stored = read_settings(folder)
        for key in ("protocol", "engine", "seed"):
            if getattr(stored, key) != getattr(wanted, key):
                raise ConfigError(
                    f"{folder} contains a data set with another {key} "
                    f"({_difference(getattr(stored, key), getattr(wanted, key))}): choose another "
                    "folder, or use the same settings"
                )
        wanted = wanted.model_copy(
            update={
                "lipids": tuple(dict.fromkeys((*stored.lipids, *wanted.lipids))),
                "solutes": tuple(dict.fromkeys((*stored.solutes, *wanted.solutes))),
            }
        )
    text = json.dumps(wanted.model_dump(mode="json"), indent=1)
    write_atomically(folder / _SETTINGS, text + "\n")
    return wanted


def _difference(before: Any, now: Any) -> str:
    if isinstance(before, ProtocolSettings):
        changed = [k for k in type(before).model_fields if getattr(before, k) != getattr(now, k)]
        return f"{changed[0]}: {getattr(before, changed[0])!r} there, {getattr(now, changed[0])!r}"
    return f"{before!r} there, {now!r} asked for"


def read_settings(folder: Path) -> DatasetSettings:
    """Read the settings of a data set.

    Raises:
        InputFileError: the folder contains none, or they cannot be read.
    """
    path = folder / _SETTINGS
    try:
        return DatasetSettings.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputFileError(
            f"{folder}: found no {_SETTINGS}; build a data set with nnpmm permeation dataset build"
        ) from None
    except ValidationError as error:
        raise InputFileError(
            f"{path}: no valid settings of a data set: {first_problem(error)}; give another folder"
        ) from error
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}: cannot be read: {shortened(error)}") from error


@dataclass(frozen=True)
class FeatureSet:
    """The finished part of a data set.

    Attributes:
        lipids: (samples,) names.
        solutes: (samples,) graphs.
        features: (samples, frames, 8) float32, columns as in ``features.FEATURES``.
    """

    lipids: tuple[str, ...]
    solutes: tuple[str, ...]
    features: NDArray[np.float32]


def load_features(folder: str | Path) -> FeatureSet:
    """Read all samples with finished runs in water and in the membrane.

    Raises:
        InputFileError: the folder is no data set, or a result is damaged.
    """
    folder = Path(folder)
    settings = read_settings(folder)
    lipids, solutes, tables = [], [], []
    for job in settings.jobs():
        water = SoluteJob(WATER, job.solute).result(folder)
        membrane = job.result(folder)
        if job.place == WATER or not (water.exists() and membrane.exists()):
            continue
        halves = [load_arrays(path)[0]["features"] for path in (water, membrane)]
        lipids.append(job.place)
        solutes.append(job.solute)
        tables.append(np.concatenate(halves, axis=1))
    shape = (len(tables), settings.protocol.n_frames, len(FEATURES))
    features = np.array(tables, dtype=np.float32).reshape(shape)
    return FeatureSet(tuple(lipids), tuple(solutes), features)


def export_features(folder: str | Path, path: Path) -> int:
    """Write all finished samples to one file and return their number.

    Raises:
        InputFileError: the folder is no data set, or a result is damaged.
    """
    found = load_features(folder)
    record = {
        "lipids": found.lipids,
        "solutes": found.solutes,
        "features": [feature._asdict() for feature in FEATURES],
        "settings": read_settings(Path(folder)).model_dump(mode="json"),
    }
    save_arrays(path, {"features": found.features}, record)
    return len(found.solutes)

"""Free-energy profiles across a bilayer by umbrella sampling (Torrie and Valleau 1977).

In window k a harmonic restraint keeps the solute's centre near the height z_k above that of the
lipids. MBAR combines the windows and gives the free energy of each,

    F_k = -kT ln integral exp(-[G(z) + K/2 (z - z_k)^2] / kT) dz,

which is the profile G seen through the restraint: smeared by (kT / K)^(1/2), 0.05 nm for the usual
K. Decoupling with the same restraint gives the same quantity. Its zero is the mean of the windows
in bulk water.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.arrays import load_arrays, save_arrays
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.core.fields import ForceConstant, Length, Section, Time
from nnpmm.freeenergy.estimators import contrast_error, mbar, subsample
from nnpmm.permeation.labels.diffusivity import FEWEST_SAMPLES
from nnpmm.permeation.martini.engines import Engine, Restraint, read_frames
from nnpmm.permeation.martini.geometry import solute_height
from nnpmm.permeation.runs.checks import check_heights
from nnpmm.permeation.runs.protocol import ProtocolSettings
from nnpmm.permeation.runs.simulations import (
    RunOutcome,
    StageProgress,
    equilibrated_bilayer,
    run_solute,
)

__all__ = ["Profile", "UmbrellaSettings", "join_windows", "run_windows"]

#: Largest height of a window, as a fraction of the box's height. Beyond a half, the nearest image
#: of the bilayer is another one.
_REACH = 0.47


class UmbrellaSettings(Section):
    """Windows of umbrella sampling and their lengths."""

    top: Length = Field(4.1, gt=0, description="height of the last window, in nm")
    spacing: Length = Field(0.1, gt=0, description="distance between windows, in nm")
    bulk: Length = Field(
        0.35, gt=0, description="windows within this distance of the last one are water, in nm"
    )
    force_constant: ForceConstant = Field(
        1000.0, gt=0, description="force constant of the restraint, in kJ/mol/nm^2"
    )
    equilibration: Time = Field(200.0, gt=0, description="equilibration of each window, in ps")
    production: Time = Field(2_000.0, gt=0, description="sampling of each window, in ps")
    sample_interval: Time = Field(0.5, gt=0, description="time between heights, in ps")

    @model_validator(mode="after")
    def _check_samples(self) -> Self:
        if self.production < FEWEST_SAMPLES * self.sample_interval:
            raise ValueError(
                f"windows of {self.production:g} ps have fewer than {FEWEST_SAMPLES} samples, one "
                f"every {self.sample_interval:g} ps"
            )
        return self

    @property
    def centers(self) -> NDArray[np.float64]:
        """(windows,) heights, nm, from the midplane to the top."""
        count = max(2, round(self.top / self.spacing) + 1)
        return np.linspace(0.0, self.top, count)


@dataclass(frozen=True)
class Profile:
    """A free-energy profile from the midplane to water, where it is zero.

    Attributes:
        heights: (windows,) nm.
        free_energies: (windows,) kJ/mol.
        errors: (windows,) one standard deviation of the difference from water, kJ/mol.
        overlap: spectral gap of the windows' overlap matrix, 0 (two groups apart) to 1.
        samples: nearly independent ones in all windows together.
    """

    heights: NDArray[np.float64]
    free_energies: NDArray[np.float64]
    errors: NDArray[np.float64]
    overlap: float
    samples: int


def run_windows(
    solute: str,
    lipids: Mapping[str, int],
    protocol: ProtocolSettings,
    umbrella: UmbrellaSettings,
    engine: Engine,
    directory: Path,
    *,
    seed: int,
    progress: StageProgress | None = None,
) -> list[NDArray[np.float64]]:
    """Simulate all windows and return their heights, nm; finished ones are not run again.

    Args:
        solute: its graph, such as ``C1-P4``.
        lipids: number in each leaflet, by name.
        protocol: size of the bilayer and conditions.
        umbrella: windows and lengths.
        engine: that simulates.
        directory: for the engine's files; an interrupted calculation continues there.
        seed: of the first window.
        progress: called for every stage.

    Raises:
        ConfigError: the box is too low for the last window.
        SimulationError: the engine failed, or the solute left its window.
    """
    _, relaxed = equilibrated_bilayer(lipids, protocol, engine, directory / "bilayer", progress)
    _require_height(float(relaxed.box[2]), umbrella)
    found = []
    for n, center in enumerate(umbrella.centers):
        done = directory / f"window-{n:02d}.safetensors"
        if not done.exists():
            restraint = Restraint(z=float(center), force_constant=umbrella.force_constant)
            settings = _window_protocol(protocol, umbrella, restraint)
            work = directory / f"window-{n:02d}"
            outcome = run_solute(
                solute, lipids, settings, engine, work, seed=seed + n, progress=progress
            )
            heights = _heights(outcome)
            check_heights(heights, restraint)
            save_arrays(done, {"heights": heights}, {"center": float(center)})
            shutil.rmtree(work)  # hundreds of MB in all windows together
        found.append(load_arrays(done)[0]["heights"])
        if progress is not None:
            progress("windows", n + 1, len(umbrella.centers))
    return found


def _require_height(height: float, umbrella: UmbrellaSettings) -> None:
    if umbrella.top > _REACH * height:
        raise ConfigError(
            f"the last window at {umbrella.top:g} nm lies beyond {_REACH:g} of the box's height of "
            f"{height:.2f} nm: set top to {_REACH * height - 0.05:.1f} nm or less, or use more "
            "waters_per_lipid"
        )


def _heights(outcome: RunOutcome) -> NDArray[np.float64]:
    """Return the (frames,) heights of the solute in a production, nm."""
    if outcome.production.trajectory is None:
        raise SimulationError("the production left no trajectory")
    frames = read_frames(outcome.production.trajectory)
    return np.array([solute_height(outcome.system, f.positions, f.box) for f in frames])


def _window_protocol(
    protocol: ProtocolSettings, umbrella: UmbrellaSettings, restraint: Restraint
) -> ProtocolSettings:
    return protocol.model_copy(
        update={
            "restraint": restraint,
            "nvt": umbrella.equilibration / 4.0,
            "npt": umbrella.equilibration,
            "production": umbrella.production,
            "production_timestep": protocol.equilibration_timestep,
            "frame_interval": umbrella.sample_interval,
        }
    )


def join_windows(
    heights: Sequence[NDArray[np.float64]], umbrella: UmbrellaSettings, temperature: float
) -> Profile:
    """Return the profile from the (samples,) heights, nm, of every window by MBAR.

    Raises:
        SimulationError: two neighbouring windows overlap too little.
    """
    centers = umbrella.centers
    kept = [series[subsample(series)] for series in heights]
    pooled = np.concatenate(kept)
    energies = umbrella.force_constant / 2.0 * (pooled[None] - centers[:, None]) ** 2
    found = mbar(
        energies,
        [len(series) for series in kept],
        temperature=temperature,
        names=[f"at {center:.2f} nm" for center in centers],
    )
    water = (centers > umbrella.top - umbrella.bulk).astype(np.float64)
    water /= water.sum()
    profile = found.delta[0] - water @ found.delta[0]
    errors = np.array([contrast_error(found.error, row - water) for row in np.eye(len(centers))])
    return Profile(centers, profile, errors, found.spectral_gap, len(pooled))

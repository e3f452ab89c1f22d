"""The free-energy surface of biased runs: numbers, tables and pictures in a folder."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnpmm.core.errors import ConfigError
from nnpmm.core.files import replacing, require_folder, write_atomically, writing
from nnpmm.freeenergy.surfaces import (
    Convergence,
    Minimum,
    Surface,
    convergence_of,
    find_minima,
    pooled,
    surface_of,
)
from nnpmm.sampling.variables.variable import in_unit
from nnpmm.simulation.sampled import SampledRun, read_sampled, samples_of
from nnpmm.simulation.settings.sampling_config import MetadynamicsConfig, UmbrellaConfig

__all__ = ["RunSurface", "surface_of_runs", "write_surface"]

_FEW_VISITS = 10  # transitions, below which statistical errors are unreliable


@dataclass(frozen=True, eq=False)
class RunSurface:
    """The surface of one or more biased runs with the same settings.

    Attributes:
        runs: their folders.
        surface: along one to three variables.
        minima: the lowest first.
        convergence: of the surface as a function of the time of each run.
        time: of the longest run, ps.
        warnings: reasons to doubt the surface, as sentences.
    """

    runs: tuple[Path, ...]
    surface: Surface
    minima: tuple[Minimum, ...]
    convergence: Convergence
    time: float
    warnings: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """Return the results as plain data, angles in degrees."""
        axes = self.surface.bins.axes
        names = [axis.name for axis in axes]
        return {
            "runs": [str(run) for run in self.runs],
            "temperature_k": self.surface.temperature,
            "variables": [{"name": axis.name, "unit": in_unit(0.0, axis.unit)[1]} for axis in axes],
            "minima": [
                {
                    "place": dict(zip(names, _shown_place(self, minimum.place), strict=True)),
                    "free_energy_kj_mol": minimum.free_energy,
                    "population": minimum.population.value,
                    "population_error": minimum.population.error,
                    "visits": minimum.visits,
                }
                for minimum in self.minima
            ],
            "convergence": {
                "time_ps": self.convergence.times.tolist(),
                "rms_difference_kj_mol": self.convergence.differences.tolist(),
            },
            "warnings": list(self.warnings),
        }


def _shown_place(found: RunSurface, place: Sequence[float]) -> list[float]:
    axes = found.surface.bins.axes
    return [float(in_unit(value, axis.unit)[0]) for value, axis in zip(place, axes, strict=True)]


def surface_of_runs(
    folders: Sequence[Path],
    along: Sequence[str] = (),
    *,
    bins: int = 60,
    blocks: int = 10,
    discard: float = 0.2,
    barrier: float | None = None,
) -> RunSurface:
    """Return the free-energy surface of biased runs.

    Args:
        folders: of runs with the same settings; the spread of several runs adds to the errors.
        along: one to three of the recorded variables; by default the biased ones.
        bins: number of bins along each variable.
        blocks: number of blocks of each run, for the errors.
        discard: fraction of each run that is left out at its beginning.
        barrier: smallest barrier between two minima, kJ/mol; by default kT.

    Raises:
        NnpmmError: a folder has no biased run, a variable is unknown, or there are too few samples.
    """
    if not folders:
        raise ConfigError("found no folder of a run, expected one or more")
    runs = [read_sampled(folder) for folder in folders]
    samples = pooled([samples_of(run) for run in runs]).after(discard)
    names = tuple(along) or _biased(runs[0])
    surface = surface_of(samples, names, bins=bins, blocks=blocks)
    minima = find_minima(samples, surface, barrier=barrier, blocks=blocks)
    convergence = convergence_of(samples, names, bins=bins)
    warnings = []
    if isinstance(runs[0].sampling, MetadynamicsConfig) and len(minima) > 1:
        visits = sum(minimum.visits for minimum in minima)
        if visits < _FEW_VISITS:
            warnings.append(
                f"found {visits} transitions between the minima; below {_FEW_VISITS} populations "
                "and errors mean little: run longer"
            )
    return RunSurface(
        tuple(folders),
        surface,
        tuple(minima),
        convergence,
        float(samples.times.max()),
        tuple(warnings),
    )


def _biased(run: SampledRun) -> tuple[str, ...]:
    if isinstance(run.sampling, MetadynamicsConfig):
        return tuple(run.sampling.widths)
    if isinstance(run.sampling, UmbrellaConfig):
        return tuple(run.sampling.windows)
    names = tuple(run.variables)
    if len(names) > 1:
        raise ConfigError(
            f"found the variables {', '.join(names)}, none of them biased; name one or two to draw "
            "the surface along"
        )
    return names


def write_surface(folder: Path, found: RunSurface) -> list[Path]:
    """Write ``surface.json``, ``surface.csv`` and pictures; return their paths.

    Args:
        folder: created if necessary.
        found: the surface.

    Raises:
        UnwritableError: a file cannot be written.
    """
    require_folder(folder)
    written = [folder / "surface.json", folder / "surface.csv"]
    write_atomically(written[0], json.dumps(found.data(), indent=1) + "\n")
    write_atomically(written[1], _table(found.surface))
    for name, figure in _pictures(found).items():
        path = folder / f"{name}.png"
        with writing(path), replacing(path) as handle:
            figure.savefig(handle, format="png")
        written.append(path)
    return written


def _shown_centres(surface: Surface) -> list[tuple[Any, str]]:
    """Return the centres of the bins along each variable and their unit, angles in degrees."""
    axes, centres = surface.bins.axes, surface.bins.centres
    return [in_unit(each, axis.unit) for axis, each in zip(axes, centres, strict=True)]


def _table(surface: Surface) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    shown = _shown_centres(surface)
    heads = [
        f"{axis.name}_{symbol}" if symbol else axis.name
        for axis, (_, symbol) in zip(surface.bins.axes, shown, strict=True)
    ]
    writer.writerow([*heads, "free_energy_kj_mol", "error_kj_mol"])
    for index in itertools.product(*(range(count) for count in surface.bins.shape)):
        place = [float(values[i]) for (values, _), i in zip(shown, index, strict=True)]
        numbers = (surface.free_energy[index], surface.error[index])
        writer.writerow(
            [
                *(f"{value:.6g}" for value in place),
                *("" if np.isnan(number) else f"{number:.4f}" for number in numbers),
            ]
        )
    return text.getvalue()


def _pictures(found: RunSurface) -> dict[str, Any]:
    from nnpmm.plots import plot_surface, plot_surface_convergence, plot_surface_profile
    from nnpmm.plots.style import axis_label

    surface = found.surface
    shown = _shown_centres(surface)
    labels = [
        axis_label(axis.name, symbol)
        for axis, (_, symbol) in zip(surface.bins.axes, shown, strict=True)
    ]
    places = [_shown_place(found, minimum.place) for minimum in found.minima]
    pictures: dict[str, Any] = {}
    if len(labels) == 1:
        pictures["surface"] = plot_surface_profile(
            shown[0][0],
            {"": (surface.free_energy, surface.error)},
            xlabel=labels[0],
            minima=[place[0] for place in places],
        )
    if len(labels) == 2:
        pictures["surface"] = plot_surface(
            shown[0][0],
            shown[1][0],
            surface.free_energy,
            xlabel=labels[0],
            ylabel=labels[1],
            minima=[(place[0], place[1]) for place in places],
        )
    pictures["convergence"] = plot_surface_convergence(
        found.convergence.times, {"": found.convergence.differences}
    )
    return pictures

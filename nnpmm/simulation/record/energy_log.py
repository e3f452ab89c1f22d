"""The CSV log of a run: energies, temperature, volume, and the network's own uncertainty."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.constants import DALTON_PER_NM3_IN_G_PER_ML, GAS_CONSTANT
from nnpmm.core.errors import SimulationError
from nnpmm.core.geometry import WholeRegion
from nnpmm.coupling import HybridSystem
from nnpmm.models.protocol import Energies, Evaluation, last_energies
from nnpmm.simulation.record.csv_log import CsvLog

__all__ = [
    "EnergyLog",
    "LogRow",
    "NetworkReading",
    "RegionMonitor",
    "Thermometer",
    "density_of",
    "particle_masses",
    "read_log",
]


@dataclass(frozen=True)
class LogRow:
    """One row; energies in kJ/mol, None where a quantity does not exist."""

    stage: str
    step: int
    time_ps: float
    potential_energy_kj_mol: float
    kinetic_energy_kj_mol: float
    total_energy_kj_mol: float
    temperature_k: float
    volume_nm3: float | None
    density_g_ml: float | None
    nnp_energy_kj_mol: float
    nnp_std_kj_mol: float | None
    speed_ns_day: float


class EnergyLog:
    """Appends rows to ``log.csv``."""

    def __init__(self, path: Path, *, append: bool):
        self.path = path
        self._file = CsvLog(path, (field.name for field in fields(LogRow)), append=append)

    def write(self, row: LogRow) -> None:
        """Append a row, with 10 significant digits."""
        self._file.write(_text(value) for value in astuple(row))

    def close(self) -> None:
        """Close the file; errors of writing have been reported before."""
        self._file.close()


def _text(value: str | int | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def read_log(path: Path) -> tuple[list[str], dict[str, NDArray[np.float64]]]:
    """Read a log: the stage of every row, and a column of numbers (nan where empty) by name.

    Raises:
        SimulationError: names the line that is damaged.
    """
    names = [field.name for field in fields(LogRow)]
    stages: list[str] = []
    values: list[list[float]] = []
    line = 0
    try:
        with open(path, encoding="utf-8", errors="replace", newline="\n") as handle:
            for line, text in enumerate(handle, 1):
                row = text.rstrip("\n").split(",")
                if (row != names) if line == 1 else (len(row) != len(names)):
                    raise ValueError(f"found {text[:60]!r}")
                if line > 1:
                    stages.append(row[0])
                    values.append([float(value or "nan") for value in row[1:]])
        if line == 0:
            raise ValueError("the file is empty")
    except ValueError as error:
        raise SimulationError(
            f"{path}: line {max(line, 1)} is damaged ({error}): restore the file, or start again "
            "with overwrite=True"
        ) from error
    columns = np.array(values, dtype=np.float64).reshape(-1, len(names) - 1)
    return stages, dict(zip(names[1:], columns.T, strict=True))


def particle_masses(system: openmm.System) -> list[float]:
    """Return the masses of a system's particles in amu."""
    return [
        float(system.getParticleMass(i).value_in_unit(unit.dalton))
        for i in range(system.getNumParticles())
    ]


def density_of(mass: float, volume: float) -> float:
    """Return the density (g/ml) of a mass (amu) in a volume (nm^3)."""
    return mass / volume * DALTON_PER_NM3_IN_G_PER_ML


class Thermometer:
    """Temperature from kinetic energy, T = 2 K / (f R) with f degrees of freedom, and density.

    Args:
        system: that is simulated.
        unscaled: the same particles with the masses that the density is to be computed from; None:
            those of ``system``.
    """

    def __init__(self, system: openmm.System, unscaled: openmm.System | None = None):
        masses = particle_masses(system)
        freedom = 3 * sum(mass > 0 for mass in masses)
        for k in range(system.getNumConstraints()):
            i, j, _ = system.getConstraintParameters(k)
            freedom -= masses[i] > 0 or masses[j] > 0
        if any(isinstance(force, openmm.CMMotionRemover) for force in system.getForces()):
            freedom -= 3
        self.total_mass = sum(masses if unscaled is None else particle_masses(unscaled))
        self.degrees_of_freedom = max(freedom, 1)
        self._kelvin_per_kj = 2.0 / (self.degrees_of_freedom * GAS_CONSTANT)

    def temperature(self, kinetic_energy: float) -> float:
        """Return the temperature in K of a kinetic energy in kJ/mol."""
        return kinetic_energy * self._kelvin_per_kj

    def density(self, volume: float) -> float:
        """Return the density in g/mL of the system in a volume in nm^3."""
        return density_of(self.total_mass, volume)


@dataclass(frozen=True)
class NetworkReading:
    """The network's energy and the standard deviation of its members, in kJ/mol."""

    energy: float
    deviation: float | None


class RegionMonitor:
    """The network's energy and its uncertainty, for the log.

    Args:
        hybrid: the system that is simulated.

    Attributes:
        atoms: whose positions the network needs: the region and, with link atoms, the neighbours
            beyond the cut bonds.
        bonds: pairs of row numbers of ``atoms``, (m, 2).
    """

    def __init__(self, hybrid: HybridSystem):
        self.atoms, self.bonds = hybrid.region.network_atoms, hybrid.region.bonded_rows
        self._evaluator = hybrid.evaluator
        self._whole = WholeRegion(len(self.atoms), self.bonds)

    def whole(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return their positions (n, 3) in nm, joined over the periodic boundary."""
        return self._whole(positions[self.atoms], box)

    def read(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NetworkReading:
        """Return the network's energy and spread (sample standard deviation of the members).

        If the network's force has just been evaluated at these positions, as for the potential
        energy of a row, the network is not called again.

        Args:
            positions: of the full system, (n_atoms, 3), nm, exactly as in the context, not wrapped
                into the box.
            box: rows, (3, 3), nm, or None.
        """
        whole = self.whole(positions, box)
        found: Energies | Evaluation | None = last_energies(self._evaluator, whole)
        if found is None:
            found = self._evaluator.evaluate(whole)
        members = np.asarray(found.member_energies, dtype=np.float64).ravel()
        deviation = float(np.std(members, ddof=1)) if len(members) > 1 else None
        return NetworkReading(float(found.energy), deviation)

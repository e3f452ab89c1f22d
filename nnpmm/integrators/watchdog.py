"""Warns where multiple time steps are not valid: poor inner potentials, and bonds that change.

The scheme needs an inner potential that is close to the network. The force field's bonded terms are
not close to it at strained geometries, and never where a bond has broken or a proton has moved:
then they pull at atoms that the network lets go (Jaffrelot Inizan et al., Chem. Sci. 2023, 14,
5438).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit
from openmm.app import Topology

from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.core.units import in_md_units
from nnpmm.integrators.bond_graph import BondChange, BondGraph
from nnpmm.integrators.gap import Gap, GapMeter
from nnpmm.structures.selection import atom_label

__all__ = ["RespaWatchdog", "WatchdogRanges", "WatchdogReading"]

_LOGGER = logging.getLogger(__name__)
_REMEDY = "multiple time steps are not valid here; use a single time step, or a shorter outer one"


@dataclass(frozen=True)
class WatchdogRanges:
    """What counts as normal.

    The defaults are from benchmarks/respa_watchdog.py. In stable runs of three molecules the kick
    was at most 0.63, bonded atoms were at most 1.13 and other atoms at least 1.50 times the sum of
    their covalent radii apart. Runs that blew up first exceeded a kick of 1.

    Args:
        kick: largest root mean square change of momentum by network minus inner potential in one
            outer step, in units of the thermal momentum, see `nnpmm.integrators.gap`.
        broken: a bond is broken where it is longer than this times the sum of the covalent radii.
        formed: atoms are bonded where they are closer than this times the sum.

    Raises:
        ConfigError: a value that is not above 0, or ``formed`` not below ``broken``.
    """

    kick: float = 1.0
    broken: float = 1.5
    formed: float = 1.2

    def __post_init__(self) -> None:
        for name in ("kick", "broken", "formed"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(f"found {name}={value!r}, allowed: more than 0")
        if self.formed >= self.broken:
            raise ConfigError(
                f"found formed={self.formed:g} and broken={self.broken:g}, allowed: formed below "
                "broken, so that a bond does not flicker"
            )

    def __str__(self) -> str:
        return (
            f"kick up to {self.kick:g} thermal momenta in an outer step, bonds up to "
            f"{self.broken:g} and other atoms from {self.formed:g} times the covalent radii"
        )


@dataclass(frozen=True, eq=False)
class WatchdogReading:
    """What the watchdog measured at one step.

    Attributes:
        step: of the simulation.
        gap: network minus inner potential.
        changes: bonds that differ from the topology's.
        complaints: what is out of range, one line each; empty if nothing is.
    """

    step: int
    gap: Gap
    changes: list[BondChange]
    complaints: tuple[str, ...]


class RespaWatchdog:
    """A reporter for OpenMM that warns, or stops, where multiple time steps are not valid.

    Add it to ``simulation.reporters``; without an `openmm.app.Simulation` call `check`. Each check
    costs one evaluation of the network. A quantity that leaves its range causes one warning, and
    another one only after it has been back.

    Args:
        system: made with ``Mechanical(inside=MultipleTimeSteps())``; hydrogen masses as simulated.
        topology: with elements.
        region: 0-based indices of the region's atoms; of all of them if there are several regions.
        timestep: that of the slow forces, ps or a Quantity.
        temperature: K or a Quantity.
        interval: steps between two checks.
        ranges: what counts as normal.
        stop: raise a SimulationError rather than warn.

    Raises:
        ConfigError: interval, time step or temperature not positive, or a system without time
            scales.
        ModelError: the network cannot be copied.
        RegionError: the region is empty, or not the network's.
    """

    def __init__(
        self,
        system: openmm.System,
        topology: Topology,
        region: Sequence[int] | NDArray[np.int64],
        *,
        timestep: Any,
        temperature: Any,
        interval: int = 500,
        ranges: WatchdogRanges | None = None,
        stop: bool = False,
    ) -> None:
        if interval < 1:
            raise ConfigError(f"found an interval of {interval} steps, allowed: 1 or more")
        step, kelvin = in_md_units(timestep, unit.picosecond), in_md_units(temperature, unit.kelvin)
        for name, value in (("timestep", step), ("temperature", kelvin)):
            if not 0 < value < math.inf:
                raise ConfigError(f"found a {name} of {value:g}, allowed: more than 0")
        self.region = atom_indices(region, system.getNumParticles(), may_be_empty=True)
        self.interval, self.stop = interval, stop
        self.ranges = ranges or WatchdogRanges()
        self.last: WatchdogReading | None = None
        self._meter = GapMeter(system, self.region, timestep=step, temperature=kelvin)
        self._bonds = BondGraph(
            system, topology, self.region, broken=self.ranges.broken, formed=self.ranges.formed
        )
        atoms = list(topology.atoms())
        self._labels = [atom_label(atoms[index]) for index in self.region]
        self._periodic = system.usesPeriodicBoundaryConditions()
        _LOGGER.info(
            "watching %d atoms every %d steps: %s", len(self.region), interval, self.ranges
        )

    def describeNextReport(self, simulation: Any) -> dict[str, Any]:
        """Return when the next check is due and what it needs, as OpenMM asks its reporters."""
        steps = self.interval - simulation.currentStep % self.interval
        return {"steps": steps, "periodic": False, "include": ["positions"]}

    def report(self, simulation: Any, state: openmm.State) -> None:
        """Check a state of OpenMM's Simulation."""
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        box = None
        if self._periodic:
            box = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)
        self.check(positions, box, step=simulation.currentStep)

    def check(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None, *, step: int
    ) -> WatchdogReading:
        """Check positions (n_atoms, 3) and box rows (3, 3) or None, nm; warn where needed.

        Raises:
            SimulationError: something is out of range, and the watchdog is to stop; or the network
                cannot be evaluated.
        """
        gap = self._meter.measure(positions, box)
        changes = self._bonds.update(positions[self.region], box)
        complaints = tuple(self._bonds.describe(change, self._labels) for change in changes)
        if gap.kick > self.ranges.kick:
            complaints += (self._describe_gap(gap),)
        known = self._problems(self.last)
        self.last = WatchdogReading(step, gap, changes, complaints)
        if complaints and self.stop:
            raise SimulationError(f"step {step}: {'; '.join(complaints)}; {_REMEDY}")
        if self._problems(self.last) - known:
            _LOGGER.warning("step %d: %s; %s", step, "; ".join(complaints), _REMEDY)
        return self.last

    def _problems(self, reading: WatchdogReading | None) -> set[Any]:
        """Return what is out of range, without numbers: only new problems cause a warning."""
        if reading is None:
            return set()
        problems: set[Any] = {(change.atoms, change.formed) for change in reading.changes}
        return problems | ({"kick"} if reading.gap.kick > self.ranges.kick else set())

    def _describe_gap(self, gap: Gap) -> str:
        force = float(np.linalg.norm(gap.forces[gap.worst]))
        return (
            f"the network is far from the inner potential: kick {gap.kick:.2f}, allowed up "
            f"to {self.ranges.kick:g} (RMS force difference {gap.rms_force:.0f} kJ/mol/nm; most on "
            f"{self._labels[gap.worst]}, {force:.0f} kJ/mol/nm)"
        )
